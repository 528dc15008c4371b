//! `relays`: other services that serve models, each with an address and a key.

mod known;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use engine::{Engine, PrivateAccess, RelayChange, RelayOrigin, RelaySpec, RelayView, host_name, masked, relay_state};
use pool::relay::{Capabilities, PastedAddress, Relay, Wire, format, wire};
use pool::{Secret, Status};
use serde::Serialize;

pub(super) use self::known::RelayList;
use self::known::{InvalidRelay, KnownRelay, stored};
use super::context::UpstreamSettings;
use super::failure::message;
use super::{Common, context, output};
use crate::config::Config;
use crate::file_relays::{self, refusals, refusals::Refusal};

#[derive(Debug, Subcommand)]
pub(super) enum Relays {
    /// Add a relay. This command allows plain http and private addresses, and says when the address is private or plain http.
    Add(Add),
    /// List all relays with their states.
    List,
    /// Ask a relay for its models, to see whether its address and key work.
    Test {
        /// Name or id of the relay.
        relay: String,
    },
    /// Replace the key of a stored relay.
    Key {
        /// Name or id of the relay.
        relay: String,
        #[command(flatten)]
        key: KeySource,
    },
    /// Remove a stored relay and its key.
    Remove {
        /// Name or id of the relay.
        relay: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Name of the relay: the `provider` in `provider:model`. Default: a name made from the host.
    #[arg(long)]
    name: Option<String>,
    /// Base URL of the relay, or the full address of one of its endpoints.
    #[arg(long, value_name = "URL")]
    base_url: String,
    #[command(flatten)]
    key: KeySource,
    /// Protocol of the relay: chat, responses, messages or gemini. Default: detected from the address or by asking the service.
    #[arg(long, value_parser = parse_format)]
    format: Option<Wire>,
    /// The models to offer. Default: the relay's live list.
    #[arg(long, value_delimiter = ',')]
    models: Vec<String>,
    /// Text that clients put before the relay's model names.
    #[arg(long, default_value = "")]
    prefix: String,
    /// What the relay can do: chat, embeddings, audio, images. Default: detected from address and format.
    #[arg(long, value_parser = parse_capabilities)]
    capabilities: Option<Capabilities>,
    /// Allow private addresses also when the host name resolves to one only later.
    #[arg(long)]
    allow_private: bool,
    /// Share of the requests among relays that list the same model.
    #[arg(long, default_value_t = 1)]
    weight: u32,
}

/// The source of a key.
#[derive(Debug, Args)]
pub(super) struct KeySource {
    /// Key of the relay. `-` reads the key from standard input, so that other users cannot see it.
    #[arg(long, value_name = "KEY", env = "POLYGATE_RELAY_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// A file that contains the key.
    #[arg(long, value_name = "FILE", env = "POLYGATE_RELAY_API_KEY_FILE", conflicts_with = "api_key")]
    api_key_file: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RelayReport<'a> {
    Known(RelayRow<'a>),
    Invalid { name: &'a str, status: &'static str, why: String, origin: RelayOrigin },
}

#[derive(Serialize)]
struct RelayRow<'a> {
    id: &'a str,
    name: &'a str,
    format: &'static str,
    base_url: &'a str,
    status: &'static str,
    key: String,
    models: &'a [String],
    listed: usize,
    prefix: &'a str,
    capabilities: String,
    allow_private: bool,
    weight: u32,
    origin: RelayOrigin,
}

impl Relays {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let mut config = context::config(common)?;
        let _stand_in = if matches!(self, Self::List) { context::temporary_home(&mut config)? } else { None };
        let store = context::store(&config).await?;
        let refusals = match self {
            Self::List => refusals::read(&store, &config.paths.home).await?,
            _ => Vec::new(),
        };
        let engine = context::engine_without_refresh(&config, store, self.calls()).await?;
        let done = match self {
            Self::Add(add) => add.run(common, &config, &engine).await,
            Self::List => list(common, &config, &refusals, &engine).await,
            Self::Test { relay } => test(common, &config, &engine, &relay).await,
            Self::Key { relay, key } => rekey(common, (&config, &engine), &relay, &key).await,
            Self::Remove { relay } => remove(&config, &engine, &relay).await,
        };
        context::close(engine).await;
        done
    }

    fn calls(&self) -> UpstreamSettings {
        match self {
            Self::Add(_) | Self::Test { .. } | Self::Key { .. } => UpstreamSettings::Configured,
            Self::List | Self::Remove { .. } => UpstreamSettings::Unused,
        }
    }
}

impl Add {
    async fn run(self, common: &Common, config: &Config, engine: &Engine) -> anyhow::Result<ExitCode> {
        let spec = self.spec()?;
        refuse_own_address(config, &spec.base_url)?;
        if config.relays.iter().any(|relay| relay.name == spec.name) {
            bail!("the configuration file names a relay {} already; hint: choose another name", spec.name);
        }
        let relay = engine.relays().add(&spec).await?;
        if relay.allow_private && !common.json {
            eprintln!("The address is private or plain http, so the relay is marked allow_private.");
        }
        if !relay.models.is_empty() {
            report(common, &relay, None);
            return Ok(ExitCode::SUCCESS);
        }
        let listed = engine.relays().test(&relay.id).await;
        if let Err(error) = &listed {
            eprintln!("warning: the relay is added, but {error}; see `polygate relays test {}`", relay.name);
        }
        report(common, &relay, listed.ok());
        Ok(ExitCode::SUCCESS)
    }

