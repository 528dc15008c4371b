//! The relays of the configuration file. The engine gets them at the start, and again whenever the file or a key file changes.

pub(crate) mod refusals;

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use engine::{Engine, PrivateAccess, RelaySpec};
use pool::Secret;
use pool::catalog::Provider;
use tokio_util::sync::CancellationToken;

use self::refusals::RefusalRecorder;
use crate::config::{Key, Layers, Model, Relay};

/// Interval between checks of the files.
const LOOK: Duration = Duration::from_secs(1);
/// Longest key, bytes.
const KEY: u64 = 64 << 10;

/// Passes the file's relays to an engine.
pub(crate) struct FileRelays {
    engine: Engine,
    file: PathBuf,
}

/// Modification time and size of a file; `None` for a missing file.
type Stamp = Option<(SystemTime, u64)>;

/// The stamps of the configuration file and of the files that hold its relays' keys.
#[derive(PartialEq)]
pub(crate) struct FileStamps {
    file: Stamp,
    keys: Vec<Stamp>,
}

/// Why a relay of the file has no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is empty.
    #[error("{0} is empty")]
    Empty(PathBuf),
}

impl FileRelays {
    /// Relays of this configuration file for `engine`.
    pub(crate) fn new(engine: Engine, file: PathBuf) -> Self {
        Self { engine, file }
    }

    /// Replaces the relays of the file. An invalid relay is logged and left out.
    pub(crate) async fn put(&self, relays: &[Relay]) {
        let mut specs = Vec::new();
        for relay in relays {
            match load_relay_spec(relay, &self.file) {
                Ok(spec) => specs.push(spec),
                Err(error) => tracing::error!(relay = %relay.name, %error, "relay of the configuration file left out"),
            }
        }
        for (relay, error) in self.engine.relays().replace_configured(&specs).await {
            tracing::error!(%relay, %error, "relay of the configuration file left out");
        }
        for relay in
            self.engine.relays().list().into_iter().filter(|relay| specs.iter().any(|spec| spec.name == relay.name))
        {
            let private = relay.allow_private;
            tracing::info!(relay = %relay.name, address = %relay.base_url, allow_private = private, "relay of the file");
        }
    }

    /// Logs the relays that custom models and routes name but that do not exist. Requests for such models are refused until the relay is
    /// added.
    pub(crate) fn warn_unknown_relays(&self, model: &Model) {
        let rows = model.custom.iter().filter_map(|row| row.relay.as_deref());
        let routes = model.routing.iter().filter_map(|(_, provider)| match provider {
            Provider::Relay(name) => Some(name.as_str()),
            Provider::Accounts => None,
        });
        let there: HashSet<String> = self.engine.relays().list().into_iter().map(|relay| relay.name).collect();
        let named: BTreeSet<&str> = rows.chain(routes).filter(|name| !there.contains(*name)).collect();
        for relay in named {
            tracing::warn!(
                "models of the configuration name the relay {relay}, which does not exist: requests for them are refused"
            );
        }
    }

    /// The files' stamps. Take them before the files are read, so that the next check sees later writes.
    pub(crate) fn stamps(&self, relays: &[Relay]) -> FileStamps {
        FileStamps { file: stamp(&self.file), keys: self.keys(relays) }
    }

    /// Follows the files until `stop`, beginning with the relays and stamps of the start. An unreadable or invalid file changes nothing.
    pub(crate) async fn follow(
        self,
        (mut relays, mut seen): (Vec<Relay>, FileStamps),
        mut recorder: RefusalRecorder,
        stop: CancellationToken,
    ) {
        if read(&self.file).ok().as_ref() != Some(&relays) {
            // The file changed after the start had read it and before the stamps were taken.
            seen.file = None;
        }
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            recorder.update(&self.engine).await;
            let now = self.stamps(&relays);
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.file) {
                Ok(new) => {
                    tracing::info!(file = %self.file.display(), "the configuration file changed: its relays are read again");
                    relays = new;
                    seen.keys = self.keys(&relays);
                    self.put(&relays).await;
                }
                Err(error) => tracing::error!(%error, "the configuration file changed; its relays stay as they were"),
            }
        }
    }

    fn keys(&self, relays: &[Relay]) -> Vec<Stamp> {
        relays.iter().filter_map(|relay| key_file(relay, &self.file)).map(|path| stamp(&path)).collect()
    }
}

fn read(file: &Path) -> Result<Vec<Relay>, crate::config::ConfigError> {
    Layers::read(file, [])?.relays()
}

fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Converts a relay of the file to the engine's form.
pub(crate) fn load_relay_spec(relay: &Relay, file: &Path) -> Result<RelaySpec, KeyFileError> {
    Ok(RelaySpec {
        name: relay.name.clone(),
        base_url: relay.base_url.clone(),
        key: key(relay, file)?,
        wire: relay.format,
        models: relay.models.clone(),
        prefix: relay.prefix.clone(),
        capabilities: relay.capabilities,
        private: match relay.allow_private {
            None => PrivateAccess::Auto,
            Some(true) => PrivateAccess::Allowed,
            Some(false) => PrivateAccess::Refused,
        },
        weight: relay.weight,
        enabled: relay.enabled,
    })
}

/// The file of a relay's key. A relative path is relative to the configuration file's directory.
fn key_file(relay: &Relay, file: &Path) -> Option<PathBuf> {
    let Key::File(path) = &relay.key else { return None };
    Some(file.parent().unwrap_or(Path::new("")).join(path))
}

fn key(relay: &Relay, file: &Path) -> Result<Secret, KeyFileError> {
    match (&relay.key, key_file(relay, file)) {
        (_, Some(path)) => read_key(&path),
        (Key::Inline(key), None) => Ok(key.clone()),
        (Key::None | Key::File(_), None) => Ok(Secret::from("")),
    }
}

/// Reads a key file; surrounding white space is removed.
pub(crate) fn read_key(path: &Path) -> Result<Secret, KeyFileError> {
    use std::io::Read;
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(KEY).read_to_string(&mut text));
    read.map_err(|source| KeyFileError::Read { path: path.to_owned(), source })?;
    let key = Secret::new(text.trim());
    if key.is_empty() { Err(KeyFileError::Empty(path.to_owned())) } else { Ok(key) }
}
