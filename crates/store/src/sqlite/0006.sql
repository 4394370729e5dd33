-- The ports of firewalls' public addresses that lead to what an access opens while it runs, as JSON.

ALTER TABLE access ADD COLUMN mapped TEXT
  CHECK (mapped IS NULL OR (stage = 'granted' AND json_array_length(mapped) > 0));
