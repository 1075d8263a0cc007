-- Forms that were published here; what came with the program has a row only once it is retired. Of a row nothing changes but
-- that it is retired, once: by how many rows there are, and how many are retired, a process sees whether it knows them all.
CREATE TABLE form (
    -- Without forms/.
    id text NOT NULL PRIMARY KEY,
    -- JSON; null: it came with the program.
    content text,
    author text NOT NULL,
    create_us bigint NOT NULL,
    retire_us bigint,
    retire_reason text
);
