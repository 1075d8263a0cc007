CREATE TABLE outbox (
    seq integer PRIMARY KEY AUTOINCREMENT,
    xid bigint NOT NULL DEFAULT 0,
    event_id uuid NOT NULL,
    event_us bigint NOT NULL,
    payload bytea NOT NULL
);
