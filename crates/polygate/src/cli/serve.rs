//! `serve`: the gateway in the foreground.

use std::pin::pin;
use std::process::ExitCode;

use clap::Args;
use pool::keys::KeyKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use super::signals::Signals;
use super::{Common, context, logging, output};
use crate::config::{Config, Layers};

/// Largest number of open files and sockets of a gateway: two sockets for each stream, and its idle connections.
const FILES: u64 = 1 << 16;
/// A limit that every system accepts (`OPEN_MAX` of macOS).
const FEW_FILES: u64 = 10_240;
/// Fewest characters of a fixed key that cannot be guessed.
const SHORT_KEY: usize = 24;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on. 0 selects a free port.
    #[arg(long, short)]
    port: Option<String>,
    /// A fixed client key. Prefer the environment variable, because other users can see the command line.
    #[arg(long, hide_env_values = true)]
    api_key: Option<String>,
    /// Proxy for all outbound traffic.
    #[arg(long)]
    proxy: Option<String>,
    /// How long model lists count as fresh, such as 10m. A number without a unit is in seconds.
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
        let paths = context::paths(common)?;
        let mut layers = context::layers(&paths)?;
        if common.json {
            layers.flag("log.format", "json");
        }
        self.flags(&mut layers);
        let unknown = layers.unknown();
        let config = Config::from_layers(&layers, paths)?;
        logging::start(&config.log);
        raise_file_limit();
        for key in unknown {
            tracing::warn!("unknown setting {key} in {}", config.paths.config.display());
        }
        if config.server.api_key.as_ref().is_some_and(|key| key.expose().trim().chars().count() < SHORT_KEY) {
            tracing::warn!(
                "server.api_key has fewer than {SHORT_KEY} characters; `polygate keys create` makes a long one"
            );
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

/// Raises the soft limit of open files. The usual 1024 of a shell exists for programs that call `select`, and allows only 500 streams.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(FILES).min(FILES);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    // Some systems (macOS) enforce a lower limit than the limit that they report.
    let set = |current: u64| setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..limit });
    if let Err(error) = set(wanted).or_else(|_| set(wanted.min(FEW_FILES))) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// The missing steps before the gateway can serve a client, each with its command; empty when nothing is missing.
async fn next_steps(running: &crate::Running, config: &Config) -> Result<Vec<&'static str>, store::Error> {
    let store = running.store();
    let served = !store.accounts().await?.is_empty() || !store.relays().await?.is_empty() || !config.relays.is_empty();
    let usable = |key: &pool::keys::Key| key.kind == KeyKind::Client && key.revoked.is_none();
    let admitted =
        !config.server.require_key || config.server.api_key.is_some() || store.keys().await?.iter().any(usable);
    let mut steps = Vec::new();
    if !served {
        steps.push("No accounts yet. Add one in another terminal: polygate login (or a relay: polygate relays add)");
    }
    if !admitted {
        steps.push("No client keys yet. Create one in another terminal: polygate keys create");
    }
    Ok(steps)
}

/// Prints the listening addresses on standard output, and the next steps on standard error.
fn announce(running: &crate::Running, steps: &[&str], json: bool) {
    for address in &running.addresses {
        print_line(
            json,
            &format!("listening on http://{address}"),
            &json!({ "listening": format!("http://{address}") }),
        );
    }
    for address in &running.ollama {
        let line = json!({ "listening": format!("http://{address}"), "api": "ollama" });
        print_line(json, &format!("serving the Ollama API on http://{address}"), &line);
    }
    for step in steps {
        remark(json, step);
    }
    if steps.is_empty() {
        remark(
            json,
            &format!("Base URL of OpenAI clients: {0}/v1, of Anthropic and Google clients: {0}", running.url()),
        );
    }
}

/// Prints one line on standard output.
fn print_line(json: bool, text: &str, line: &serde_json::Value) {
    output::line(&if json { line.to_string() } else { text.to_owned() });
}

/// Prints a remark for people; logs it when the log is JSON.
fn remark(json: bool, text: &str) {
    if json {
        tracing::info!("{text}");
    } else {
        eprintln!("{text}");
    }
}

async fn serve(config: Config) -> anyhow::Result<ExitCode> {
    // Register the handlers before the engine starts: a signal must not interrupt a token refresh, but end the gateway cleanly.
    let mut signals = Signals::listen()?;
    let json = config.log.json;
    let mut running = crate::start(config.clone()).await?;
    announce(&running, &next_steps(&running, &config).await?, json);
    tokio::select! {
        _ = signals.next() => {}
        () = running.listener_failed() => {
            running.stop().await;
            anyhow::bail!("the gateway stopped listening because of a defect; the log has the details; start it again");
        }
    }
    remark(json, "stopping; running streams may finish; a second signal ends them");
    let hurry = running.drain_cutoff();
    let mut stopping = pin!(running.stop());
    let code = tokio::select! {
        () = &mut stopping => return Ok(ExitCode::SUCCESS),
        code = signals.next() => code,
    };
    hurry.cancel();
    stopping.await;
    Ok(ExitCode::from(code))
}
