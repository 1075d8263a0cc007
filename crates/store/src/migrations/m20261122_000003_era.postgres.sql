DROP INDEX outbox_order;
CREATE INDEX outbox_order ON outbox (era, xid, seq);
-- Era 0 goes on where there are events: a process of the release before may still be writing to it.
INSERT INTO outbox_era (era, home)
SELECT
    CASE
        WHEN EXISTS (SELECT 1 FROM outbox) THEN 0
        ELSE (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    END,
    system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
FROM pg_control_system();
