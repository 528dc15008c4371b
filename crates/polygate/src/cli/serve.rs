//! `serve`: the gateway in the foreground.

use std::pin::pin;
use std::process::ExitCode;

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Common, output, workplace};
use crate::config::{Config, Layers, Log};

/// Files and sockets that a gateway opens at most: two sockets for each stream, and its idle connections.
const FILES: u64 = 1 << 16;
/// What every system takes (`OPEN_MAX` of macOS).
const FEW_FILES: u64 = 10_240;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 picks a free one.
    #[arg(long, short)]
    port: Option<String>,
    /// A fixed client key; better in the environment, where other users cannot see it.
    #[arg(long, hide_env_values = true)]
    api_key: Option<String>,
    /// Proxy for all outbound traffic.
    #[arg(long)]
    proxy: Option<String>,
    /// How long model lists count as fresh, such as 10m; a bare number is seconds.
    #[arg(long, value_name = "TIME")]
    models_cache_ttl: Option<String>,
    /// error, warn, info, debug or trace.
    #[arg(long)]
    log_level: Option<String>,
    /// text or json.
    #[arg(long)]
    log_format: Option<String>,
    /// Allow plain HTTP on an address other than loopback.
    #[arg(long)]
    allow_plain_http: bool,
}

impl Serve {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let paths = workplace::paths(common)?;
        let mut layers = workplace::layers(&paths)?;
        self.flags(&mut layers);
        let unknown = layers.unknown();
        let config = Config::from_layers(&layers, paths)?;
        log(&config.log);
        open_up();
        for key in unknown {
            tracing::warn!("unknown setting {key} in {}", config.paths.config.display());
        }
        if config.postgres.is_none() && lonely(&config).await? {
            eprintln!("No accounts yet. Add one in another terminal: polygate login (or a relay: polygate relays add)");
        }
        serve(config).await
    }

    fn flags(self, layers: &mut Layers) {
        let flags = [
            ("server.host", self.host),
            ("server.port", self.port),
            ("server.api_key", self.api_key),
            ("upstream.proxy", self.proxy),
            ("model.cache_ttl", self.models_cache_ttl),
            ("log.level", self.log_level),
            ("log.format", self.log_format),
            ("server.allow_plain_http", self.allow_plain_http.then(|| "true".to_owned())),
        ];
        for (key, value) in flags {
            if let Some(value) = value {
                layers.flag(key, value);
            }
        }
    }
}

/// Lets the process open as many files as it may. The usual 1024 of a shell are a limit for programs that call `select`, and no more
/// than 500 streams.
fn open_up() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(FILES).min(FILES);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    // Some systems (macOS) have a lower limit of their own beside the one that they name.
    let set = |current: u64| setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    if let Err(error) = set(wanted).or_else(|_| set(wanted.min(FEW_FILES))) {
        tracing::warn!(%error, "the limit of open files stays as it was");
    }
}

/// Whether there is nobody who could serve a request.
async fn lonely(config: &Config) -> anyhow::Result<bool> {
    let store = workplace::store(config).await?;
    let lonely = store.accounts().await?.is_empty() && store.relays().await?.is_empty() && config.relays.is_empty();
    store.close().await;
    Ok(lonely)
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let running = crate::start(config).await?;
    for address in &running.addresses {
        output::line(&format!("listening on http://{address}"));
    }
    for address in &running.ollama {
        output::line(&format!("serving the Ollama API on http://{address}"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    eprintln!("stopping; streams may finish, a second signal ends them");
    let hurry = running.hurry();
    let mut stopping = pin!(running.stop());
    let code = tokio::select! {
        () = &mut stopping => return Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => 143,
        _ = tokio::signal::ctrl_c() => 130,
    };
    hurry.cancel();
    stopping.await;
    Ok(ExitCode::from(code))
}

/// Starts logging to standard error.
pub(super) fn log(log: &Log) {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(log.level.clone());
    let installed = if log.json { registry.with(lines.json()).try_init() } else { registry.with(lines).try_init() };
    // A second subscriber in one process (tests) is no trouble: the first one stays.
    drop(installed);
}
