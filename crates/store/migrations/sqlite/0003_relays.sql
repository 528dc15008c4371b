-- Sealed column: relay.api_key.
CREATE TABLE relay (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    base_url TEXT NOT NULL,
    wire TEXT NOT NULL,
    models TEXT NOT NULL,
    prefix TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    allow_private BIGINT NOT NULL,
    enabled BIGINT NOT NULL,
    weight BIGINT NOT NULL,
    status TEXT NOT NULL,
    created BIGINT NOT NULL,
    api_key TEXT NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE relay_models (
    relay_id TEXT PRIMARY KEY NOT NULL REFERENCES relay (id) ON DELETE CASCADE,
    body TEXT NOT NULL,
    fetched BIGINT NOT NULL
);
