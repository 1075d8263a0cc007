-- What was answered to a request_id, so that the same request is answered the same again.
CREATE TABLE request_log (
    principal text NOT NULL,
    method text NOT NULL,
    request_id uuid NOT NULL,
    request_hash bytea NOT NULL,
    response bytea NOT NULL,
    expire_us bigint NOT NULL,
    PRIMARY KEY (principal, method, request_id)
);
CREATE INDEX request_log_expire ON request_log (expire_us);
-- How far the events of another service have been applied here.
CREATE TABLE consumed (owner text NOT NULL PRIMARY KEY, position text NOT NULL);
