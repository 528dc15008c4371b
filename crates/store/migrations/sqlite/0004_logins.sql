CREATE TABLE account_tags (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    tags TEXT NOT NULL
);

CREATE TABLE account_link (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    may_refresh BIGINT NOT NULL
);
