-- Begun whenever an amendment moves the due time.
ALTER TABLE dossier ADD COLUMN due_generation integer NOT NULL DEFAULT 1;
-- Each time an amendment of a calendar moved the due time of a dossier; the amendment says why.
CREATE TABLE dossier_due_change (
    unit_id uuid NOT NULL,
    number text NOT NULL,
    amendment bigint NOT NULL,
    old_us bigint NOT NULL,
    new_us bigint NOT NULL,
    PRIMARY KEY (unit_id, number, amendment)
);
-- What an amendment can move.
CREATE INDEX dossier_pending ON dossier (due_us) WHERE record_us IS NULL;
ALTER TABLE calendar_amendment ADD COLUMN moved_dossiers bigint NOT NULL DEFAULT 0;
ALTER TABLE calendar_amendment ADD COLUMN dossiers_no_longer_due bigint NOT NULL DEFAULT 0;
