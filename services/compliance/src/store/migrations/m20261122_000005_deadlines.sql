-- Tiers, and where the unit stood on the cut-off day.
ALTER TABLE obligation ADD COLUMN tier smallint NOT NULL DEFAULT 1;
ALTER TABLE obligation ADD COLUMN level text NOT NULL DEFAULT 'commune';
ALTER TABLE obligation ADD COLUMN receiver_id uuid;
-- The unit at the top of the path, whose working calendar holds.
ALTER TABLE obligation ADD COLUMN area_id uuid;
ALTER TABLE obligation ADD COLUMN open_us bigint NOT NULL DEFAULT 0;
-- Before any extension.
ALTER TABLE obligation ADD COLUMN original_due_us bigint;
-- The last amendment of the calendars when it was computed, or when the report came.
ALTER TABLE obligation ADD COLUMN calendar_amendment bigint NOT NULL DEFAULT 0;
-- From when on a missing report is told; null: never.
ALTER TABLE obligation ADD COLUMN tell_us bigint;
ALTER TABLE obligation ADD COLUMN extension_id uuid;
ALTER TABLE obligation ADD COLUMN waiver_id uuid;
-- How far submission's word is known.
ALTER TABLE obligation ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
ALTER TABLE obligation ADD COLUMN return_us bigint;
ALTER TABLE obligation ADD COLUMN return_due_us bigint;
ALTER TABLE obligation ADD COLUMN return_told_us bigint;
ALTER TABLE obligation ADD COLUMN close_us bigint;
ALTER TABLE obligation ADD COLUMN close_reason text;
-- Who came after the unit, and since when.
ALTER TABLE obligation ADD COLUMN pass_us bigint;
ALTER TABLE obligation ADD COLUMN passed_to uuid;
-- Since when there is neither the unit nor anybody who came after it.
ALTER TABLE obligation ADD COLUMN abandon_us bigint;
-- The due generations that were told as missing, and whose telling was taken back.
ALTER TABLE obligation ADD COLUMN told_generation integer;
ALTER TABLE obligation ADD COLUMN retracted_generation integer;
UPDATE obligation SET original_due_us = due_us, tell_us = due_us;
-- Until now nothing said what was told but the absence of a next look.
UPDATE obligation SET told_generation = due_generation
    WHERE due_us IS NOT NULL AND next_check_us IS NULL AND receive_us IS NULL AND waived_us IS NULL;
