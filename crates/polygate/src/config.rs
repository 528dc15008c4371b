//! Configuration: flags, environment and file, lowest layer last, into one typed [`Config`].
//!
//! `fields.rs` is the one table of settings: key, older names, environment names, default. [`layers::Layers`] finds the
//! layer that wins for each; this file turns the winners into typed values. Nothing else reads settings.

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
use pool::transport::Transport;
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
    /// Where files live.
    pub paths: Paths,
    /// Listener settings.
    pub server: Server,
    /// Backend settings.
    pub upstream: Upstream,
    /// Account rules.
    pub accounts: Accounts,
    /// Quota figures.
    pub quota: Quota,
    /// Where the owner is warned.
    pub alerts: Alerts,
    /// How proxies are checked.
    pub proxies: Proxies,
    /// Model names.
    pub model: Model,
    /// The Ollama listener.
    pub ollama: server::Ollama,
    /// Relays that the file names.
    pub relays: Vec<Relay>,
    /// PostgreSQL, when several nodes share one store.
    pub postgres: Option<Secret>,
    /// How much usage is kept.
    pub usage: store::Retention,
    /// Log filter and format.
    pub log: Log,
}

/// Listener settings.
#[derive(Clone, Debug)]
pub struct Server {
    /// Addresses to listen on, all at the same port.
    pub hosts: Vec<IpAddr>,
    /// 0 picks a free port.
    pub port: u16,
    /// A fixed client key.
    pub api_key: Option<Secret>,
    /// Whether clients need a key; `false` is for loopback only.
    pub require_key: bool,
    /// Host names accepted beside loopback and own addresses.
    pub allowed_hosts: Vec<String>,
    /// Browser origins that may call the data plane.
    pub allowed_origins: Vec<String>,
    /// Whether plain HTTP may leave the loopback.
    pub allow_plain_http: bool,
    /// Proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<server::Network>,
    /// How long new requests are still taken after a stop signal; `None` leaves it to the store.
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
    /// Which leg model calls take.
    pub transport: Transport,
    /// OAuth client id.
    pub client_id: Option<String>,
    /// Identity towards the backend.
    pub profile: String,
    /// Operating system that the Codex profiles name; `None` is this one.
    pub platform: Option<String>,
    /// Processor that the Codex profiles name; `None` is this one.
    pub arch: Option<String>,
    /// Version of the desktop app that its profile names; `None` follows the feed.
    pub app_version: Option<String>,
    /// Feed of published versions; `None` follows none.
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

/// A proxy's address. It may hold a password, so its `Debug` form leaves out all but scheme, host and port.
#[derive(Clone)]
pub struct Proxy {
    /// Scheme, credentials, host and port.
    pub url: Url,
    /// Which layer named it.
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
    /// Requests at a time on one account; 0 is no limit.
    pub max_concurrent: u32,
    /// Least time between two requests' starts on one account.
    pub stagger: Duration,
    /// How long an account rests after a 429 that names no reset.
    pub rate_limit_backoff: Duration,
    /// How an account is chosen.
    pub strategy: Strategy,
    /// Plans whose accounts serve first, best first.
    pub tiers: Vec<String>,
    /// An access token to take in at start.
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

/// Quota figures.
#[derive(Clone, Debug)]
pub struct Quota {
    /// How old they may grow; zero is never to ask.
    pub refresh_interval: Duration,
    /// Whether accounts whose quota is used up are left alone.
    pub skip_exhausted: bool,
    /// Shares at which the owner is warned.
    pub thresholds: Thresholds,
}

/// Where the owner is warned.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// A webhook, and what signs its messages.
    pub webhook: Option<engine::Receiver>,
    /// An ntfy topic, and its access token.
    pub ntfy: Option<engine::Receiver>,
    /// Whether private addresses and plain http are allowed.
    pub allow_private: bool,
}

/// How proxies are checked.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// Between two checks; zero for none.
    pub interval: Duration,
    /// The echo service.
    pub echo: Url,
}

/// Model names.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Used when a request names none; `None` is the first listed model.
    pub default: Option<String>,
    /// Effort used when neither request nor name asks for one.
    pub default_effort: Option<String>,
    /// Own names: alias, model.
    pub aliases: Vec<(String, String)>,
    /// What is asked instead when a model cannot serve.
    pub fallbacks: Chains,
    /// The only provider of a model: name or pattern, provider.
    pub routing: Vec<(String, Provider)>,
    /// Models that no list has, and what the lists do not know.
    pub custom: Vec<CustomModel>,
    /// Whether accounts are asked for the fast tier when neither request nor name says a tier.
    pub fast: bool,
    /// Hosted tools that requests get without asking.
    pub default_tools: Vec<Hosted>,
    /// How old model lists may grow; zero is only when something tells that they changed.
    pub cache_ttl: Duration,
}

/// Log filter and format.
#[derive(Clone, Debug)]
pub struct Log {
    /// Log level of each target.
    pub level: Targets,
    /// One JSON object a line instead of text.
    pub json: bool,
}

/// Why a configuration is invalid. Each text names the setting.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each field has the name that the text gives it")]
pub enum ConfigError {
    /// The file exists but cannot be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not TOML. Line and column count from 1. The text leaves out the line, which could hold a secret.
    #[error("{path} is not valid TOML (line {line}, column {column}): {why}")]
    Toml { path: PathBuf, line: usize, column: usize, why: String },
    /// A value does not fit its setting. A secret value is shown as a fixed word.
    #[error("{key} = {value:?} ({origin}) is not {wanted}")]
    Value { key: &'static str, value: String, origin: String, wanted: &'static str },
    /// The table `at` (from 1) of `[[relays]]` is invalid. The text leaves out the value, which could be a key.
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
    /// Types the winners of all layers. Errors: [`ConfigError::Value`] for the first value that does not fit its setting.
    pub fn from_layers(layers: &Layers, paths: Paths) -> Result<Self, ConfigError> {
        Self::typed(layers, paths, layers.relays()?)
    }

    /// As [`Self::from_layers`], but leaves out the invalid relays of the file and returns their errors. For commands that serve no
    /// relays. Errors: as [`Self::from_layers`], but for relays.
    pub fn without_wrong_relays(layers: &Layers, paths: Paths) -> Result<(Self, Vec<ConfigError>), ConfigError> {
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
