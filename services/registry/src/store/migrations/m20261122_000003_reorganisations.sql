-- What happened to units on one day, by one decision. None is ever changed or deleted; a wrong one has another in its place.
CREATE TABLE reorganisation (
    id text NOT NULL PRIMARY KEY,
    effective date NOT NULL,
    -- The version of the hierarchy that it made: its place in the record, beside the imports.
    version bigint NOT NULL UNIQUE,
    -- In the place of which one it stands.
    corrects text REFERENCES reorganisation (id),
    -- Which one stands in its place; null while it holds.
    corrected_by text REFERENCES reorganisation (id),
    creator text NOT NULL,
    create_us bigint NOT NULL,
    -- As it was stated, in the contract's form: without its changes, as lists have it, and whole.
    head bytea NOT NULL,
    body bytea NOT NULL
);
CREATE UNIQUE INDEX reorganisation_corrects ON reorganisation (corrects);
CREATE INDEX reorganisation_effective ON reorganisation (effective, version);
-- What passed from which unit to which. It follows from the reorganisations that hold.
CREATE TABLE unit_edge (
    predecessor_id uuid NOT NULL REFERENCES unit (id),
    successor_id uuid NOT NULL REFERENCES unit (id),
    effective date NOT NULL,
    kind text NOT NULL,
    reorganisation text NOT NULL REFERENCES reorganisation (id),
    PRIMARY KEY (predecessor_id, successor_id, effective, kind, reorganisation)
);
