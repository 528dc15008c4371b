//! Composition root: opens the store, builds the upstream clients, starts the engine and binds the listeners.

use std::net::SocketAddr;
use std::time::Duration;

use engine::{Clock, Engine, Parts};
use pool::catalog::Names;
use server::{ClientKeyStrength, Listeners};
use store::{ServeLock, Store};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upstream::{Profile, Upstream};

use crate::config::{Config, Model};
use crate::file_relays::FileRelays;
use crate::file_relays::refusals::RefusalRecorder;
use crate::machine;

/// A running gateway. A gateway whose value is dropped runs until the runtime ends; [`Running::stop`] ends it cleanly.
pub struct Running {
    /// Listening addresses, at least one.
    pub addresses: Vec<SocketAddr>,
    /// Listening addresses of the Ollama API; empty when it is disabled.
    pub ollama: Vec<SocketAddr>,
    engine: Engine,
    store: Store,
    shutdown: CancellationToken,
    cutoff: CancellationToken,
    listener: JoinHandle<()>,
    /// Follows the relays of the configuration file.
    relays: JoinHandle<()>,
    /// Imports the token of the configuration.
    token: Option<JoinHandle<()>>,
    _lock: ServeLock,
}

/// Why a gateway does not start. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another gateway runs on this home, or the lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] store::LockError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store cannot be read.
    #[error("cannot read the store: {0}")]
    Read(#[from] store::Error),
    /// A setting of the upstream client is invalid.
    #[error(transparent)]
    Upstream(#[from] upstream::BuildError),
    /// The engine does not start.
    #[error(transparent)]
    Engine(#[from] engine::StartError),
    /// The listener does not start, or would not be safe.
    #[error(transparent)]
    Bind(#[from] server::BindError),
}

/// Starts a gateway. Errors: [`StartError`]; nothing is left running then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let lock = Store::lock(&config.paths.home)?;
    let store = Store::open(store_options(&config)).await?;
    if let Some(mode) = Store::listable_mode(&config.paths.home) {
        let home = config.paths.home.display();
        tracing::warn!("{home} can be listed by other users (mode {mode:04o}); hint: chmod 700 {home}");
    }
    // Leases of ended processes must not delay a refresh.
    store.release_dead_leases().await?;
    let minted = store.keys().await?.iter().any(|key| key.kind == pool::keys::KeyKind::Client && key.revoked.is_none());
    let upstream = Upstream::new(upstream_config(&config))?;
    let listeners = match Listeners::open(server_settings(&config, minted)) {
        Ok(listeners) => listeners,
        Err(error) => {
            store.close().await;
            return Err(error.into());
        }
    };
    let (addresses, ollama) = (listeners.addresses().to_vec(), listeners.ollama_addresses().to_vec());
    // Set the gateway's own addresses before the engine calls any relay: no relay may be this gateway itself.
    upstream.relays().set_listeners(addresses.iter().chain(&ollama).copied().collect());
    let settings = engine_settings(&config);
    let engine = Engine::start(Parts { store: store.clone(), upstream, settings, clock: Clock::System }).await?;
    let server = listeners.serve(engine.clone());
    let token = config.accounts.token.clone().map(|token| tokio::spawn(import_token(engine.clone(), token)));
    let (shutdown, now) = (CancellationToken::new(), CancellationToken::new());
    let file_relays = FileRelays::new(engine.clone(), config.paths.config.clone());
    let seen = file_relays.stamps(&config.relays);
    file_relays.put(&config.relays).await;
    file_relays.warn_unknown_relays(&config.model);
    let relays =
        tokio::spawn(file_relays.follow((config.relays, seen), RefusalRecorder::new(store.clone()), shutdown.clone()));
    let listener = tokio::spawn(server.run_until(shutdown.clone(), now.clone()));
    Ok(Running { addresses, ollama, engine, store, shutdown, cutoff: now, listener, relays, token, _lock: lock })
}

impl Running {
    /// The URL for clients on this machine, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        let first = self.addresses.first().expect("invariant: a bound server has an address");
        let host = if first.ip().is_unspecified() { "127.0.0.1".to_owned() } else { host(first) };
        format!("http://{host}:{}", first.port())
    }

    /// Stops the gateway: no new connections, streams may finish within the drain time, then everything is written and closed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if !self.listener.is_finished() {
            let _ = self.listener.await;
        }
        let _ = self.relays.await;
        if let Some(token) = self.token {
            let _ = token.await;
        }
        self.engine.stop().await;
        self.store.close().await;
    }

    /// Waits until the task of the listeners ends without a stop, which means that the task panicked.
    pub async fn listener_failed(&mut self) {
        let _ = (&mut self.listener).await;
    }

    /// A token that cuts the drain of [`Running::stop`] short when it is cancelled: streams end with their protocol's failure.
    pub fn drain_cutoff(&self) -> CancellationToken {
        self.cutoff.clone()
    }

    /// The engine, for callers in the same process.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The store, for callers in the same process.
    pub fn store(&self) -> &Store {
        &self.store
    }
}

