CREATE TABLE regime (
    id text NOT NULL PRIMARY KEY,
    content text NOT NULL,
    create_us bigint NOT NULL
);
-- Which periods have been opened, and by which version of the hierarchy.
CREATE TABLE opening (
    regime text NOT NULL,
    period text NOT NULL,
    hierarchy_version bigint NOT NULL,
    PRIMARY KEY (regime, period)
);
CREATE TABLE obligation (
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    unit_code text NOT NULL,
    -- The unit and those above it on the cut-off day, from the top: /hex/hex/
    path text NOT NULL,
    due_us bigint,
    due_generation integer NOT NULL,
    receive_us bigint,
    report_id uuid,
    waived_us bigint,
    hierarchy_version bigint NOT NULL,
    -- When a sweep has to look at it next; null when nothing is left to tell.
    next_check_us bigint,
    PRIMARY KEY (regime, period, unit_id)
);
CREATE INDEX obligation_next_check ON obligation (next_check_us) WHERE next_check_us IS NOT NULL;
CREATE INDEX obligation_order ON obligation (regime, period, unit_code, unit_id);
-- What submission said, whether or not anybody owes it here.
CREATE TABLE receipt (
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    report_id uuid NOT NULL,
    receive_us bigint NOT NULL,
    PRIMARY KEY (regime, period, unit_id)
);
CREATE TABLE waiver (
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    decision text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    create_us bigint NOT NULL,
    PRIMARY KEY (regime, period, unit_id)
);
CREATE TABLE dossier (
    unit_id uuid NOT NULL,
    number text NOT NULL,
    field text NOT NULL,
    online boolean NOT NULL,
    receive_us bigint NOT NULL,
    term text NOT NULL,
    due_us bigint NOT NULL,
    due_by_instant boolean NOT NULL,
    complete_us bigint,
    record_us bigint,
    next_check_us bigint,
    PRIMARY KEY (unit_id, number)
);
CREATE INDEX dossier_next_check ON dossier (next_check_us) WHERE next_check_us IS NOT NULL;
CREATE INDEX dossier_due ON dossier (unit_id, due_us);
CREATE TABLE notice (
    id uuid NOT NULL PRIMARY KEY,
    recipient uuid NOT NULL,
    regime text,
    period text,
    rung text NOT NULL,
    detect_us bigint NOT NULL,
    body text NOT NULL
);
CREATE INDEX notice_recipient ON notice (recipient, detect_us, id);
-- The claim: whoever inserts the row tells it, and nobody tells it again.
CREATE TABLE notice_subject (
    subject text NOT NULL,
    rung text NOT NULL,
    due_generation integer NOT NULL,
    recipient uuid NOT NULL,
    channel text NOT NULL,
    notice_id uuid NOT NULL,
    PRIMARY KEY (subject, rung, due_generation, recipient, channel)
);
CREATE INDEX notice_subject_notice ON notice_subject (notice_id);
