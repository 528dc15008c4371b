//! The table of settings. Adding one: a row here, a field in `config.rs`, a line in `parse.rs`.

/// One setting.
#[derive(Debug)]
pub struct Field {
    /// `section.name` in `config.toml`; the environment name follows as `POLYGATE_SECTION__NAME`.
    pub key: &'static str,
    /// Keys of other systems with the same meaning, read from the same file.
    pub also: &'static [&'static str],
    /// Environment names of other systems with the same meaning, strongest first.
    pub env: &'static [&'static str],
    /// Value when no layer sets one; `""` is "not set".
    pub default: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// Whether the value is a list; as text its items are parted by commas.
    pub list: bool,
    /// What it does, for `config show` and the docs.
    pub help: &'static str,
}

const fn field(key: &'static str, default: &'static str, help: &'static str) -> Field {
    Field { key, also: &[], env: &[], default, secret: false, list: false, help }
}

impl Field {
    const fn also(mut self, keys: &'static [&'static str]) -> Self {
        self.also = keys;
        self
    }

    const fn env(mut self, names: &'static [&'static str]) -> Self {
        self.env = names;
        self
    }

    const fn list(mut self) -> Self {
        self.list = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// The setting's own environment name.
    pub fn own_env(&self) -> String {
        format!("POLYGATE_{}", self.key.replace('.', "__").to_uppercase())
    }
}

