-- The agency that hands the report over, where that is not the unit itself.
ALTER TABLE report ADD COLUMN submitting_unit_id uuid;
