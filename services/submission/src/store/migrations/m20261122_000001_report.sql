-- What units hand over. A row of state submitted is never written again.
CREATE TABLE report (
    id uuid NOT NULL PRIMARY KEY,
    unit_id uuid NOT NULL,
    -- Without regimes/.
    regime text NOT NULL,
    period text NOT NULL,
    form text NOT NULL,
    -- What the regime said when the report was begun.
    window_first date NOT NULL,
    window_cut_off date NOT NULL,
    cut_off_as_declared boolean NOT NULL,
    -- draft or submitted.
    state text NOT NULL,
    -- Of the state submitted.
    receive_us bigint,
    receipt_evidence text,
    submitter text,
    -- JSON: the head and foot, and the figures.
    document text NOT NULL,
    figures text NOT NULL,
    narrative text NOT NULL,
    declared_cut_off date,
    -- JSON.
    findings text NOT NULL,
    create_us bigint NOT NULL,
    update_us bigint NOT NULL,
    version bigint NOT NULL
);
-- One unit has one report per regime and period.
CREATE UNIQUE INDEX report_of ON report (regime, period, unit_id);
CREATE INDEX report_of_unit ON report (unit_id, create_us, id);
CREATE INDEX report_in_order ON report (create_us, id);
