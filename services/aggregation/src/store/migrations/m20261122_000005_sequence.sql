-- What is known of a report: submission's number for it, which only grows; 0: from before there was one. Of what its unit
-- took back there are no figures, but the number, lest something older bring them back.
ALTER TABLE report ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
