//! The context of most commands: paths, layers, configuration, store and engine.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use engine::{AccountView, Clock, Engine, Parts};
use pool::limits::REFRESH_CALL;
use pool::{Millis, Secret};
use store::Store;
use tempfile::TempDir;

use super::Common;
use super::signals::Signals;
use crate::config::{Config, ConfigError, Layers, Paths};

/// How long a command continues after a signal: one call of the token endpoint, and time to store the new tokens.
const LEAVE: Duration = Duration::from_secs(REFRESH_CALL.as_secs() + 5);

/// The paths that the options set.
pub(super) fn paths(common: &Common) -> Result<Paths, ConfigError> {
    let paths = match &common.home {
        Some(home) => Paths::inside(home),
        None => Paths::xdg()?,
    };
    Ok(paths.with_data_key(std::env::var_os("POLYGATE_DATA_KEY_FILE").map(PathBuf::from)))
}

/// The settings file and the environment, without flags.
pub(super) fn layers(paths: &Paths) -> Result<Layers, ConfigError> {
    // Names and values that are not UTF-8 cannot be settings.
    let env =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Layers::read(&paths.config, env)
}

/// The secret in the argument, or from standard input for `-`. `what` is its name in errors.
pub(super) fn secret(text: &str, what: &str) -> anyhow::Result<Secret> {
    if text != "-" {
        return Ok(Secret::new(text.trim()));
    }
    let mut input = String::new();
    let read = std::io::stdin().take(64 * 1024).read_to_string(&mut input);
    read.with_context(|| format!("cannot read the {what} from standard input"))?;
    Ok(Secret::new(input.trim()))
}

/// The configuration with only the common flags. An invalid relay of the file is reported and left out, because only a gateway needs
/// it.
pub(super) fn config(common: &Common) -> Result<Config, ConfigError> {
    let paths = paths(common)?;
    let (config, wrong) = Config::with_valid_relays(&layers(&paths)?, paths)?;
    for error in wrong {
        eprintln!("{error}; this relay is not used");
    }
    Ok(config)
}

/// Replaces a missing home by a temporary home that is removed on drop, so that read-only commands create nothing.
pub(super) fn temporary_home(config: &mut Config) -> anyhow::Result<Option<TempDir>> {
    let absent = std::fs::symlink_metadata(&config.paths.home).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    if config.postgres.is_some() || !absent {
        return Ok(None);
    }
    let empty = tempfile::tempdir().context("cannot create a temporary folder")?;
    empty.path().clone_into(&mut config.paths.home);
    config.paths.data_key = store::DataKey::InHome;
    Ok(Some(empty))
}

/// Opens the store of `config`, and creates a missing store. The schema is not migrated: a gateway of an older version may be serving.
pub(super) async fn store(config: &Config) -> anyhow::Result<Store> {
    Store::open(store_options(config))
        .await
        .with_context(|| format!("cannot open the store in {}", config.paths.home.display()))
}

/// The store's options for commands, which never migrate the schema.
pub(super) fn store_options(config: &Config) -> store::Options {
    store::Options { schema: store::SchemaPolicy::RequireCurrent, ..crate::start::store_options(config) }
}

/// An engine over the store of `config` without background tasks. The caller must call [`close`]. While this engine runs, a signal ends the
/// command only after a running token refresh.
pub(super) async fn engine(config: &Config) -> anyhow::Result<Engine> {
    let signals = Signals::listen()?;
    let engine = engine_over(config, store(config).await?, crate::start::upstream_config(config)).await?;
    tokio::spawn(exit_on_signal(engine.clone(), signals));
    Ok(engine)
}

/// An engine over an open store, for a command about keys. The caller must call [`close`].
pub(super) async fn keys_engine(config: &Config) -> anyhow::Result<Engine> {
    let engine = Engine::for_keys(parts(config, store(config).await?, upstream::Config::default())?).await;
    engine.with_context(|| format!("cannot read the store in {}", config.paths.home.display()))
}

/// The settings of the upstream that a command uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UpstreamSettings {
    /// Those of the configuration.
    Configured,
    /// The defaults: the command calls no service, and also works while its settings are invalid.
    Unused,
}

/// An engine over an open store, for a command that refreshes no token: a signal ends the command at once. The caller must call
/// [`close`].
pub(super) async fn engine_without_refresh(
    config: &Config,
    store: Store,
    calls: UpstreamSettings,
) -> anyhow::Result<Engine> {
    let upstream = match calls {
        UpstreamSettings::Configured => crate::start::upstream_config(config),
        UpstreamSettings::Unused => upstream::Config::default(),
    };
    engine_over(config, store, upstream).await
}

async fn engine_over(config: &Config, store: Store, upstream: upstream::Config) -> anyhow::Result<Engine> {
    let engine = Engine::for_command(parts(config, store, upstream)?).await;
    engine.with_context(|| format!("cannot read the store in {}", config.paths.home.display()))
}

fn parts(config: &Config, store: Store, upstream: upstream::Config) -> anyhow::Result<Parts> {
    let upstream = upstream::Upstream::new(upstream)?;
    Ok(Parts { store, upstream, settings: crate::start::engine_settings(config), clock: Clock::System })
}

/// Ends the command after a signal. A refresh token that was sent is used up, so the command first stores its successor. A second signal
/// ends the command at once.
async fn exit_on_signal(engine: Engine, mut signals: Signals) {
    let code = signals.next().await;
    if engine.has_running_work() {
        eprintln!("waiting until refreshed tokens are stored; a second signal ends the command at once");
    }
    tokio::select! {
        () = engine.stop() => {}
        _ = signals.next() => {}
        () = tokio::time::sleep(LEAVE) => eprintln!("the tokens were not stored in time"),
    }
    std::process::exit(code.into());
}

/// Stops an engine that [`engine`] or [`engine_without_refresh`] made, and closes its store.
pub(super) async fn close(engine: Engine) {
    engine.stop().await;
    engine.close().await;
}

/// The one account with this id, e-mail or label.
pub(super) fn account(engine: &Engine, wanted: &str) -> anyhow::Result<AccountView> {
    find_one(&engine.accounts().list(), wanted)
}

/// The one account for each id, e-mail or label.
pub(super) fn accounts(engine: &Engine, wanted: &[String]) -> anyhow::Result<Vec<AccountView>> {
    let all = engine.accounts().list();
    wanted.iter().map(|wanted| find_one(&all, wanted)).collect()
}

fn find_one(all: &[AccountView], wanted: &str) -> anyhow::Result<AccountView> {
    let named = |view: &&AccountView| [&view.id, &view.email, &view.label].into_iter().any(|name| name == wanted);
    let mut found = all.iter().filter(named);
    match (found.next(), found.count()) {
        (Some(view), 0) => Ok(view.clone()),
        (None, _) => bail!("there is no account {wanted}; see `polygate accounts list`"),
        (Some(_), others) => bail!("{wanted} matches {} accounts; use an id from `polygate accounts list`", others + 1),
    }
}

/// The wall clock.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
