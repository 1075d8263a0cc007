-- JSON: the units to which the report goes, as its regime had it when the report was begun. Of those begun before this nobody
-- kept it: they are matched with no arrival.
ALTER TABLE report ADD COLUMN receivers text NOT NULL DEFAULT '[]';
-- When its unit took it back last.
ALTER TABLE report ADD COLUMN taken_back_us bigint;
-- Its document as sent by the unit, and as sent by the agency that hands over for it; null where it cannot be told from others.
ALTER TABLE report ADD COLUMN document_key uuid;
ALTER TABLE report ADD COLUMN agency_document_key uuid;
CREATE INDEX report_document ON report (document_key) WHERE document_key IS NOT NULL;
CREATE INDEX report_agency_document ON report (agency_document_key) WHERE agency_document_key IS NOT NULL;
-- The arrival that it is matched with. Written beside the versions of the report, and whatever state it is in.
ALTER TABLE report ADD COLUMN arrival_number text;
ALTER TABLE report ADD COLUMN arrival_us bigint;
-- What document systems say has arrived. What was noted does not change.
CREATE TABLE arrival (
    id uuid NOT NULL PRIMARY KEY,
    recipient_id uuid NOT NULL,
    -- Of the arrival, in Viet Nam: numbers begin anew with it.
    arrival_year integer NOT NULL,
    arrival_number text NOT NULL,
    arrival_us bigint NOT NULL,
    sender_code text NOT NULL,
    -- Who has that code, as far as that is known.
    sender_id uuid NOT NULL,
    document_number text NOT NULL,
    document_symbol text NOT NULL,
    document_date date NOT NULL,
    -- The document as sent by the sender.
    document_key uuid NOT NULL,
    author text NOT NULL,
    record_us bigint NOT NULL,
    -- The report that it is matched with.
    report_id uuid,
    ambiguous boolean NOT NULL,
    -- When it was declared void, by whom and why; null: it stands.
    void_us bigint,
    voider text,
    void_reason text
);
CREATE UNIQUE INDEX arrival_entry ON arrival (recipient_id, arrival_year, arrival_number) WHERE void_us IS NULL;
CREATE INDEX arrival_document ON arrival (document_key) WHERE void_us IS NULL;
CREATE INDEX arrival_in_order ON arrival (recipient_id, arrival_us, arrival_number, id);
-- An import of reports, and what came of it.
CREATE TABLE report_import (
    id uuid NOT NULL PRIMARY KEY,
    -- The unit below which its rows are.
    parent_id uuid NOT NULL,
    -- staged, refused or committed. One that is not committed is forgotten after a day.
    state text NOT NULL,
    received bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    submitted bigint NOT NULL,
    unchanged bigint NOT NULL,
    refused bigint NOT NULL,
    creator text NOT NULL,
    create_us bigint NOT NULL,
    committer text,
    commit_us bigint
);
-- Of those that are to be forgotten.
CREATE INDEX report_import_create ON report_import (parent_id, create_us) WHERE commit_us IS NULL;
CREATE TABLE report_import_row (
    import_id uuid NOT NULL REFERENCES report_import (id) ON DELETE CASCADE,
    -- Its place among them, from 1.
    place bigint NOT NULL,
    -- As it came, in the contract's form, while the import is staged: then it is in its report.
    content bytea,
    -- Where it stands in its file.
    number integer NOT NULL,
    -- As it came.
    unit text NOT NULL,
    -- created, updated, unchanged or refused.
    outcome text NOT NULL,
    submitted boolean NOT NULL,
    report_id uuid,
    -- Of outcome refused; else empty.
    field text NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    -- Findings of the report by it.
    errors integer NOT NULL,
    warnings integer NOT NULL,
    PRIMARY KEY (import_id, place)
);
