-- An import of units, and what came of it.
CREATE TABLE unit_import (
    id uuid NOT NULL PRIMARY KEY,
    -- staged, refused or committed.
    state text NOT NULL,
    received bigint NOT NULL,
    created bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    refused bigint NOT NULL,
    creator text NOT NULL,
    create_us bigint NOT NULL,
    committer text,
    commit_us bigint,
    -- The version of the hierarchy that its rows were judged by.
    judged_version bigint NOT NULL,
    -- The version that it made: its place in the record, beside the reorganisations. One without changed nothing, and is
    -- forgotten.
    version bigint UNIQUE
);
CREATE INDEX unit_import_create ON unit_import (create_us, id);
-- Its rows as they came, in the contract's form. Of one that made a version they are kept for ever: the record is built
-- again from them.
CREATE TABLE unit_import_row (
    import_id uuid NOT NULL REFERENCES unit_import (id) ON DELETE CASCADE,
    -- Its place among them, from 1.
    number bigint NOT NULL,
    content bytea NOT NULL,
    -- The unit that it is about, which there need not be; null where it does not read.
    unit_id uuid,
    -- What became of it, a word of the contract.
    outcome text NOT NULL,
    -- What is wrong with it, in the contract's form; null: nothing.
    problems bytea,
    PRIMARY KEY (import_id, number)
);
