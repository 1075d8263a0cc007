-- Counts the changes of everything below: whoever holds a copy sees by it whether the copy still holds.
CREATE TABLE hierarchy (
    id bigint NOT NULL PRIMARY KEY CHECK (id = 1),
    version bigint NOT NULL
);
INSERT INTO hierarchy (id, version) VALUES (1, 0);
-- What a unit is stands in its versions; this is that it is the same one.
CREATE TABLE unit (id uuid NOT NULL PRIMARY KEY);
-- What held for a unit from valid_from (null: unknown) until the day before valid_until (null: still so).
CREATE TABLE unit_version (
    unit_id uuid NOT NULL REFERENCES unit (id),
    number bigint NOT NULL,
    valid_from date,
    valid_until date,
    display_name text NOT NULL,
    kind text NOT NULL,
    level text NOT NULL,
    parent_id uuid REFERENCES unit (id),
    PRIMARY KEY (unit_id, number),
    CHECK (valid_from < valid_until)
);
-- Which codes it held when.
CREATE TABLE unit_identifier (
    unit_id uuid NOT NULL REFERENCES unit (id),
    number bigint NOT NULL,
    scheme text NOT NULL,
    value text NOT NULL,
    valid_from date,
    valid_until date,
    PRIMARY KEY (unit_id, number),
    CHECK (valid_from < valid_until)
);
