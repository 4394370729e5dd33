-- Where JIT's own rules stand in security groups, as JSON: the denies of a port, and the rules of an access
-- that runs. They stand beside the groups, whose documents hold other people's rules alone.

ALTER TABLE rule ADD COLUMN exceptions TEXT NOT NULL DEFAULT 'Stay'
  CHECK (exceptions IN ('Stay', 'Taken'));
ALTER TABLE rule ADD COLUMN denies TEXT
  CHECK (denies IS NULL OR json_array_length(denies) > 0);

-- The addresses of its VM that an access is for; all of them where it names none.
ALTER TABLE access ADD COLUMN addresses TEXT CHECK (addresses <> '');
ALTER TABLE access ADD COLUMN rules TEXT
  CHECK (rules IS NULL OR (stage = 'granted' AND json_array_length(rules) > 0));

DROP TRIGGER access_stays_itself;
CREATE TRIGGER access_stays_itself BEFORE UPDATE ON access
WHEN (NEW.request, NEW.vm, NEW.port, NEW.instance, NEW.source, NEW.addresses)
  IS NOT (OLD.request, OLD.vm, OLD.port, OLD.instance, OLD.source, OLD.addresses)
BEGIN SELECT RAISE(ABORT, 'an access stays what was asked'); END;
