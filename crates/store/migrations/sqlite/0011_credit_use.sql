-- The last try of an account to consume a reset credit: it is claimed here before anything is sent, so that of several clicks, nodes and
-- commands one sends it.
CREATE TABLE credit_use (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    request_id TEXT NOT NULL,
    until BIGINT NOT NULL,
    done BIGINT NOT NULL
);
