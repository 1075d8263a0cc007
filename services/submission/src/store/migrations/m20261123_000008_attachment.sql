-- Files of reports. What a file holds is a blob elsewhere, under the id of its row; it is there before the row is.
CREATE TABLE attachment (
    id uuid PRIMARY KEY NOT NULL,
    report_id uuid NOT NULL,
    file_name text NOT NULL,
    media_type text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 text NOT NULL,
    create_us bigint NOT NULL,
    author text NOT NULL,
    -- The version that the report had once the file was on it, and once it was off it again: revisions between have the file.
    attach_version bigint NOT NULL,
    detach_version bigint,
    detach_us bigint,
    erase_us bigint,
    eraser text,
    erase_reason text,
    -- Of what was erased: whether its blob is known to be gone.
    blob_gone boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX attachment_of_report ON attachment (report_id, attach_version);
-- What is left to be done.
CREATE INDEX attachment_to_erase ON attachment (id) WHERE erase_us IS NOT NULL AND NOT blob_gone;
CREATE INDEX attachment_detached ON attachment (detach_us) WHERE detach_us IS NOT NULL AND erase_us IS NULL;
