-- The rows, with the rules of the core stated a second time (the core decides; this catches its bugs).
-- Keys are folded to lower case; `id` beside them is as it was written. Times are nanoseconds UTC.

CREATE TABLE meta (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE vm (
  key TEXT PRIMARY KEY CHECK (key = lower(id)),
  id TEXT NOT NULL,
  grp TEXT NOT NULL CHECK (grp = lower(grp)),
  name TEXT NOT NULL CHECK (name = lower(name)),
  instance BLOB NOT NULL CHECK (length(instance) = 16),
  location TEXT NOT NULL,
  os TEXT NOT NULL CHECK (os IN ('Linux', 'Windows', 'Unknown'))
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_by_name ON vm (name);

-- An address is one VM's.
CREATE TABLE vm_address (
  address TEXT PRIMARY KEY,
  vm TEXT NOT NULL REFERENCES vm (key) ON DELETE CASCADE,
  position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 63),
  UNIQUE (vm, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE policy (
  key TEXT PRIMARY KEY CHECK (key = lower(id)),
  id TEXT NOT NULL,
  grp TEXT NOT NULL CHECK (grp = lower(grp)),
  location TEXT NOT NULL CHECK (location = lower(location)),
  kind TEXT,
  version INTEGER NOT NULL CHECK (version > 0),
  confirm_wall INTEGER,
  confirm_boot BLOB CHECK (confirm_boot IS NULL OR length(confirm_boot) = 16),
  confirm_nanos INTEGER,
  confirm_before TEXT,
  CHECK (confirm_wall IS NOT NULL OR (confirm_boot IS NULL AND confirm_before IS NULL)),
  CHECK ((confirm_boot IS NULL) = (confirm_nanos IS NULL))
) STRICT, WITHOUT ROWID;

-- No reference to vm: a roll-back brings back a VM that was unregistered meanwhile.
CREATE TABLE member (
  vm TEXT NOT NULL,
  policy TEXT NOT NULL REFERENCES policy (key) ON DELETE CASCADE,
  vm_id TEXT NOT NULL CHECK (vm = lower(vm_id)),
  instance BLOB NOT NULL CHECK (length(instance) = 16),
  position INTEGER NOT NULL CHECK (position >= 0),
  placement TEXT NOT NULL CHECK (placement IN ('Nic', 'NicAndSubnet')),
  PRIMARY KEY (vm, policy)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_policy ON member (policy);

-- A port of a VM is in one policy.
CREATE TABLE rule (
  vm TEXT NOT NULL,
  port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  policy TEXT NOT NULL,
  position INTEGER NOT NULL CHECK (position BETWEEN 0 AND 99),
  protocol TEXT NOT NULL CHECK (protocol IN ('Tcp', 'Any')),
  form TEXT NOT NULL CHECK (form IN ('One', 'List')),
  sources TEXT NOT NULL CHECK (sources <> ''),
  longest INTEGER NOT NULL CHECK (longest BETWEEN 1 AND 86400000000000),
  approval TEXT NOT NULL CHECK (approval = 'NotNeeded'),
  sessions TEXT NOT NULL CHECK (sessions IN ('GoOn', 'EndWithAccess')),
  widest_v4 INTEGER NOT NULL CHECK (widest_v4 BETWEEN 0 AND 32),
  widest_v6 INTEGER NOT NULL CHECK (widest_v6 BETWEEN 0 AND 128),
  other_addresses TEXT NOT NULL CHECK (other_addresses IN ('Approval', 'Allowed')),
  PRIMARY KEY (vm, port),
  FOREIGN KEY (vm, policy) REFERENCES member (vm, policy) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX rule_by_member ON rule (policy, vm);

-- Ids that rows of requests name by number. Kept for as long as the history is.
CREATE TABLE resource (
  n INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE CHECK (key = lower(id)),
  id TEXT NOT NULL
) STRICT;

-- In the order in which they were asked, so that new ones lie together on the disk.
CREATE TABLE request (
  n INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK (length(id) = 6 AND id NOT GLOB '*[^0-9a-z]*'),
  policy INTEGER NOT NULL REFERENCES resource (n),
  -- As it was written here, if it was first written otherwise.
  policy_spelled TEXT,
  person TEXT NOT NULL,
  name TEXT NOT NULL,
  upn TEXT,
  created INTEGER NOT NULL,
  justification TEXT,
  ticket TEXT,
  -- Whether an access of it waits or runs, and when the last one ended if none does.
  live INTEGER NOT NULL CHECK (live IN (0, 1)),
  ended INTEGER,
  CHECK ((live = 0) = (ended IS NOT NULL))
) STRICT;
CREATE INDEX request_by_time ON request (created);
CREATE INDEX request_of_policy ON request (policy, live, created);
CREATE INDEX request_live ON request (created) WHERE live = 1;

CREATE TABLE access (
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
  reason TEXT CHECK (reason IN
    ('Expired', 'UserRequested', 'Replaced', 'PolicyChanged', 'Lapsed', 'Failed')),
  reason_text TEXT,
  opened INTEGER,
  opened_by TEXT,
  closed INTEGER,
  closed_by TEXT,
  settled INTEGER NOT NULL CHECK (settled = (stage = 'ended' AND (opened IS NULL OR closed IS NOT NULL))),
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
CREATE INDEX access_of_vm ON access (vm);
CREATE INDEX access_unsettled ON access (request) WHERE settled = 0;

-- What ended never revives, and how it ended is not rewritten.
CREATE TRIGGER access_stays_ended BEFORE UPDATE ON access
WHEN OLD.stage = 'ended' AND (NEW.stage, NEW.ended, NEW.reason, NEW.reason_text, NEW.since, NEW.until)
  IS NOT (OLD.stage, OLD.ended, OLD.reason, OLD.reason_text, OLD.since, OLD.until)
BEGIN SELECT RAISE(ABORT, 'an ended access never revives'); END;
-- Nor does it begin twice, nor become a request for something else.
CREATE TRIGGER access_stays_granted BEFORE UPDATE ON access
WHEN NEW.stage = 'planned' AND OLD.stage <> 'planned'
BEGIN SELECT RAISE(ABORT, 'a begun access is not planned again'); END;
CREATE TRIGGER access_stays_itself BEFORE UPDATE ON access
WHEN (NEW.request, NEW.vm, NEW.port, NEW.instance, NEW.source)
  IS NOT (OLD.request, OLD.vm, OLD.port, OLD.instance, OLD.source)
BEGIN SELECT RAISE(ABORT, 'an access stays what was asked'); END;
CREATE TRIGGER access_stays_until_settled BEFORE DELETE ON access WHEN OLD.settled = 0
BEGIN SELECT RAISE(ABORT, 'an access that is not settled stays'); END;

-- Locks given back and not yet seen gone. The VM whose they were may be forgotten by now.
CREATE TABLE released (
  address TEXT NOT NULL,
  port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
  vm TEXT,
  PRIMARY KEY (address, port)
) STRICT, WITHOUT ROWID;

CREATE TABLE principal (
  client BLOB PRIMARY KEY CHECK (length(client) = 16),
  object BLOB NOT NULL UNIQUE CHECK (length(object) = 16),
  name TEXT NOT NULL,
  secret_digest BLOB NOT NULL CHECK (length(secret_digest) = 32)
) STRICT, WITHOUT ROWID;

-- The log: docs/decisions/0010-log-format.md.
CREATE TABLE log (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  seal BLOB NOT NULL CHECK (length(seal) = 32)
) STRICT;
CREATE TRIGGER log_is_not_rewritten BEFORE UPDATE ON log
BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_is_not_cut BEFORE DELETE ON log
BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;
CREATE TRIGGER log_has_no_gap BEFORE INSERT ON log
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM log)
BEGIN SELECT RAISE(ABORT, 'the log is only appended to'); END;

-- What tells of people, beside the log, so that it can be erased and the chain stands.
CREATE TABLE personal (
  seq INTEGER NOT NULL REFERENCES log (seq),
  path TEXT NOT NULL,
  salt BLOB NOT NULL CHECK (length(salt) = 16),
  text TEXT NOT NULL,
  PRIMARY KEY (seq, path)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER personal_is_not_rewritten BEFORE UPDATE ON personal
BEGIN SELECT RAISE(ABORT, 'personal data is written once, and can only be erased'); END;

-- The last record, and the seal over what stands: rows without their event are found by it.
CREATE TABLE head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL CHECK (seq >= 0),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  seal BLOB NOT NULL CHECK (length(seal) = 32),
  highest INTEGER,
  rows_version INTEGER NOT NULL,
  rows_seal BLOB NOT NULL CHECK (length(rows_seal) = 32)
) STRICT;
CREATE TRIGGER head_stays BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'the log has a head'); END;
