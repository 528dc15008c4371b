-- Sealed column: proxy.address.
CREATE TABLE proxy (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    address TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    allow_private BIGINT NOT NULL,
    health TEXT,
    created BIGINT NOT NULL
);

CREATE TABLE egress (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    way TEXT NOT NULL
);

CREATE TRIGGER proxy_generation AFTER INSERT OR UPDATE OR DELETE ON proxy
    FOR EACH STATEMENT EXECUTE FUNCTION polygate_generation();
CREATE TRIGGER egress_generation AFTER INSERT OR UPDATE OR DELETE ON egress
    FOR EACH STATEMENT EXECUTE FUNCTION polygate_generation();
