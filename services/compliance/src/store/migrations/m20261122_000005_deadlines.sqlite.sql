-- Waivers were kept for themselves. A UUID is kept as its 16 bytes: these are of version 4.
INSERT INTO decision (id, unit_id, subtree, below_only, regime, period, outcome, document, reason, author, create_us, concerned)
    SELECT randomblob(6) || unhex(printf('4%03x', abs(random()) % 4096)) || unhex(printf('8%03x', abs(random()) % 4096)) || randomblob(6),
        unit_id, 0, 0, regime, period, '"Waiver"', decision, reason, author, create_us, 1 FROM waiver;
UPDATE obligation SET waiver_id = (
    SELECT decision.id FROM decision
    WHERE decision.unit_id = obligation.unit_id AND decision.regime = obligation.regime AND decision.period = obligation.period
) WHERE waived_us IS NOT NULL;
DROP TABLE waiver;
UPDATE obligation SET area_id = unhex(substr(path, 2, 32)) WHERE area_id IS NULL;
