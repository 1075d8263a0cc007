-- Set while a report was sent back and is not there again. Its state stays submitted, so that a process of the release
-- before reads it as handed over and leaves it alone.
ALTER TABLE report ADD COLUMN return_us bigint;
ALTER TABLE report ADD COLUMN return_due_us bigint;
-- How often it was handed over, without the one that stands.
ALTER TABLE report ADD COLUMN past_revisions integer NOT NULL DEFAULT 0;
-- When and on what grounds what stands was received; null: receive_us is of the same.
ALTER TABLE report ADD COLUMN last_receive_us bigint;
ALTER TABLE report ADD COLUMN last_receipt_evidence text;
-- What was done to reports; rows are added, and neither changed nor removed. What stands as handed over is in its report,
-- where nothing changes it; its act comes here, with its content, when the report is taken back or sent back.
CREATE TABLE report_act (
    report_id uuid NOT NULL,
    -- That the act gave to the report.
    version bigint NOT NULL,
    -- submitted, withdrawn or returned.
    kind text NOT NULL,
    revision integer NOT NULL,
    act_us bigint NOT NULL,
    record_us bigint NOT NULL,
    author text NOT NULL,
    -- Empty for submitted.
    reason text NOT NULL,
    -- Of kind returned.
    return_due_us bigint,
    -- Of kind submitted, as are all that follow: they are the report as it was.
    receipt_evidence text,
    first_receive_us bigint,
    first_receipt_evidence text,
    document text,
    figures text,
    narrative text,
    declared_cut_off date,
    findings text,
    submitting_unit_id uuid,
    PRIMARY KEY (report_id, version)
);
