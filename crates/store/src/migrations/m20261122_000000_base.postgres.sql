-- The transaction stands beside the number: numbers are drawn before they are committed, in no order of commits.
CREATE TABLE outbox (
    seq bigserial PRIMARY KEY,
    xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    event_id uuid NOT NULL,
    event_us bigint NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX outbox_order ON outbox (xid, seq);
