//! Configuration: reads flags, environment and file, highest layer first, into one typed [`Config`].
//!
//! `fields.rs` is the one table of settings: key, older names, environment names, default. [`layers::Layers`] finds the layer that wins for
//! each setting; this file turns the winning values into typed values. Nothing else reads settings.

mod fallbacks;
mod fields;
mod layers;
mod models;
mod parse;
mod paths;
mod relays;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use pool::Secret;
use pool::catalog::{Chains, CustomModel, Provider};
use pool::hosted::Hosted;
use pool::pick::Strategy;
use pool::transport::TransportMode;
use pool::warning::Thresholds;
use tracing_subscriber::filter::Targets;
use url::Url;

pub use fields::{FIELDS, Field};
pub use layers::{Layers, Origin, Setting};
pub use models::CUSTOM_FIELDS;
pub use paths::Paths;
pub use relays::{Key, RELAY_FIELDS, Relay};

/// All settings of the gateway.
#[derive(Clone, Debug)]
pub struct Config {
    /// Paths of all files.
    pub paths: Paths,
    /// Listener settings.
    pub server: Server,
    /// Backend settings.
    pub upstream: Upstream,
    /// Account rules.
    pub accounts: Accounts,
    /// Settings of quota figures.
    pub quota: Quota,
    /// Receivers of warnings to the owner.
    pub alerts: Alerts,
    /// Settings of proxy checks.
    pub proxies: Proxies,
    /// Model names.
    pub model: Model,
    /// The Ollama listener.
    pub ollama: server::Ollama,
    /// Relays that the file names.
    pub relays: Vec<Relay>,
    /// PostgreSQL, when several nodes share one store.
    pub postgres: Option<Secret>,
    /// Retention of usage rows.
    pub usage: store::Retention,
    /// Log filter and format.
    pub log: Log,
}

/// Listener settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses to listen on, all at the same port.
    pub hosts: Vec<IpAddr>,
    /// Port to listen on; 0 selects a free port.
    pub port: u16,
    /// A fixed client key.
    pub api_key: Option<Secret>,
    /// Whether clients need a key; `false` is for loopback only.
    pub require_key: bool,
    /// Host names that are accepted in addition to loopback and own addresses.
    pub allowed_hosts: Vec<String>,
    /// Browser origins that may call the data plane.
    pub allowed_origins: Vec<String>,
    /// Whether plain HTTP is allowed on addresses other than loopback.
    pub allow_plain_http: bool,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<server::Network>,
    /// How long the gateway accepts new requests after a stop signal; `None` chooses by the kind of store.
    pub drain_delay: Option<Duration>,
    /// How long streams may finish after a stop signal.
    pub drain: Duration,
}

/// Backend settings.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Codex backend, `https://chatgpt.com/backend-api`.
    pub base_url: Url,
    /// Token issuer, `https://auth.openai.com`.
    pub auth_url: Url,
    /// Token endpoint, when it is not `<auth_url>/oauth/token`.
    pub token_url: Option<Url>,
    /// Transport of model calls.
    pub transport: TransportMode,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// Identity towards the backend.
    pub profile: String,
    /// Operating system that the Codex profiles report; `None` means this machine's.
    pub platform: Option<String>,
    /// Processor architecture that the Codex profiles report; `None` means this machine's.
    pub arch: Option<String>,
    /// Version of the desktop app that its profile reports; `None` follows the feed.
    pub app_version: Option<String>,
    /// Feed of published versions; `None` follows no feed.
    pub version_feed: Option<Url>,
    /// Feed of the desktop app's versions.
    pub app_feed: Option<Url>,
    /// Proxy for all outbound traffic.
    pub proxy: Option<Proxy>,
    /// PEM file of additional roots.
    pub ca_bundle: Option<PathBuf>,
    /// Whether HTTP/2 is never offered to upstreams.
    pub force_http11: bool,
    /// Longest silence inside a stream.
    pub idle_timeout: Duration,
}

/// A proxy's address, which may contain a password: its `Debug` form shows only scheme, host and port.
#[derive(Clone)]
pub struct Proxy {
    /// Scheme, credentials, host and port.
    pub url: Url,
    /// The layer that set the address.
    pub origin: String,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
        match self.url.port() {
            Some(port) => write!(f, "Proxy({scheme}://{host}:{port})"),
            None => write!(f, "Proxy({scheme}://{host})"),
        }
    }
}

/// Account rules.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// Number of concurrent requests on one account; 0 means no limit.
    pub max_concurrent: u32,
    /// Minimum time between the starts of two requests on one account.
    pub stagger: Duration,
    /// How long an account rests after a 429 that names no reset.
    pub rate_limit_backoff: Duration,
    /// Strategy to choose an account.
    pub strategy: Strategy,
    /// Plans whose accounts serve first, best first.
    pub tiers: Vec<String>,
    /// An access token that is added as an account at start.
    pub token: Option<Secret>,
    /// The folder in which Codex keeps its auth.json; `None` is `~/.codex`.
    pub codex_home: Option<PathBuf>,
}

