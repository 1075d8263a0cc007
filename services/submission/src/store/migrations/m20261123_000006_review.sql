-- Nothing occurred in the period: there are no figures.
ALTER TABLE report ADD COLUMN nil boolean NOT NULL DEFAULT false;
-- JSON: the unit's answers to findings, and the files on it.
ALTER TABLE report ADD COLUMN justifications text NOT NULL DEFAULT '[]';
ALTER TABLE report ADD COLUMN files text NOT NULL DEFAULT '[]';
-- How many levels of review the regime asked for when the report was begun.
ALTER TABLE report ADD COLUMN review_levels smallint NOT NULL DEFAULT 0;
-- JSON: at which levels what stands was accepted.
ALTER TABLE report ADD COLUMN acceptances text NOT NULL DEFAULT '[]';
-- It was accepted at every level. Its state stays submitted: it is handed over.
ALTER TABLE report ADD COLUMN accepted boolean NOT NULL DEFAULT false;
-- The same of what was handed over.
ALTER TABLE report_act ADD COLUMN nil boolean NOT NULL DEFAULT false;
ALTER TABLE report_act ADD COLUMN justifications text;
ALTER TABLE report_act ADD COLUMN files text;
-- Of kind accepted.
ALTER TABLE report_act ADD COLUMN review_level smallint;