-- What a decision took hold of.
CREATE INDEX obligation_extension ON obligation (extension_id) WHERE extension_id IS NOT NULL;
CREATE INDEX obligation_waiver ON obligation (waiver_id) WHERE waiver_id IS NOT NULL;
-- What is closed is looked at again whenever a unit has changed.
CREATE INDEX obligation_closed ON obligation (regime, period) WHERE close_us IS NOT NULL;
-- Who owes by the rule of opening.rs, so that a period whose debtors are the same is not planned again; null: not known.
ALTER TABLE opening ADD COLUMN fingerprint bigint;
-- The day on which it is looked at again though no unit changes.
ALTER TABLE opening ADD COLUMN look_again date;
-- What was opened before has neither receiver nor level: it is planned anew.
UPDATE opening SET hierarchy_version = 0;
-- What is owed in a province, in the order of lists.
CREATE INDEX obligation_area ON obligation (area_id, regime, period, unit_code, unit_id);
CREATE INDEX obligation_passed ON obligation (passed_to) WHERE passed_to IS NOT NULL;
-- What an amendment of a calendar can move, less what is closed: nobody has handed it over. It writes all of it, and a wider
-- index would take longer to write than it saves in reading.
CREATE INDEX obligation_unsettled ON obligation (regime, period) WHERE receive_us IS NULL;
ALTER TABLE receipt ADD COLUMN sequence bigint NOT NULL DEFAULT 0;
-- What is known of a report before it had a sequence: less than whatever is said of it from now on.
UPDATE receipt SET sequence = 1;
UPDATE obligation SET sequence = 1 WHERE receive_us IS NOT NULL;
-- Taken back: there is a row, and no report is received.
ALTER TABLE receipt ADD COLUMN withdrawn boolean NOT NULL DEFAULT false;
ALTER TABLE receipt ADD COLUMN return_us bigint;
ALTER TABLE receipt ADD COLUMN return_due_us bigint;
-- Each time a due time moved.
CREATE TABLE due_change (
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    due_generation integer NOT NULL,
    old_us bigint,
    new_us bigint,
    -- calendar, extension, revocation or unit.
    cause text NOT NULL,
    -- The name of the decision or of the amendment.
    reference text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    create_us bigint NOT NULL,
    PRIMARY KEY (regime, period, unit_id, due_generation)
);
CREATE INDEX due_change_reference ON due_change (reference, regime, period, unit_id);
-- Waivers and extensions.
CREATE TABLE decision (
    id uuid NOT NULL PRIMARY KEY,
    unit_id uuid NOT NULL,
    subtree boolean NOT NULL,
    below_only boolean NOT NULL,
    regime text,
    period text,
    due_from date,
    due_through date,
    -- JSON: a waiver, or an extension with its date or its working days.
    outcome text NOT NULL,
    document text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    create_us bigint NOT NULL,
    concerned bigint NOT NULL,
    request_id uuid,
    revoke_us bigint,
    revoker text,
    revoke_document text,
    revoke_reason text
);
CREATE INDEX decision_unit ON decision (unit_id, create_us, id);
CREATE INDEX decision_in_force ON decision (regime, period) WHERE revoke_us IS NULL;
-- What units ask for.
CREATE TABLE obligation_request (
    id uuid NOT NULL PRIMARY KEY,
    regime text NOT NULL,
    period text NOT NULL,
    unit_id uuid NOT NULL,
    kind text NOT NULL,
    asked_due date,
    reason text NOT NULL,
    state text NOT NULL,
    author text NOT NULL,
    create_us bigint NOT NULL,
    decider text,
    decide_us bigint,
    answer text,
    decision_id uuid
);
CREATE INDEX obligation_request_of ON obligation_request (unit_id, create_us, id);
-- One that nobody has decided, of a kind, for an obligation.
CREATE UNIQUE INDEX obligation_request_pending ON obligation_request (regime, period, unit_id, kind)
    WHERE state = 'pending';
-- What was said of which days, one row for each amendment of any calendar.
CREATE TABLE calendar_amendment (
    number bigint NOT NULL PRIMARY KEY,
    -- Null: the nation's.
    unit_id uuid,
    -- JSON: the days, the office hours, and which due times moved.
    content text NOT NULL,
    legal_basis text NOT NULL,
    reason text NOT NULL,
    author text NOT NULL,
    create_us bigint NOT NULL,
    -- The calendar's version after it, and how many due times it moved.
    version text NOT NULL,
    moved bigint NOT NULL,
    no_longer_due bigint NOT NULL
);
-- What a sweep has to look at, in the order in which it does: all of it is read from the index, and nothing else.
DROP INDEX obligation_next_check;
CREATE INDEX obligation_next_check ON obligation (next_check_us, regime, period, unit_id)
    WHERE next_check_us IS NOT NULL;
CREATE INDEX notice_order ON notice (detect_us, id);
-- Notices that are being put together: what falls due at once can be more than one transaction takes.
CREATE TABLE digest (
    regime text NOT NULL,
    period text NOT NULL,
    rung text NOT NULL,
    recipient uuid NOT NULL,
    -- 0: none any more.
    due_us bigint NOT NULL,
    notice_id uuid NOT NULL,
    since_us bigint NOT NULL,
    subject_count bigint NOT NULL,
    -- JSON: the first of the subjects, as the text has them.
    named text NOT NULL,
    PRIMARY KEY (regime, period, rung, recipient, due_us)
);
-- What sweeps know of each other.
CREATE TABLE sweep_mark (
    name text NOT NULL PRIMARY KEY,
    -- The latest moment for which one was done, and when one succeeded last.
    swept_us bigint NOT NULL,
    success_us bigint
);
