//! Every statement that both engines run, once: `$n` placeholders, TEXT, BIGINT, times in milliseconds. Every value is bound. A statement
//! that only one engine runs is in that engine's module.

macro_rules! statements {
    ($($name:ident = $text:literal;)*) => {
        $(pub(crate) const $name: &str = $text;)*
        /// Name and text of each statement, for the test that prepares all statements on both engines.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

statements! {
    MIGRATION_TABLE = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY NOT NULL, name TEXT NOT NULL, \
        digest TEXT NOT NULL, applied BIGINT NOT NULL, floor BIGINT NOT NULL DEFAULT 0)";
    MIGRATIONS = "SELECT number, digest FROM migration ORDER BY number";
    MIGRATED = "INSERT INTO migration (number, name, digest, applied, floor) VALUES ($1, $2, $3, $4, $5)";
    FLOOR = "SELECT COALESCE(MAX(floor), 0) FROM migration";

    SETTING = "SELECT value FROM setting WHERE name = $1";
    SETTING_SET = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    SETTING_SWAP = "UPDATE setting SET value = $3 WHERE name = $1 AND value = $2";
    SETTING_FIRST = "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    SEALED = "SELECT (SELECT COUNT(*) FROM account) + (SELECT COUNT(*) FROM setting WHERE name = 'pepper')";

    ACCOUNTS = "SELECT id, label, email, plan, upstream_id, user_id, fedramp, status, quota, created, version, \
        max_concurrent, priority, status_rev FROM account ORDER BY created, id";
    ACCOUNT = "SELECT id, label, email, plan, upstream_id, user_id, fedramp, status, quota, created, version, \
        max_concurrent, priority, status_rev, access, refresh, identity, expires, refreshed FROM account WHERE id = $1";
    VERSIONS = "SELECT id, version FROM account ORDER BY created, id";
    ACCOUNT_KNOWN = "SELECT id, version, status, access, refresh, expires, refreshed FROM account \
        WHERE upstream_id = $1 AND user_id = $2";
    ACCOUNT_ADD = "INSERT INTO account (id, label, email, plan, upstream_id, user_id, fedramp, status, quota, created, \
        access, refresh, identity, expires, refreshed, version, fence) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, 1) \
        ON CONFLICT (upstream_id, user_id) DO NOTHING";
    ACCOUNT_SIGN_IN = "UPDATE account SET label = CASE WHEN $3 = '' THEN label ELSE $3 END, \
        email = CASE WHEN $4 = '' THEN email ELSE $4 END, plan = CASE WHEN $5 = '' THEN plan ELSE $5 END, \
        fedramp = $6, status = $7, access = $8, refresh = $9, identity = $10, expires = $11, refreshed = $12, \
        status_rev = status_rev + 1, version = version + 1, fence = fence + 1, \
        lease_holder = NULL, lease_until = NULL, intent_digest = NULL, intent_at = NULL \
        WHERE id = $1 AND version = $2";
    ACCOUNT_REMOVE = "DELETE FROM account WHERE id = $1";
    ACCOUNT_STATUS = "UPDATE account SET status = $2, status_rev = status_rev + 1, version = version + 1 \
        WHERE id = $1 AND status_rev = $3";
    ACCOUNT_SWITCH = "UPDATE account SET status = $2, status_rev = status_rev + 1, version = version + 1 WHERE id = $1";
    ACCOUNT_LABEL = "UPDATE account SET label = CASE WHEN $2 = '' THEN email ELSE $2 END, version = version + 1 WHERE id = $1";
    TAGS = "SELECT account_id, tags FROM account_tags";
    TAGS_SET = "INSERT INTO account_tags (account_id, tags) SELECT id, $2 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET tags = excluded.tags";
    LINKS = "SELECT account_id, file, may_refresh FROM account_link";
    LINK_SET = "INSERT INTO account_link (account_id, file, may_refresh) SELECT id, $2, $3 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET file = excluded.file, may_refresh = excluded.may_refresh";
    LINK_REMOVE = "DELETE FROM account_link WHERE account_id = $1";
    ACCOUNT_QUOTA = "UPDATE account SET quota = $2, version = version + 1 WHERE id = $1";
    ACCOUNT_LIMITS = "UPDATE account SET max_concurrent = $2, priority = $3, version = version + 1 WHERE id = $1";
    TOKENS = "SELECT access, refresh, identity, expires, refreshed FROM account WHERE id = $1";

    TOKENS_ALL = "SELECT access, refresh, identity, expires, refreshed, id FROM account";
    COOKIES_ALL = "SELECT account_id, jar FROM cookies";
    MODELS_ALL = "SELECT etag, client_version, body, fetched, account_id FROM models";

    LEASE = "UPDATE account SET lease_holder = $2, lease_until = $3, fence = fence + 1, version = version + 1 \
        WHERE id = $1 AND (lease_until IS NULL OR lease_until <= $4 OR lease_until > $5) \
        RETURNING access, refresh, identity, expires, refreshed, fence, intent_digest, status";
    LEASES_FREE = "UPDATE account SET lease_holder = NULL, lease_until = NULL, fence = fence + 1, version = version + 1 \
        WHERE lease_until IS NOT NULL AND COALESCE(lease_holder, '') = $1";
    LEASE_HOLDERS = "SELECT DISTINCT COALESCE(lease_holder, '') FROM account WHERE lease_until IS NOT NULL";
    LEASE_END = "SELECT lease_until FROM account WHERE id = $1";
    INTENT = "UPDATE account SET intent_digest = $3, intent_at = $4, lease_until = $5, version = version + 1 \
        WHERE id = $1 AND fence = $2";
    INTERRUPTED = "SELECT id FROM account WHERE intent_at IS NOT NULL \
        AND (lease_until IS NULL OR lease_until <= $1 OR lease_until > $2) ORDER BY created, id";
    COMMIT = "UPDATE account SET access = $3, refresh = $4, identity = $5, expires = $6, refreshed = $7, \
        version = version + 1, fence = fence + 1, \
        lease_holder = NULL, lease_until = NULL, intent_digest = NULL, intent_at = NULL WHERE id = $1 AND fence = $2";
    COMMIT_STATE = "SELECT access, refresh, identity, expires, refreshed, version, status FROM account WHERE id = $1";
    COMMIT_SUCCESSOR = "UPDATE account SET access = $3, refresh = $4, identity = $5, expires = $6, refreshed = $7, \
        status = $8, status_rev = status_rev + 1, version = version + 1, fence = fence + 1, \
        lease_holder = NULL, lease_until = NULL, intent_digest = NULL, intent_at = NULL WHERE id = $1 AND version = $2";
    END = "UPDATE account SET status = COALESCE($3, status), \
        status_rev = status_rev + CASE WHEN $3 IS NULL THEN 0 ELSE 1 END, version = version + 1, \
        lease_holder = NULL, lease_until = NULL, intent_digest = NULL, intent_at = NULL WHERE id = $1 AND fence = $2";

    LEAVE = "UPDATE account SET lease_holder = NULL, lease_until = NULL, version = version + 1 WHERE id = $1 AND fence = $2";

    CREDIT_BEGIN = "INSERT INTO credit_use (account_id, request_id, until, done) SELECT id, $2, $3, 0 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET \
        request_id = CASE WHEN credit_use.done = 0 AND $5 = 0 THEN credit_use.request_id ELSE excluded.request_id END, \
        until = excluded.until, done = 0 WHERE credit_use.until <= $4 OR credit_use.until > $6 RETURNING request_id";
    CREDIT_UNTIL = "SELECT until FROM credit_use WHERE account_id = $1";
    CREDIT_DONE = "UPDATE credit_use SET done = 1 WHERE account_id = $1 AND request_id = $2";

    COOKIES = "SELECT jar FROM cookies WHERE account_id = $1";
    COOKIES_SET = "INSERT INTO cookies (account_id, jar) SELECT id, $2 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET jar = excluded.jar";
    COOKIES_CLEAR = "DELETE FROM cookies WHERE account_id = $1";
    MODELS = "SELECT etag, client_version, body, fetched FROM models WHERE account_id = $1";
    MODELS_SET = "INSERT INTO models (account_id, etag, client_version, body, fetched) \
        SELECT id, $2, $3, $4, $5 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET etag = excluded.etag, client_version = excluded.client_version, \
        body = excluded.body, fetched = excluded.fetched";

    KEYS = "SELECT id, kind, name, digest, scopes, created, expires, revoked, tools FROM api_key ORDER BY created, id";
    KEY_ADD = "INSERT INTO api_key (id, kind, name, digest, scopes, created, expires, revoked, tools) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
    KEY_TOOLS = "UPDATE api_key SET tools = $2 WHERE id = $1 AND kind = 'client'";
    KEY_REVOKE = "UPDATE api_key SET revoked = $2 WHERE id = $1 AND revoked IS NULL";

    RELAYS = "SELECT id, name, base_url, wire, models, prefix, capabilities, allow_private, enabled, weight, status, created, \
        version FROM relay ORDER BY created, id";
    RELAY_KEY = "SELECT api_key FROM relay WHERE id = $1";
    RELAY_ADD = "INSERT INTO relay (id, name, base_url, wire, models, prefix, capabilities, allow_private, enabled, weight, \
        status, created, api_key, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1) \
        ON CONFLICT (name) DO NOTHING";
    RELAY_CHANGE = "UPDATE relay SET name = $3, base_url = $4, wire = $5, models = $6, prefix = $7, capabilities = $8, \
        allow_private = $9, enabled = $10, weight = $11, status = $12, api_key = COALESCE($13, api_key), \
        version = version + 1 WHERE id = $1 AND version = $2";
    RELAY_REMOVE = "DELETE FROM relay WHERE id = $1";
    RELAY_STATUS = "UPDATE relay SET status = $2, version = version + 1 WHERE id = $1 AND version = $3";
    RELAY_MODELS = "SELECT body, fetched FROM relay_models WHERE relay_id = $1";
    RELAY_MODELS_SET = "INSERT INTO relay_models (relay_id, body, fetched) SELECT id, $2, $3 FROM relay WHERE id = $1 \
        ON CONFLICT (relay_id) DO UPDATE SET body = excluded.body, fetched = excluded.fetched";

    PROXIES = "SELECT id, name, address, enabled, allow_private, health, created FROM proxy ORDER BY created, id";
    PROXY_ADD = "INSERT INTO proxy (id, name, address, enabled, allow_private, created) VALUES ($1, $2, $3, $4, $5, $6)";
    PROXY_CHANGE = "UPDATE proxy SET name = $2, address = $3, enabled = $4, allow_private = $5, \
        health = CASE WHEN $6 = 1 THEN NULL ELSE health END WHERE id = $1";
    PROXY_REMOVE = "DELETE FROM proxy WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM egress WHERE way = $1)";
    PROXY_HEALTH = "UPDATE proxy SET health = $2 WHERE id = $1";
    EGRESSES = "SELECT account_id, way FROM egress WHERE way <> 'global' ORDER BY account_id";
    EGRESS_SET = "INSERT INTO egress (account_id, way) SELECT id, $2 FROM account WHERE id = $1 \
        ON CONFLICT (account_id) DO UPDATE SET way = excluded.way";

    USAGE_OLD = "DELETE FROM usage_row WHERE id IN (SELECT id FROM usage_row WHERE accepted < $1 ORDER BY accepted LIMIT 1000)";
    USAGE_OLDEST = "DELETE FROM usage_row WHERE id IN (SELECT id FROM usage_row ORDER BY accepted LIMIT 1000)";
    USAGE_LAST = "SELECT id, accepted, key_id, account_id, dialect, model, status, outcome, input, cached, output, reasoning, \
        estimated, attempts, ttft, duration, stream, notes, request_id FROM usage_row ORDER BY accepted DESC, id DESC LIMIT $1";
}
