-- The tiers of plans that somebody set; a subscription without a row has the one that it began with.

CREATE TABLE pricing (
  subscription TEXT PRIMARY KEY CHECK (subscription = lower(subscription) AND length(subscription) = 36),
  tier TEXT NOT NULL CHECK (tier IN ('Free', 'Standard'))
) STRICT, WITHOUT ROWID;
