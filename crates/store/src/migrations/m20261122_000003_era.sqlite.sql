CREATE INDEX outbox_order ON outbox (era, seq);
INSERT INTO outbox_era (era, home)
SELECT
    CASE
        WHEN EXISTS (SELECT 1 FROM outbox) THEN 0
        ELSE CAST(unixepoch('subsec') * 1000 AS integer)
    END,
    '';
