//! `demo`: the whole gateway over the offline backend, in a temporary home.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;
use clap::Args;
use engine::Engine;
use offline::{FakeAccount, Offline, Options};
use pool::keys::{KeyKind, Scope, Scopes};
use pool::{Secret, Tokens};
use serde::Serialize;
use store::{NewAccount, Store, TokenOrigin};

use super::context::UpstreamSettings;
use super::signals::Signals;
use super::{Common, context, output};
use crate::Running;
use crate::config::{Config, Layers, Paths};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Port to listen on. Default: 8080, or a free port if 8080 is in use.
    #[arg(long, short)]
    port: Option<u16>,
    /// Number of simulated accounts.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1000))]
    accounts: u16,
    /// Tokens per second of each answer. 0 means as fast as possible.
    #[arg(long, default_value_t = 60.0)]
    pace: f64,
    /// A setting for this run, such as `upstream.idle_timeout=20m`. Can be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

/// The data that a script needs to use the demo.
#[derive(Serialize)]
struct Facts {
    /// The gateway's base URL.
    url: String,
    /// A client key.
    key: String,
    /// An admin token.
    admin: String,
    /// The base URL of the Ollama listener, if `ollama.enabled` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    ollama: Option<String>,
    /// The base URL of the simulated backend; its control endpoints are below `/offline`.
    offline: String,
}

impl Demo {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<()> {
        // The demo never uses the user's home, not even when POLYGATE_HOME names it.
        let home = tempfile::Builder::new()
            .prefix("polygate-demo-")
            .tempdir()
            .context("cannot create a temporary home directory")?;
        let pace = (self.pace > 0.0).then_some(self.pace);
        let backend =
            Offline::start(Options { pace, ..Options::default() }).await.context("cannot start the backend")?;
        let config = self.config(&home.path().join("home"), &backend)?;
        super::logging::start(&config.log);
        let store = Store::open(crate::start::store_options(&config)).await?;
        for _ in 0..self.accounts {
            store.put_account(new_account(backend.account("plus")), context::now()).await?;
        }
        let engine = context::engine_without_refresh(&config, store, UpstreamSettings::Unused).await?;
        let (key, admin) = (key(&engine, KeyKind::Client).await?, key(&engine, KeyKind::Admin).await?);
        context::close(engine).await;
        let mut signals = Signals::listen()?;
        let running = crate::start(config).await?;
        let ollama = running.ollama.first().map(|address| format!("http://{address}"));
        let facts = Facts { url: running.url(), key, admin, ollama, offline: backend.auth_url() };
        facts.print(common);
        signals.next().await;
        stop(running).await;
        backend.stop().await;
        Ok(())
    }

    fn config(&self, home: &std::path::Path, backend: &offline::Running) -> anyhow::Result<Config> {
        let paths = Paths::inside(home);
        // A demo ignores the user's environment and file, except for the log settings.
        let env = std::env::vars().filter(|(name, _)| name.starts_with("POLYGATE_LOG__"));
        let mut layers = Layers::read(&paths.config, env)?;
        layers.flag("log.level", "warn");
        layers.flag("server.port", self.port.unwrap_or_else(free_port).to_string());
        layers.flag("upstream.base_url", backend.base_url());
        layers.flag("upstream.auth_url", backend.auth_url());
        layers.flag("upstream.version_sync", "false");
        layers.flag("proxies.echo_url", format!("{}/echo", backend.auth_url()));
        for setting in &self.settings {
            let (key, value) =
                setting.split_once('=').with_context(|| format!("--set {setting:?} is not KEY=VALUE"))?;
            let field = crate::config::FIELDS.iter().find(|field| field.key == key);
            layers.flag(
                field.with_context(|| format!("there is no setting {key}; see `polygate config show`"))?.key,
                value,
            );
        }
        Ok(Config::from_layers(&layers, paths)?)
    }
}

impl Facts {
    fn print(&self, common: &Common) {
        if common.json {
            // One line, so that a script can read the JSON while the demo runs.
            output::line(&serde_json::to_string(self).expect("invariant: a struct of strings serialises"));
            return;
        }
        output::line(&page(self));
    }
}

fn page(facts: &Facts) -> String {
    let Facts { url, key, admin, offline, .. } = facts;
    let words = [("{url}", url), ("{key}", key), ("{admin}", admin), ("{offline}", offline)];
    words.into_iter().fold(include_str!("demo.txt").to_owned(), |page, (word, value)| page.replace(word, value))
}

async fn key(engine: &Engine, kind: KeyKind) -> anyhow::Result<String> {
    let scopes: Scopes = match kind {
        KeyKind::Client => Scopes::default(),
        KeyKind::Admin => [Scope::Read, Scope::Write].into_iter().collect(),
    };
    let new = engine::NewKey { kind, name: "demo".to_owned(), scopes, expires: None, tools: None };
    let created = engine.keys().create(new).await?;
    Ok(created.text.expose().to_owned())
}

fn new_account(fake: FakeAccount) -> NewAccount {
    let access = Secret::new(fake.access);
    let expires = upstream::jwt::Claims::from_tokens(&access, None).expires;
    NewAccount {
        label: fake.email.clone(),
        email: fake.email,
        plan: fake.plan,
        upstream_id: fake.account_id,
        user: fake.user,
        fedramp: false,
        origin: TokenOrigin::Login,
        egress: None,
        status: pool::Status::Active,
        tokens: Tokens {
            access,
            refresh: Some(Secret::new(fake.refresh)),
            id: Some(Secret::new(fake.id)),
            expires,
            refreshed: context::now(),
        },
    }
}

/// 8080 when that port is free, else 0.
fn free_port() -> u16 {
    if TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)).is_ok() { 8080 } else { 0 }
}

/// Stops with a short drain, because nobody depends on a demo's streams.
async fn stop(running: Running) {
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), running.stop()).await;
}
