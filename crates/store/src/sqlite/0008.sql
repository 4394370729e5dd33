-- What people and services prove with who they are. The body is not the database's to read.

CREATE TABLE credential (
  kind TEXT NOT NULL CHECK (kind <> ''),
  id TEXT NOT NULL CHECK (length(CAST(id AS BLOB)) BETWEEN 1 AND 1400),
  object BLOB NOT NULL CHECK (length(object) = 16),
  body TEXT NOT NULL CHECK (length(CAST(body AS BLOB)) <= 16384),
  until INTEGER,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
