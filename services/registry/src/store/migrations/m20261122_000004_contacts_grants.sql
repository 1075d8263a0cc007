-- Whom to turn to at a unit from valid_from until the day before valid_until (null: none is known). Changed by its end alone.
CREATE TABLE contact (
    id uuid NOT NULL PRIMARY KEY,
    unit_id uuid NOT NULL REFERENCES unit (id),
    -- 1 reporter, 2 head, 3 supervisor: the order of lists, which text is not on every engine.
    role bigint NOT NULL,
    display_name text NOT NULL,
    email text NOT NULL,
    phone text NOT NULL,
    subject text NOT NULL,
    valid_from date NOT NULL,
    valid_until date,
    creator text NOT NULL,
    create_us bigint NOT NULL,
    -- Who ended it, when and why; null while nobody did.
    ender text,
    end_us bigint,
    end_reason text,
    CHECK (valid_from < valid_until)
);
CREATE INDEX contact_listed ON contact (unit_id, role, valid_from, id);
-- Counts the changes of the grants: whoever holds a copy sees by it whether the copy still holds.
CREATE TABLE grants_version (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL
);
INSERT INTO grants_version (id, version) VALUES (1, 0);
-- Who holds which role over a unit and all below it, or a regime, or everything where both are null. Changed by its
-- revocation alone.
CREATE TABLE role_grant (
    id uuid NOT NULL PRIMARY KEY,
    subject text NOT NULL,
    role text NOT NULL,
    unit_id uuid REFERENCES unit (id),
    regime text,
    valid_from date,
    valid_until date,
    reason text NOT NULL,
    creator text NOT NULL,
    create_us bigint NOT NULL,
    -- Who revoked it, when and why; null while nobody did.
    revoker text,
    revoke_us bigint,
    revoke_reason text,
    CHECK (valid_from < valid_until),
    CHECK (unit_id IS NULL OR regime IS NULL)
);
CREATE INDEX role_grant_listed ON role_grant (create_us, id);
CREATE INDEX role_grant_subject ON role_grant (subject);
CREATE INDEX role_grant_unit ON role_grant (unit_id);
