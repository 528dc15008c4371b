CREATE TABLE account_tags (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    tags TEXT NOT NULL
);

CREATE TABLE account_link (
    account_id TEXT PRIMARY KEY NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    may_refresh BIGINT NOT NULL
);

CREATE TRIGGER account_tags_generation AFTER INSERT OR UPDATE OR DELETE ON account_tags
    FOR EACH STATEMENT EXECUTE FUNCTION polygate_generation();
CREATE TRIGGER account_link_generation AFTER INSERT OR UPDATE OR DELETE ON account_link
    FOR EACH STATEMENT EXECUTE FUNCTION polygate_generation();
