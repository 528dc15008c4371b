-- Sealed columns: account.access, account.refresh, account.identity, cookies.jar, setting 'pepper'.
CREATE TABLE setting (
    name TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

CREATE TABLE account (
    id TEXT PRIMARY KEY NOT NULL,
    label TEXT NOT NULL,
    email TEXT NOT NULL,
    plan TEXT NOT NULL,
    upstream_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    fedramp BIGINT NOT NULL,
    status TEXT NOT NULL,
    quota TEXT NOT NULL,
    created BIGINT NOT NULL,
    access TEXT NOT NULL,
    refresh TEXT,
    identity TEXT,
    expires BIGINT,
    refreshed BIGINT NOT NULL,
    version BIGINT NOT NULL,
    fence BIGINT NOT NULL,
    lease_holder TEXT,
    lease_until BIGINT,
    intent_digest TEXT,
    intent_at BIGINT,
    UNIQUE (upstream_id, user_id)
);

CREATE TABLE cookies (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    jar TEXT NOT NULL
);

CREATE TABLE models (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    etag TEXT,
    client_version TEXT NOT NULL,
    body TEXT NOT NULL,
    fetched BIGINT NOT NULL
);

CREATE TABLE api_key (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);
