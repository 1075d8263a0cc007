-- The span in which the event was written, as the W3C writes it: what it causes belongs to the same trace.
ALTER TABLE outbox ADD COLUMN traceparent text;