/// Every setting, in the order of the docs.
pub const FIELDS: &[Field] = &[
    field("server.host", "localhost", "Address to listen on; localhost means both loopback addresses")
        .env(&["CODEX_PROXY_HOST"]),
    field("server.port", "8080", "Port to listen on; 0 picks a free one and prints it")
        .env(&["PORT", "CODEX_PROXY_PORT"]),
    field("server.api_key", "", "A fixed client key; prefer `polygate keys create`")
        .also(&["server.proxy_api_key"])
        .env(&["CODEX_PROXY_API_KEY"])
        .secret(),
    field("server.require_key", "true", "Whether clients need a key; false is for loopback only"),
    field("server.allowed_hosts", "", "Host names accepted beside loopback and own addresses").list(),
    field("server.allow_plain_http", "false", "Allow plain HTTP on an address other than loopback"),
    field(
        "server.trusted_proxies",
        "",
        "Addresses or networks (10.0.0.0/8) of proxies whose X-Forwarded-For is believed",
    )
    .list(),
    field(
        "server.drain_delay",
        "",
        "How long new requests are still taken after a stop signal; when not set, 5s with PostgreSQL, else 0s",
    ),
    field("server.drain_timeout", "120s", "How long streams may finish after a stop signal"),
    field("cors.allowed_origins", "", "Browser origins that may call the API").also(&["server.cors"]).list(),
    field("upstream.base_url", "https://chatgpt.com/backend-api", "The ChatGPT backend").also(&["api.base_url"]),
    field("upstream.auth_url", "https://auth.openai.com", "The token issuer"),
    field("upstream.token_url", "", "The token endpoint, when it is not <auth_url>/oauth/token")
        .env(&["CODEX_REFRESH_TOKEN_URL_OVERRIDE"]),
    field("upstream.client_id", "", "OAuth client id, when it is not the official client's")
        .env(&["CODEX_APP_SERVER_LOGIN_CLIENT_ID"]),
    field(
        "upstream.transport",
        "auto",
        "WebSocket for conversations (auto), for everything (websocket), or never (http)",
    ),
    field("upstream.profile", "polygate", "Identity towards the backend: polygate, codex-cli or codex-desktop"),
    field("upstream.platform", "", "Operating system that the Codex profiles name; empty is this one")
        .also(&["client.platform"])
        .env(&["CODEX_PLATFORM"]),
    field("upstream.arch", "", "Processor that the Codex profiles name; empty is this one")
        .also(&["client.arch"])
        .env(&["CODEX_ARCH"]),
    field("upstream.app_version", "", "Version of the desktop app that codex-desktop names; empty follows app_feed")
        .also(&["client.app_version"]),
    field("upstream.build_number", "", "Accepted and ignored: no call names it").also(&["client.build_number"]),
    field("upstream.chromium_version", "", "Accepted and ignored: no browser is imitated")
        .also(&["client.chromium_version"]),
    field(
        "upstream.version_sync",
        "true",
        "Follow the published version of the official client; false is the built-in one",
    ),
    field(
        "upstream.version_feed",
        "https://api.github.com/repos/openai/codex/releases/latest",
        "Where the version of the Codex command line is published: GitHub's newest release, or an npm registry's document",
    ),
    field(
        "upstream.app_feed",
        "https://persistent.oaistatic.com/codex-app-prod/appcast.xml",
        "Where the version of the desktop app is published; asked for codex-desktop only",
    ),
    field("upstream.proxy", "", "Proxy for all outbound traffic (http, https, socks5, socks5h)")
        .also(&["tls.proxy_url"])
        .env(&["CODEX_API_PROXY_HTTPS_PROXY", "HTTPS_PROXY", "https_proxy"])
        .secret(),
    field("upstream.ca_bundle", "", "PEM file of additional trusted roots").env(&[
        "CODEX_API_PROXY_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_FILE",
    ]),
    field("upstream.force_http11", "false", "Never offer HTTP/2 to upstreams, for proxies that break it")
        .also(&["tls.force_http11"]),
    field("upstream.idle_timeout", "300s", "Longest silence inside a stream before it is given up"),
    field("accounts.max_concurrent", "0", "Requests at a time on one account; 0 is no limit")
        .also(&["auth.max_concurrent_per_account"]),
    field("accounts.stagger", "0", "Least time between two requests' starts on one account, such as 50ms; 0 is none")
        .also(&["auth.request_interval_ms"]),
    field("accounts.rate_limit_backoff", "60s", "Rest after a rate limit that names no reset")
        .also(&["auth.rate_limit_backoff_seconds"]),
    field("accounts.strategy", "least_used", "Which account serves: least_used, round_robin, sticky or quota_aware")
        .also(&["auth.rotation_strategy"]),
    field("accounts.tiers", "", "Plans whose accounts serve before all others, best first, such as pro, plus")
        .also(&["auth.tier_priority"])
        .list(),
    field("accounts.token", "", "An access token to take in at start").env(&["CODEX_JWT_TOKEN"]).secret(),
    field("accounts.codex_home", "", "Folder of the auth.json that Codex uses; empty is ~/.codex").env(&["CODEX_HOME"]),
    field("quota.refresh_interval", "5m", "How old quota figures may grow before the backend is asked; 0 is never")
        .also(&["quota.refresh_interval_minutes"]),
    field(
        "quota.skip_exhausted",
        "true",
        "Leave accounts alone whose quota is used up; false tries them after all others",
    ),
    field("quota.warn_primary", "80, 95", "Shares of the first window in percent at which the owner is warned")
        .also(&["quota.warning_thresholds.primary"])
        .list(),
    field("quota.warn_secondary", "80, 95", "The same for the second window")
        .also(&["quota.warning_thresholds.secondary"])
        .list(),
    field("alerts.webhook_url", "", "Where warnings are posted as JSON").secret(),
    field("alerts.webhook_secret", "", "Signs them: x-polygate-signature is the HMAC-SHA256 of the body").secret(),
    field("alerts.ntfy_url", "", "An ntfy topic for warnings, such as https://ntfy.sh/my-topic").secret(),
    field("alerts.ntfy_token", "", "Access token of that topic").secret(),
    field("alerts.allow_private", "false", "Allow private addresses and plain http for both"),
    field("proxies.check_interval", "5m", "Between two checks of each proxy; 0 is never"),
    field(
        "proxies.echo_url",
        "https://api.ipify.org?format=json",
        "What says which address it sees, for checks of proxies",
    )
    .also(&["tls.health_check_url"]),
    field("model.default", "", "Model used when a request names none; empty is the first listed one"),
    field("model.default_effort", "", "Reasoning effort used when neither request nor model name asks for one")
        .also(&["model.default_reasoning_effort"]),
    field(
        "model.default_tier",
        "",
        "fast asks accounts for their fast tier when neither request nor model name says a tier",
    )
    .also(&["model.default_service_tier"]),
    field(
        "model.default_tools",
        "",
        "Hosted tools that accounts run for requests without being asked: web_search, image_generation",
    ),
    field(
        "model.cache_ttl",
        "1h",
        "How old model lists may grow before they are asked for again; 0 is only when they change",
    ),
    field("store.postgres_url", "", "PostgreSQL for several nodes; empty is the embedded store").secret(),
    field("usage.retention", "", "How long usage rows are kept, such as 90d; empty is as long as there is room")
        .also(&["usage_stats.history_retention_days"]),
    field("usage.max_size", "1GiB", "Size of the embedded store's usage file; the oldest rows go when it is reached"),
    field("ollama.enabled", "false", "Serve the Ollama API on its own listener, which asks for no key on loopback")
        .env(&["OLLAMA_BRIDGE_ENABLED"]),
    field("ollama.host", "127.0.0.1", "Address of the Ollama listener").env(&["OLLAMA_BRIDGE_HOST"]),
    field("ollama.allow_remote", "false", "Allow an address other than loopback there; clients then need a key"),
    field("ollama.port", "11434", "Port of the Ollama listener").env(&["OLLAMA_BRIDGE_PORT"]),
    field("ollama.version", "0.18.3", "Version that the Ollama listener names").env(&["OLLAMA_BRIDGE_VERSION"]),
    field("ollama.disable_vision", "false", "Whether the Ollama listener hides that models can see")
        .env(&["OLLAMA_BRIDGE_DISABLE_VISION"]),
    field("log.level", "info", "error, warn, info, debug or trace, also target=level,...")
        .env(&["CODEX_PROXY_LOG_LEVEL"]),
    field("log.format", "text", "text or json"),
];
