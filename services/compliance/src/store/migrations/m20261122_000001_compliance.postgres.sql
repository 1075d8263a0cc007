-- SQLite compares text by its bytes; a locale of PostgreSQL would order pages otherwise.
ALTER TABLE regime ALTER COLUMN id TYPE text COLLATE "C";
ALTER TABLE obligation
    ALTER COLUMN regime TYPE text COLLATE "C",
    ALTER COLUMN period TYPE text COLLATE "C",
    ALTER COLUMN unit_code TYPE text COLLATE "C";
ALTER TABLE dossier ALTER COLUMN number TYPE text COLLATE "C";
