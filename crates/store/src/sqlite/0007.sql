-- Who there is, which roles people made, and who was given which: each whole as JSON, and beside it what its
-- constraints need. Built-in roles are part of the program.

CREATE TABLE directory_principal (
  id TEXT PRIMARY KEY CHECK (id = lower(id) AND length(id) = 36),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') = id)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_definition (
  id TEXT PRIMARY KEY CHECK (id = lower(id) AND length(id) = 36),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') = id)
) STRICT, WITHOUT ROWID;

-- Somebody has a role at a scope once.
CREATE TABLE role_assignment (
  id TEXT PRIMARY KEY CHECK (id = lower(id) AND length(id) = 36),
  scope TEXT NOT NULL CHECK (scope = lower(scope)),
  role TEXT NOT NULL CHECK (role = lower(role)),
  principal TEXT NOT NULL REFERENCES directory_principal (id),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') = id
    AND json_extract(body, '$.role') = role AND json_extract(body, '$.principal') = principal
    AND lower(json_extract(body, '$.scope')) = scope),
  UNIQUE (scope, role, principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_assignment_of ON role_assignment (principal);

-- Who may activate which role, what it takes, and what was activated.
CREATE TABLE role_eligibility (
  id TEXT PRIMARY KEY CHECK (id = lower(id) AND length(id) = 36),
  principal TEXT NOT NULL REFERENCES directory_principal (id),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') = id
    AND json_extract(body, '$.principal') = principal)
) STRICT, WITHOUT ROWID;
CREATE INDEX role_eligibility_of ON role_eligibility (principal);

CREATE TABLE role_rules (
  role TEXT NOT NULL CHECK (role = lower(role)),
  scope TEXT NOT NULL CHECK (scope = lower(scope)),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.role') = role
    AND lower(json_extract(body, '$.scope')) = scope),
  PRIMARY KEY (role, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE role_activation (
  id TEXT PRIMARY KEY CHECK (id = lower(id) AND length(id) = 36),
  body TEXT NOT NULL CHECK (json_valid(body) AND json_extract(body, '$.id') = id)
) STRICT, WITHOUT ROWID;

-- How somebody must have signed in to ask for a port, as JSON; nothing where it does not matter.
ALTER TABLE rule ADD COLUMN sign_in TEXT CHECK (sign_in IS NULL OR json_valid(sign_in));

-- An access can end because who has it may no longer. A list in a constraint does not grow, so the table is made
-- anew.
CREATE TABLE access_anew (
  request INTEGER NOT NULL REFERENCES request (n),
  vm INTEGER NOT NULL REFERENCES resource (n),
  port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 999),
  vm_spelled TEXT,
  instance BLOB NOT NULL CHECK (length(instance) = 16),
  source TEXT NOT NULL,
  window TEXT NOT NULL CHECK (window IN ('until', 'for')),
  window_nanos INTEGER NOT NULL,
  stage TEXT NOT NULL CHECK (stage IN ('planned', 'granted', 'ended')),
  start INTEGER,
  since INTEGER,
  until INTEGER,
  until_boot BLOB CHECK (until_boot IS NULL OR length(until_boot) = 16),
  until_nanos INTEGER,
  ended INTEGER,
  reason TEXT CHECK (reason <> ''),
  reason_text TEXT,
  opened INTEGER,
  opened_by TEXT,
  closed INTEGER,
  closed_by TEXT,
  settled INTEGER NOT NULL CHECK (settled = (stage = 'ended' AND (opened IS NULL OR closed IS NOT NULL))),
  addresses TEXT CHECK (addresses <> ''),
  rules TEXT CHECK (rules IS NULL OR (stage = 'granted' AND json_array_length(rules) > 0)),
  mapped TEXT CHECK (mapped IS NULL OR (stage = 'granted' AND json_array_length(mapped) > 0)),
  PRIMARY KEY (request, vm, port),
  -- A stage carries its facts and no others.
  CHECK ((start IS NOT NULL) = (stage = 'planned')),
  CHECK (stage <> 'planned' OR (since IS NULL AND until IS NULL AND opened IS NULL)),
  CHECK (stage <> 'granted' OR (since IS NOT NULL AND until IS NOT NULL)),
  CHECK ((since IS NULL) = (until IS NULL)),
  CHECK (stage = 'granted' OR until_boot IS NULL),
  CHECK ((until_boot IS NULL) = (until_nanos IS NULL)),
  CHECK ((ended IS NOT NULL) = (stage = 'ended')),
  CHECK ((reason IS NOT NULL) = (stage = 'ended')),
  CHECK ((reason_text IS NOT NULL) = (reason IS NOT NULL AND reason IN ('Replaced', 'Failed'))),
  CHECK ((opened IS NULL) = (opened_by IS NULL)),
  CHECK ((closed IS NULL) = (closed_by IS NULL)),
  CHECK (closed IS NULL OR (stage = 'ended' AND opened IS NOT NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO access_anew (request, vm, port, position, vm_spelled, instance, source, window, window_nanos, stage,
  start, since, until, until_boot, until_nanos, ended, reason, reason_text, opened, opened_by, closed, closed_by,
  settled, addresses, rules, mapped)
SELECT request, vm, port, position, vm_spelled, instance, source, window, window_nanos, stage,
  start, since, until, until_boot, until_nanos, ended, reason, reason_text, opened, opened_by, closed, closed_by,
  settled, addresses, rules, mapped FROM access;
DROP TABLE access;
ALTER TABLE access_anew RENAME TO access;
CREATE INDEX access_of_vm ON access (vm);
CREATE INDEX access_unsettled ON access (request) WHERE settled = 0;
CREATE TRIGGER access_stays_ended BEFORE UPDATE ON access
WHEN OLD.stage = 'ended' AND (NEW.stage, NEW.ended, NEW.reason, NEW.reason_text, NEW.since, NEW.until)
  IS NOT (OLD.stage, OLD.ended, OLD.reason, OLD.reason_text, OLD.since, OLD.until)
BEGIN SELECT RAISE(ABORT, 'an ended access never revives'); END;
CREATE TRIGGER access_stays_granted BEFORE UPDATE ON access
WHEN NEW.stage = 'planned' AND OLD.stage <> 'planned'
BEGIN SELECT RAISE(ABORT, 'a begun access is not planned again'); END;
CREATE TRIGGER access_stays_itself BEFORE UPDATE ON access
WHEN (NEW.request, NEW.vm, NEW.port, NEW.instance, NEW.source, NEW.addresses)
  IS NOT (OLD.request, OLD.vm, OLD.port, OLD.instance, OLD.source, OLD.addresses)
BEGIN SELECT RAISE(ABORT, 'an access stays what was asked'); END;
CREATE TRIGGER access_stays_until_settled BEFORE DELETE ON access WHEN OLD.settled = 0
BEGIN SELECT RAISE(ABORT, 'an access that is not settled stays'); END;
