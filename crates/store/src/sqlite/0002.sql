-- The network's resources. What stands is in `body`, whole; the tables beside it state the rules of the core a
-- second time, and nothing is ever read from them.

CREATE TABLE document (
  key TEXT PRIMARY KEY CHECK (key = lower(id)),
  id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('virtualNetworks', 'networkSecurityGroups',
    'applicationSecurityGroups', 'publicIPAddresses', 'networkInterfaces')),
  grp TEXT NOT NULL CHECK (grp = lower(grp)),
  name TEXT NOT NULL CHECK (name = lower(name)),
  version INTEGER NOT NULL CHECK (version > 0),
  body TEXT NOT NULL CHECK (json_valid(body)),
  CHECK (json_extract(body, '$.id') = id AND json_extract(body, '$.version') = version)
) STRICT, WITHOUT ROWID;

-- A version is never given twice while a resource stands.
CREATE TRIGGER document_goes_on BEFORE UPDATE ON document WHEN NEW.version <> OLD.version + 1
BEGIN SELECT RAISE(ABORT, 'a resource goes from one version to the next'); END;

-- What can be referred to: each resource, and each subnet of a network.
CREATE TABLE document_part (
  key TEXT PRIMARY KEY CHECK (key = lower(key)),
  document TEXT NOT NULL REFERENCES document (key)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_part_of ON document_part (document);

-- Nothing refers to what does not exist, and what is in use stays.
CREATE TABLE document_reference (
  referrer TEXT NOT NULL REFERENCES document (key),
  target TEXT NOT NULL REFERENCES document_part (key),
  PRIMARY KEY (referrer, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_reference_to ON document_reference (target);

-- An address is one interface's: guards tell machines apart by it.
CREATE TABLE document_address (
  address TEXT PRIMARY KEY,
  document TEXT NOT NULL REFERENCES document (key)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_address_of ON document_address (document);
