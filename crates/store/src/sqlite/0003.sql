-- Machines are resources too. Which kinds there are says the core's type, and a new one needs no new table: so
-- the list of kinds goes, and for that the table is made anew.

CREATE TABLE document_anew (
  key TEXT PRIMARY KEY CHECK (key = lower(id)),
  id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind <> '' AND instr(key, '/' || lower(kind) || '/') > 0),
  grp TEXT NOT NULL CHECK (grp = lower(grp)),
  name TEXT NOT NULL CHECK (name = lower(name)),
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL CHECK (json_valid(body)),
  CHECK (json_extract(body, '$.id') = id AND json_extract(body, '$.version') = version)
) STRICT, WITHOUT ROWID;
INSERT INTO document_anew SELECT key, id, kind, grp, name, version, body FROM document;

-- What refers to the table is made anew with it, and first taken away: what is referred to stays.
CREATE TABLE document_part_anew (
  key TEXT PRIMARY KEY CHECK (key = lower(key)),
  document TEXT NOT NULL REFERENCES document_anew (key)
) STRICT, WITHOUT ROWID;
INSERT INTO document_part_anew SELECT key, document FROM document_part;
CREATE TABLE document_reference_anew (
  referrer TEXT NOT NULL REFERENCES document_anew (key),
  target TEXT NOT NULL REFERENCES document_part_anew (key),
  PRIMARY KEY (referrer, target)
) STRICT, WITHOUT ROWID;
INSERT INTO document_reference_anew SELECT referrer, target FROM document_reference;
CREATE TABLE document_address_anew (
  address TEXT PRIMARY KEY,
  document TEXT NOT NULL REFERENCES document_anew (key)
) STRICT, WITHOUT ROWID;
INSERT INTO document_address_anew SELECT address, document FROM document_address;

DROP TABLE document_address;
DROP TABLE document_reference;
DROP TABLE document_part;
DROP TABLE document;
ALTER TABLE document_anew RENAME TO document;
ALTER TABLE document_part_anew RENAME TO document_part;
ALTER TABLE document_reference_anew RENAME TO document_reference;
ALTER TABLE document_address_anew RENAME TO document_address;

-- A version is never given twice while a resource stands.
CREATE TRIGGER document_goes_on BEFORE UPDATE ON document WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'a resource goes from one version to the next'); END;
CREATE INDEX document_part_of ON document_part (document);
CREATE INDEX document_reference_to ON document_reference (target);
CREATE INDEX document_address_of ON document_address (document);

-- An interface is one machine's.
CREATE TABLE document_interface (
  interface TEXT PRIMARY KEY REFERENCES document (key),
  machine TEXT NOT NULL REFERENCES document (key)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_interface_of ON document_interface (machine);
