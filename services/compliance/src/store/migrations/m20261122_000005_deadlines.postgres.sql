-- SQLite compares text by its bytes; a locale of PostgreSQL would order pages otherwise.
ALTER TABLE due_change
    ALTER COLUMN regime TYPE text COLLATE "C",
    ALTER COLUMN period TYPE text COLLATE "C";
-- Waivers were kept for themselves.
INSERT INTO decision (id, unit_id, subtree, below_only, regime, period, outcome, document, reason, author, create_us, concerned)
    SELECT gen_random_uuid(), unit_id, false, false, regime, period, '"Waiver"', decision, reason, author, create_us, 1 FROM waiver;
UPDATE obligation SET waiver_id = (
    SELECT decision.id FROM decision
    WHERE decision.unit_id = obligation.unit_id AND decision.regime = obligation.regime AND decision.period = obligation.period
) WHERE waived_us IS NOT NULL;
DROP TABLE waiver;
UPDATE obligation SET area_id = substring(path FROM 2 FOR 32)::uuid WHERE area_id IS NULL;
ALTER TABLE digest
    ALTER COLUMN regime TYPE text COLLATE "C",
    ALTER COLUMN period TYPE text COLLATE "C";