impl Accounts {
    /// The auth.json that Codex uses; `None` where no home directory is known.
    pub fn codex_file(&self) -> Option<PathBuf> {
        let folder = match &self.codex_home {
            Some(folder) => folder.clone(),
            None => etcetera::home_dir().ok()?.join(".codex"),
        };
        Some(folder.join("auth.json"))
    }
}

/// Settings of quota figures.
#[derive(Clone, Debug)]
pub struct Quota {
    /// Age at which quota figures are fetched again; zero means never.
    pub refresh_interval: Duration,
    /// Whether to skip accounts whose quota is used up.
    pub skip_exhausted: bool,
    /// Used shares at which the owner is warned.
    pub thresholds: Thresholds,
}

/// Receivers of warnings to the owner.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// A webhook, and the key that signs its messages.
    pub webhook: Option<engine::Receiver>,
    /// An ntfy topic, and its access token.
    pub ntfy: Option<engine::Receiver>,
    /// Whether private addresses and plain http are allowed.
    pub allow_private: bool,
}

/// Settings of proxy checks.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Time between two checks; zero means no checks.
    pub interval: Duration,
    /// The echo service.
    pub echo: Url,
}

/// Model names.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Model for requests that name none; `None` is the first listed model.
    pub default: Option<String>,
    /// Reasoning effort for requests that set none, neither in the body nor in the model name.
    pub default_effort: Option<String>,
    /// The owner's own names: alias, model.
    pub aliases: Vec<(String, String)>,
    /// Models to try instead when a model cannot serve.
    pub fallbacks: Chains,
    /// The only provider of a model: name or pattern, provider.
    pub routing: Vec<(String, Provider)>,
    /// Models that no list has, and details that the lists lack.
    pub custom: Vec<CustomModel>,
    /// Whether accounts use the fast tier for requests that set none, neither in the body nor in the model name.
    pub fast: bool,
    /// Hosted tools that are added to requests.
    pub default_tools: Vec<Hosted>,
    /// Age at which model lists are fetched again; zero means only when an upstream reports a change.
    pub cache_ttl: Duration,
}

/// Log filter and format.
#[derive(Clone, Debug)]
pub struct Log {
    /// Log level of each target.
    pub level: Targets,
    /// Whether each line is a JSON object instead of text.
    pub json: bool,
}

/// Why a configuration is invalid. Each message names the setting.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML. Line and column count from 1. The message leaves out the line, which could contain a secret.
    #[error("{path} is not valid TOML (line {line}, column {column}): {why}")]
    Toml { path: PathBuf, line: usize, column: usize, why: String },
    /// A value does not fit its setting. A secret value is shown as a fixed word.
    #[error("{key} = {value:?} ({origin}) is not {wanted}")]
    Value { key: &'static str, value: String, origin: String, wanted: &'static str },
    /// The table `at` (from 1) of `[[relays]]` is invalid. The message leaves out the value, which could be a key.
    #[error("relay {at}{name} of the file: {field} is not {wanted}")]
    Relay { at: usize, name: String, field: &'static str, wanted: &'static str },
    /// A line of `[model.fallbacks]` is wrong.
    #[error("model.fallbacks.{from} is not {wanted}")]
    Fallback { from: String, wanted: &'static str },
    /// A row of one of the tables about models is wrong.
    #[error("{place} is not {wanted}")]
    Row { place: String, wanted: &'static str },
    /// No home directory can be found.
    #[error("cannot find a home directory; pass --home DIR or set POLYGATE_HOME")]
    Home,
}

impl Config {
    /// Types the winning values of all layers. Errors: [`ConfigError::Value`] for the first value that does not fit its setting.
    pub fn from_layers(layers: &Layers, paths: Paths) -> Result<Self, ConfigError> {
        Self::typed(layers, paths, layers.relays()?)
    }

    /// Like [`Self::from_layers`], but leaves out the invalid relays of the file and returns their errors. For commands that serve no
    /// relays. Errors: like [`Self::from_layers`], but not for relays.
    pub fn with_valid_relays(layers: &Layers, paths: Paths) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let (relays, wrong) = layers.valid_relays();
        Ok((Self::typed(layers, paths, relays)?, wrong))
    }

    fn typed(layers: &Layers, paths: Paths, relays: Vec<Relay>) -> Result<Self, ConfigError> {
        Ok(Self {
            paths,
            server: parse::server(layers)?,
            upstream: parse::upstream(layers)?,
            accounts: parse::accounts(layers)?,
            quota: parse::quota(layers)?,
            alerts: parse::alerts(layers)?,
            proxies: parse::proxies(layers)?,
            model: parse::model(layers)?,
            ollama: parse::ollama(layers)?,
            relays,
            postgres: layers.text("store.postgres_url").map(Secret::new),
            usage: parse::usage(layers)?,
            log: parse::log(layers)?,
        })
    }
}
