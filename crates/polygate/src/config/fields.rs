//! The table of settings. A new setting needs a row here, a field in `config.rs`, and a line in `parse.rs`.

/// One setting.
#[derive(Debug)]
pub struct Field {
    /// `section.name` in `config.toml`; the name of the environment variable is `POLYGATE_SECTION__NAME`.
    pub key: &'static str,
    /// Keys of other programs with the same meaning, read from the same file.
    pub also: &'static [&'static str],
    /// Environment variables of other programs with the same meaning, strongest first.
    pub env: &'static [&'static str],
    /// Value when no layer sets one; `""` means "not set".
    pub default: &'static str,
    /// Whether the value must never be shown.
    pub secret: bool,
    /// Whether the value is a list; as text, commas separate its items.
    pub list: bool,
    /// The help text, for `config show` and the docs.
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

    /// The setting's own environment variable.
    pub fn own_env(&self) -> String {
        format!("POLYGATE_{}", self.key.replace('.', "__").to_uppercase())
    }
}

/// Every setting, in the order of the docs.
pub const FIELDS: &[Field] = &[
    field("server.host", "localhost", "Address to listen on; localhost means both loopback addresses")
        .env(&["CODEX_PROXY_HOST"]),
    field("server.port", "8080", "Port to listen on; 0 selects a free port and prints it")
        .env(&["PORT", "CODEX_PROXY_PORT"]),
    field("server.api_key", "", "A fixed client key; prefer `polygate keys create`")
        .also(&["server.proxy_api_key"])
        .env(&["CODEX_PROXY_API_KEY"])
        .secret(),
    field("server.require_key", "true", "Whether clients need a key; false is allowed on loopback only"),
    field(
        "server.allowed_hosts",
        "",
        "Host names that are accepted in addition to loopback and the machine's own addresses",
    )
    .list(),
    field("server.allow_plain_http", "false", "Whether to allow plain HTTP on an address other than loopback"),
    field(
        "server.trusted_proxies",
        "",
        "Addresses or networks (10.0.0.0/8) of reverse proxies whose X-Forwarded-For is trusted",
    )
    .list(),
    field(
        "server.drain_delay",
        "",
        "How long the gateway accepts new requests after a stop signal; by default 5s with PostgreSQL and 0s without",
    ),
    field("server.drain_timeout", "120s", "How long running streams may take to finish after a stop signal"),
    field("cors.allowed_origins", "", "Browser origins that may call the API").also(&["server.cors"]).list(),
    field("upstream.base_url", "https://chatgpt.com/backend-api", "Base URL of the ChatGPT backend")
        .also(&["api.base_url"]),
    field("upstream.auth_url", "https://auth.openai.com", "Base URL of the token issuer"),
    field("upstream.token_url", "", "Token endpoint; empty means <auth_url>/oauth/token")
        .env(&["CODEX_REFRESH_TOKEN_URL_OVERRIDE"]),
    field("upstream.client_id", "", "OAuth client id; empty means the official client's id")
        .env(&["CODEX_APP_SERVER_LOGIN_CLIENT_ID"]),
    field(
        "upstream.transport",
        "auto",
        "When to use a WebSocket to the backend: auto for conversations, websocket for every request, http for none",
    ),
    field("upstream.profile", "polygate", "Identity towards the backend: polygate, codex-cli or codex-desktop"),
    field("upstream.platform", "", "Operating system that the Codex profiles report; empty means this machine's")
        .also(&["client.platform"])
        .env(&["CODEX_PLATFORM"]),
    field("upstream.arch", "", "Processor architecture that the Codex profiles report; empty means this machine's")
        .also(&["client.arch"])
        .env(&["CODEX_ARCH"]),
    field(
        "upstream.app_version",
        "",
        "Desktop app version that codex-desktop reports; empty means the version in upstream.app_feed",
    )
    .also(&["client.app_version"]),
    field("upstream.build_number", "", "Accepted and ignored: Polygate never sends a build number")
        .also(&["client.build_number"]),
    field("upstream.chromium_version", "", "Accepted and ignored: Polygate does not imitate a browser")
        .also(&["client.chromium_version"]),
    field(
        "upstream.version_sync",
        "true",
        "Whether to report the published version of the official client; false reports the built-in version",
    ),
    field(
        "upstream.version_feed",
        "https://api.github.com/repos/openai/codex/releases/latest",
        "Address that publishes the Codex CLI version: GitHub's newest release, or a document of an npm registry",
    ),
    field(
        "upstream.app_feed",
        "https://persistent.oaistatic.com/codex-app-prod/appcast.xml",
        "Address that publishes the desktop app version; used with codex-desktop only",
    ),
    field("upstream.proxy", "", "Proxy for all outbound traffic (http, https, socks5, socks5h)")
        .also(&["tls.proxy_url"])
        .env(&["CODEX_API_PROXY_HTTPS_PROXY", "HTTPS_PROXY", "https_proxy"])
        .secret(),
    field("upstream.ca_bundle", "", "PEM file with additional trusted root certificates")
        .env(&["CODEX_API_PROXY_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"]),
    field("upstream.force_http11", "false", "Whether to use only HTTP/1.1 to upstreams, for proxies that break HTTP/2")
        .also(&["tls.force_http11"]),
    field("upstream.idle_timeout", "300s", "Longest silence in a stream before Polygate aborts the stream"),
    field("accounts.max_concurrent", "0", "Number of concurrent requests on one account; 0 means no limit")
        .also(&["auth.max_concurrent_per_account"]),
    field(
        "accounts.stagger",
        "0",
        "Minimum time between the starts of two requests on one account, such as 50ms; 0 means none",
    )
    .also(&["auth.request_interval_ms"]),
    field("accounts.rate_limit_backoff", "60s", "How long an account rests after a rate limit without a reset time")
        .also(&["auth.rate_limit_backoff_seconds"]),
    field(
        "accounts.strategy",
        "least_used",
        "How to choose an account: least_used, round_robin, sticky or quota_aware",
    )
    .also(&["auth.rotation_strategy"]),
    field("accounts.tiers", "", "Plans whose accounts serve before all others, in this order, such as pro, plus")
        .also(&["auth.tier_priority"])
        .list(),
    field("accounts.token", "", "An access token that is added as an account at start")
        .env(&["CODEX_JWT_TOKEN"])
        .secret(),
    field("accounts.codex_home", "", "Folder of the auth.json that Codex uses; empty means ~/.codex")
        .env(&["CODEX_HOME"]),
    field(
        "quota.refresh_interval",
        "5m",
        "Age of quota figures at which Polygate asks the backend again; 0 means never",
    )
    .also(&["quota.refresh_interval_minutes"]),
    field(
        "quota.skip_exhausted",
        "true",
        "Whether to skip accounts whose quota is used up; false tries them after all others",
    ),
    field(
        "quota.warn_primary",
        "80, 95",
        "Used percentages of the first quota window at which Polygate sends a warning",
    )
    .also(&["quota.warning_thresholds.primary"])
    .list(),
    field(
        "quota.warn_secondary",
        "80, 95",
        "Used percentages of the second quota window at which Polygate sends a warning",
    )
    .also(&["quota.warning_thresholds.secondary"])
    .list(),
    field("alerts.webhook_url", "", "URL to which warnings are posted as JSON").secret(),
    field(
        "alerts.webhook_secret",
        "",
        "Key that signs the posted warnings: x-polygate-signature is the HMAC-SHA256 of the body",
    )
    .secret(),
    field("alerts.ntfy_url", "", "ntfy topic for warnings, such as https://ntfy.sh/my-topic").secret(),
    field("alerts.ntfy_token", "", "Access token of the ntfy topic").secret(),
    field("alerts.allow_private", "false", "Whether webhook_url and ntfy_url may be private addresses or plain http"),
    field("proxies.check_interval", "5m", "Time between two checks of each proxy; 0 means no checks"),
    field(
        "proxies.echo_url",
        "https://api.ipify.org?format=json",
        "Service that reports the caller's address, for proxy checks",
    )
    .also(&["tls.health_check_url"]),
    field("model.default", "", "Model for requests that name none; empty means the first listed model"),
    field(
        "model.default_effort",
        "",
        "Reasoning effort for requests that set none, neither in the body nor in the model name",
    )
    .also(&["model.default_reasoning_effort"]),
    field(
        "model.default_tier",
        "",
        "Service tier for requests that set none, neither in the body nor in the model name: fast or default",
    )
    .also(&["model.default_service_tier"]),
    field(
        "model.default_tools",
        "",
        "Hosted tools that Polygate adds to requests that accounts serve: web_search, image_generation",
    ),
    field(
        "model.cache_ttl",
        "1h",
        "Age of model lists at which Polygate fetches them again; 0 means only when an upstream reports a change",
    ),
    field("store.postgres_url", "", "PostgreSQL URL, for several nodes; empty means the embedded store").secret(),
    field(
        "usage.retention",
        "",
        "How long usage rows are kept, such as 90d; empty means until usage.max_size is reached",
    )
    .also(&["usage_stats.history_retention_days"]),
    field(
        "usage.max_size",
        "1GiB",
        "Maximum size of the embedded store's usage file; the oldest rows are deleted first",
    ),
    field(
        "ollama.enabled",
        "false",
        "Whether to serve the Ollama API on its own listener; on loopback this listener needs no key",
    )
    .env(&["OLLAMA_BRIDGE_ENABLED"]),
    field("ollama.host", "127.0.0.1", "Address of the Ollama listener").env(&["OLLAMA_BRIDGE_HOST"]),
    field(
        "ollama.allow_remote",
        "false",
        "Whether the Ollama listener may use an address other than loopback; clients then need a key",
    ),
    field("ollama.port", "11434", "Port of the Ollama listener").env(&["OLLAMA_BRIDGE_PORT"]),
    field("ollama.version", "0.18.3", "Version that the Ollama listener reports").env(&["OLLAMA_BRIDGE_VERSION"]),
    field("ollama.disable_vision", "false", "Whether the Ollama listener hides that models accept images")
        .env(&["OLLAMA_BRIDGE_DISABLE_VISION"]),
    field("log.level", "info", "Log level: error, warn, info, debug or trace, or target=level,...")
        .env(&["CODEX_PROXY_LOG_LEVEL"]),
    field("log.format", "text", "Log format: text or json"),
];
