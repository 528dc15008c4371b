//! The engine's settings, from the composition root. Nothing here is read from files or the environment.

use std::path::PathBuf;
use std::time::Duration;

use pool::catalog::{Chains, CustomModel, Names};
use pool::hosted::Hosted;
use pool::pick::Strategy;
use pool::transport::TransportMode;
use pool::warning::Thresholds;
use pool::{Secret, limits};
use url::Url;

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Aliases and the default model.
    pub names: Names,
    /// The owner's rows of the catalogue.
    pub custom: Vec<CustomModel>,
    /// What is asked instead when a model cannot serve.
    pub chains: Chains,
    /// The effort when neither the request nor the model's name has one; `None` leaves it to the catalogue.
    pub effort: Option<String>,
    /// Whether accounts are asked for the fast tier, where the model lists it, when neither the request nor the model's name says
    /// a tier.
    pub fast: bool,
    /// Hosted tools that requests get without asking, for keys that have no list of their own.
    pub tools: Vec<Hosted>,
    /// Requests per account at the same time; 0 is no limit.
    pub max_concurrent: u32,
    /// How an account is chosen.
    pub strategy: Strategy,
    /// Plans in the order in which their accounts serve.
    pub tiers: Vec<String>,
    /// The least time between two requests' starts on one account.
    pub stagger: Duration,
    /// Rest of an account after a rate limit that says nothing about time.
    pub rest: Duration,
    /// Pauses before a token endpoint in trouble is asked again, while a request waits for the tokens.
    pub refresh_retries: [Duration; 3],
    /// Longest wait for a free place on an account.
    pub queue_wait: Duration,
    /// The transport of calls to the backend.
    pub transport: TransportMode,
    /// Longest silence of the upstream inside a reply.
    pub idle: Duration,
    /// Silence after which a streaming client gets a heartbeat.
    pub heartbeat: Duration,
    /// Longest wait for the first real event before the reply is committed.
    pub commit: Duration,
    /// The auth.json that Codex uses, for imports that name no file.
    pub codex_file: Option<PathBuf>,
    /// How old quota figures may grow before the backend is asked for them; zero is never.
    pub quota_every: Duration,
    /// Whether accounts whose quota is used up are left alone; else they are tried after all others.
    pub skip_exhausted: bool,
    /// How old model lists may grow before they are asked for again; zero is only when something tells that they changed.
    pub models_ttl: Duration,
    /// Where the versions of the official clients are published.
    pub feeds: Feeds,
    /// When and where the owner is warned.
    pub alerts: Alerts,
    /// How proxies are checked.
    pub proxies: ProxyChecks,
    /// A client key that the owner chose, valid beside the stored ones.
    pub api_key: Option<Secret>,
}

/// Where versions are published, and how often to look.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    /// Of the command line: GitHub's newest release, or an npm registry's document.
    pub codex: Option<Url>,
    /// Of the desktop app, an appcast.
    pub app: Option<Url>,
    /// Between two looks; zero is never.
    pub every: Duration,
    /// Before the first one.
    pub first: Duration,
}

/// When and where an owner is warned.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Shares at which is warned.
    pub thresholds: Thresholds,
    /// A webhook.
    pub webhook: Option<Receiver>,
    /// An ntfy topic.
    pub ntfy: Option<Receiver>,
    /// Whether both may be at private addresses and on plain http.
    pub allow_private: bool,
    /// First pause after a delivery that failed; doubles each time.
    pub pause: Duration,
}

/// Where warnings go.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its address. It may hold a secret, so its `Debug` form is not for logs.
    pub url: SecretUrl,
    /// The webhook's signing secret, or the topic's access token.
    pub secret: Option<Secret>,
}

/// An address whose path may be a secret: it is never shown.
#[derive(Clone)]
pub struct SecretUrl(pub Url);

impl std::fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://***", self.0.scheme())
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let pause = Duration::from_secs(2);
        Self { thresholds: Thresholds::default(), webhook: None, ntfy: None, allow_private: false, pause }
    }
}

/// How proxies are checked, and where the proxy of the configuration comes from.
#[derive(Clone, Debug)]
pub struct ProxyChecks {
    /// Between two checks; zero for none.
    pub interval: Duration,
    /// The echo service: it answers with the address that it sees.
    pub echo: Url,
    /// Which layer of the configuration names the proxy that everybody takes; empty when there is none.
    pub origin: String,
}

impl Default for ProxyChecks {
    fn default() -> Self {
        let echo = Url::parse("https://api.ipify.org?format=json").expect("invariant: a constant URL parses");
        Self { interval: Duration::ZERO, echo, origin: String::new() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: Names::default(),
            custom: Vec::new(),
            chains: Chains::default(),
            effort: None,
            fast: false,
            tools: Vec::new(),
            max_concurrent: 0,
            strategy: Strategy::default(),
            tiers: Vec::new(),
            stagger: Duration::ZERO,
            rest: limits::RATE_BACKOFF,
            refresh_retries: limits::REFRESH_RETRIES,
            queue_wait: limits::QUEUE_WAIT,
            transport: TransportMode::default(),
            idle: limits::IDLE,
            heartbeat: limits::HEARTBEAT,
            commit: limits::COMMIT,
            codex_file: None,
            quota_every: Duration::ZERO,
            skip_exhausted: true,
            models_ttl: limits::MODELS_TTL,
            feeds: Feeds::default(),
            alerts: Alerts::default(),
            proxies: ProxyChecks::default(),
            api_key: None,
        }
    }
}