fn host(address: &SocketAddr) -> String {
    if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() }
}

/// Imports the token of the configuration as an account.
async fn import_token(engine: Engine, token: pool::Secret) {
    let done = engine.logins().add_token(Some(token), None, None).await;
    for error in &done.errors {
        tracing::warn!(%error, "accounts.token (CODEX_JWT_TOKEN) gives no account");
    }
}

pub(crate) fn store_options(config: &Config) -> store::Options {
    store::Options {
        home: config.paths.home.clone(),
        postgres: config.postgres.clone(),
        data_key: config.paths.data_key.clone(),
        schema: store::SchemaPolicy::Migrate,
        usage: config.usage,
    }
}

pub(crate) fn upstream_config(config: &Config) -> upstream::Config {
    let settings = &config.upstream;
    let client_id = settings.client_id.clone().unwrap_or_else(|| upstream::CLIENT_ID.to_owned());
    upstream::Config {
        base_url: settings.base_url.clone(),
        auth_url: settings.auth_url.clone(),
        token_url: settings.token_url.clone(),
        profile: profile(settings),
        client_id,
        proxy: settings.proxy.as_ref().map(|proxy| proxy.url.clone()),
        ca_bundle: settings.ca_bundle.clone(),
        force_http11: settings.force_http11,
        ..upstream::Config::default()
    }
}

fn profile(settings: &crate::config::Upstream) -> Profile {
    let mut platform = machine::platform();
    if let Some(os) = &settings.platform {
        platform.os.clone_from(os);
    }
    if let Some(arch) = &settings.arch {
        platform.arch.clone_from(arch);
    }
    let profile =
        Profile::named(&settings.profile, &platform).expect("invariant: the settings know the names of all profiles");
    match &settings.app_version {
        Some(app) => profile.with_versions(None, Some(app)),
        None => profile,
    }
}

pub(crate) fn engine_settings(config: &Config) -> engine::Settings {
    let Model { aliases, default, routing, .. } = &config.model;
    let names = Names { aliases: aliases.clone(), default: default.clone(), routes: routing.clone() }.with_shipped();
    engine::Settings {
        names,
        custom: config.model.custom.clone(),
        fast: config.model.fast,
        tools: config.model.default_tools.clone(),
        chains: config.model.fallbacks.clone(),
        stagger: config.accounts.stagger,
        effort: config.model.default_effort.clone(),
        max_concurrent: config.accounts.max_concurrent,
        strategy: config.accounts.strategy,
        tiers: config.accounts.tiers.clone(),
        rest: config.accounts.rate_limit_backoff,
        transport: config.upstream.transport,
        idle: config.upstream.idle_timeout,
        codex_file: config.accounts.codex_file(),
        proxies: engine::ProxyChecks {
            interval: config.proxies.interval,
            echo: config.proxies.echo.clone(),
            origin: config.upstream.proxy.as_ref().map(|proxy| proxy.origin.clone()).unwrap_or_default(),
        },
        api_key: config.server.api_key.clone(),
        models_ttl: config.model.cache_ttl,
        feeds: feeds(&config.upstream),
        quota_every: config.quota.refresh_interval,
        skip_exhausted: config.quota.skip_exhausted,
        alerts: engine::Alerts {
            thresholds: config.quota.thresholds.clone(),
            webhook: config.alerts.webhook.clone(),
            ntfy: config.alerts.ntfy.clone(),
            allow_private: config.alerts.allow_private,
            ..engine::Alerts::default()
        },
        ..engine::Settings::default()
    }
}

/// The version feeds. The desktop app's feed is off when the settings name its version.
fn feeds(settings: &crate::config::Upstream) -> engine::Feeds {
    let (every, first) = pool::limits::VERSIONS;
    let app = settings.app_feed.clone().filter(|_| settings.app_version.is_none());
    engine::Feeds { codex: settings.version_feed.clone(), app, every, first }
}

fn server_settings(config: &Config, minted: bool) -> server::Settings {
    let settings = &config.server;
    let fixed = settings.api_key.as_ref().map(pool::Secret::expose);
    let mut defaults = server::Settings::default();
    defaults.limits.drain = settings.drain;
    // Behind a load balancer a node waits until the balancer has noticed the stop; a single node has no balancer.
    let usual = if config.postgres.is_some() { pool::limits::DRAIN_DELAY } else { Duration::ZERO };
    defaults.limits.drain_delay = settings.drain_delay.unwrap_or(usual);
    server::Settings {
        hosts: settings.hosts.clone(),
        port: settings.port,
        allowed_hosts: settings.allowed_hosts.clone(),
        cors_origins: settings.allowed_origins.clone(),
        trusted_proxies: settings.trusted_proxies.clone(),
        allow_plain_http: settings.allow_plain_http,
        require_key: settings.require_key,
        keys: ClientKeyStrength::judge(fixed, minted),
        ollama: config.ollama.clone(),
        ..defaults
    }
}
