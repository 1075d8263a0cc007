-- The one row: when the outbox's present history began, in milliseconds since 1970, and in which cluster it is at home.
CREATE TABLE outbox_era (era bigint NOT NULL, home text NOT NULL);
-- Positions that were given without an era are of era 0.
ALTER TABLE outbox ADD COLUMN era bigint NOT NULL DEFAULT 0;