    fn spec(self) -> anyhow::Result<RelaySpec> {
        let key = self.key.read()?.unwrap_or_else(|| Secret::from(""));
        PastedAddress::read(&self.base_url)?;
        let made = || host_name(&self.base_url).context("the address gives no name for the relay; set one with --name");
        Ok(RelaySpec {
            name: self.name.clone().map_or_else(made, Ok)?,
            base_url: self.base_url,
            key,
            wire: self.format,
            models: self.models,
            prefix: self.prefix,
            capabilities: self.capabilities,
            private: if self.allow_private { PrivateAccess::Allowed } else { PrivateAccess::Auto },
            weight: self.weight,
            enabled: true,
        })
    }
}

impl KeySource {
    /// Reads the key; `None` when no key is given.
    fn read(&self) -> anyhow::Result<Option<Secret>> {
        Ok(match (&self.api_key, &self.api_key_file) {
            (Some(key), _) => Some(read_key(key)?),
            (None, Some(file)) => Some(file_relays::read_key(file)?),
            (None, None) => None,
        })
    }
}

fn report(common: &Common, relay: &RelayView, listed: Option<usize>) {
    if common.json {
        return output::json(&serde_json::json!({
            "id": relay.id,
            "name": relay.name,
            "format": relay.wire,
            "base_url": relay.base_url,
            "allow_private": relay.allow_private,
            "capabilities": relay.capabilities.join(","),
            "listed": listed,
        }));
    }
    let models = listed.map(|count| format!(", {count} models")).unwrap_or_default();
    output::line(&format!("Added {}: {} at {}{models}.", relay.name, relay.wire, relay.base_url));
}

async fn list(common: &Common, config: &Config, refusals: &[Refusal], engine: &Engine) -> anyhow::Result<ExitCode> {
    let RelayList { known, wrong } = RelayList::new(config, refusals, engine.relays().stored().await?);
    let mut counts = Vec::new();
    for KnownRelay { relay, .. } in &known {
        counts.push(engine.relays().count_models(relay).await?);
    }
    if common.json {
        let known = known.iter().zip(counts).map(|(known, count)| RelayReport::Known(row(known, count)));
        output::json(&known.chain(wrong.iter().map(invalid_row)).collect::<Vec<_>>());
        return Ok(ExitCode::SUCCESS);
    }
    let now = context::now();
    let good = known.iter().zip(counts).map(|(known, count)| line(known, count, now));
    let left_out = wrong.iter().map(|InvalidRelay { name, error }| {
        let nothing = || "-".to_owned();
        vec![name.clone(), nothing(), nothing(), format!("not used: {error:#}"), nothing(), "file".to_owned()]
    });
    let empty = "No relays yet. Add one: polygate relays add --base-url URL --api-key -";
    output::table(&["NAME", "FORMAT", "ADDRESS", "STATE", "MODELS", "SET IN"], good.chain(left_out).collect(), empty);
    Ok(ExitCode::SUCCESS)
}

fn line(known: &KnownRelay, count: usize, now: pool::Millis) -> Vec<String> {
    let relay = &known.relay;
    let private = if relay.allow_private { " (private)" } else { "" };
    vec![
        relay.name.clone(),
        format(relay.wire).to_owned(),
        format!("{}{private}", relay.base_url),
        if known.hidden { "not used: the file has a relay of this name".to_owned() } else { describe(relay, now) },
        count.to_string(),
        place(known.origin).to_owned(),
    ]
}

/// The row of an invalid relay, without its address, which may contain a secret.
fn invalid_row(wrong: &InvalidRelay) -> RelayReport<'_> {
    RelayReport::Invalid {
        name: &wrong.name,
        status: "left_out",
        why: format!("{:#}", wrong.error),
        origin: RelayOrigin::File,
    }
}

fn row(known: &KnownRelay, listed: usize) -> RelayRow<'_> {
    let KnownRelay { relay, key, origin, hidden } = known;
    RelayRow {
        id: &relay.id.0,
        name: &relay.name,
        format: format(relay.wire),
        base_url: &relay.base_url,
        status: if *hidden { "hidden" } else { state(relay) },
        key: masked(key.expose()),
        models: &relay.models,
        listed,
        prefix: &relay.prefix,
        capabilities: relay.capabilities.to_string(),
        allow_private: relay.allow_private,
        weight: relay.weight,
        origin: *origin,
    }
}

/// The stored state. For a relay of the file, the running gateway stored this state.
fn state(relay: &Relay) -> &'static str {
    if relay.enabled { relay_state(&relay.status) } else { "disabled" }
}

/// The stored state as text.
fn describe(relay: &Relay, now: pool::Millis) -> String {
    match &relay.status {
        _ if !relay.enabled => "disabled".to_owned(),
        Status::Cooling { until, why } => format!("resting, back {} ({why})", output::time_until(now, *until)),
        Status::Exhausted { until, .. } => format!("credits used up, retried {}", output::time_until(now, *until)),
        Status::NeedsLogin { why } | Status::Expiring { why, .. } | Status::Blocked { why } => why.clone(),
        Status::Active | Status::Disabled => "active".to_owned(),
    }
}

fn place(origin: RelayOrigin) -> &'static str {
    match origin {
        RelayOrigin::Store => "store",
        RelayOrigin::File => "file",
    }
}

async fn test(common: &Common, config: &Config, engine: &Engine, wanted: &str) -> anyhow::Result<ExitCode> {
    let relays = engine.relays();
    // A test asks the service, whatever a gateway stored about it.
    let found = RelayList::new(config, &[], relays.stored().await?).find(wanted)?;
    let Some(KnownRelay { relay, key, origin, .. }) = found else { return Err(no_such_relay(wanted)) };
    let tested = match origin {
        RelayOrigin::Store => relays.test(&relay.id.0).await,
        RelayOrigin::File => relays.fetch_models(&relay, &key).await.map(|models| models.len()),
    };
    // Some services list their models without a key.
    let open = tested.is_ok() && !key.is_empty() && relays.fetch_models(&relay, &Secret::from("")).await.is_ok();
    match tested {
        Ok(count) if common.json => {
            output::json(&serde_json::json!({ "name": relay.name, "ok": true, "listed": count, "key_checked": !open }));
        }
        Ok(count) => {
            output::line(&format!("{} answers: {count} models.", relay.name));
            if open {
                eprintln!(
                    "The model list needs no key, so this test does not check the key. Send a request to check it."
                );
            }
        }
        Err(error) if common.json => {
            output::json(&serde_json::json!({ "name": relay.name, "ok": false, "error": error.to_string() }));
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => bail!("{}: {}", relay.name, message(&error)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn rekey(
    common: &Common,
    (config, engine): (&Config, &Engine),
    wanted: &str,
    key: &KeySource,
) -> anyhow::Result<ExitCode> {
    let Some(relay) = stored(engine, wanted).await? else { return Err(not_stored(config, wanted)) };
    let key = key.read()?.context("no key is given; hint: `--api-key -` reads it from standard input")?;
    engine.relays().change(&relay.id.0, RelayChange { key: Some(key), ..RelayChange::default() }).await?;
    let listed = engine.relays().test(&relay.id.0).await;
    if let Err(error) = &listed {
        eprintln!("warning: the key is replaced, but {error}; see `polygate relays test {}`", relay.name);
    }
    if common.json {
        output::json(&serde_json::json!({ "id": relay.id.0, "name": relay.name, "listed": listed.ok() }));
    } else {
        output::line(&format!("Replaced the key of {}.", relay.name));
    }
    Ok(ExitCode::SUCCESS)
}

async fn remove(config: &Config, engine: &Engine, wanted: &str) -> anyhow::Result<ExitCode> {
    let Some(relay) = stored(engine, wanted).await? else { return Err(not_stored(config, wanted)) };
    engine.relays().remove(&relay.id.0).await?;
    eprintln!("Removed {}.", relay.name);
    Ok(ExitCode::SUCCESS)
}

fn no_such_relay(wanted: &str) -> anyhow::Error {
    anyhow::anyhow!("there is no relay {wanted}; see `polygate relays list`")
}

/// The error for a relay that is not in the store; a relay of the file can only be changed in the file.
fn not_stored(config: &Config, wanted: &str) -> anyhow::Error {
    if config.relays.iter().all(|relay| relay.name != wanted) {
        return no_such_relay(wanted);
    }
    anyhow::anyhow!("relay {wanted} is set in {}; change it there", config.paths.config.display())
}

/// Refuses an address at which this gateway itself listens.
fn refuse_own_address(config: &Config, base_url: &str) -> anyhow::Result<()> {
    let Ok(pasted) = PastedAddress::read(base_url) else { return Ok(()) };
    let url = pasted.url();
    let near = url.host_str().is_some_and(pool::guard::is_loopback);
    let port = url.port_or_known_default();
    if near && (port == Some(config.server.port) || config.ollama.enabled && port == Some(config.ollama.port)) {
        bail!("the address belongs to this gateway itself; hint: give the address of another service");
    }
    Ok(())
}

/// The key in the argument, or from standard input for `-`.
fn read_key(text: &str) -> anyhow::Result<Secret> {
    let key = context::secret(text, "key")?;
    if text == "-" && key.is_empty() {
        bail!("the key on standard input is empty");
    }
    Ok(key)
}

fn parse_format(text: &str) -> Result<Wire, String> {
    wire(text).ok_or_else(|| "give chat, responses, messages or gemini".to_owned())
}

fn parse_capabilities(text: &str) -> Result<Capabilities, String> {
    text.parse().map_err(|error: pool::relay::NoCapability| error.to_string())
}
