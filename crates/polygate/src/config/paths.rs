//! Locations of files: XDG directories, or one directory for everything.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use store::DataKey;

use super::ConfigError;

/// Locations of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Databases and lock; 0700.
    pub home: PathBuf,
    /// `config.toml`.
    pub config: PathBuf,
    /// Location of the data key.
    pub data_key: DataKey,
}

impl Paths {
    /// Everything inside one directory (`--home`, `POLYGATE_HOME`).
    pub fn inside(home: &Path) -> Self {
        Self { home: home.to_owned(), config: home.join("config.toml"), data_key: DataKey::InHome }
    }

    /// XDG directories. The data key is in the configuration directory, so that a copy of the data directory alone opens nothing. If the
    /// configuration directory is not writable, as in a container that mounts it, the key is in the state directory. Errors:
    /// [`ConfigError::Home`] when no home directory is known.
    pub fn xdg() -> Result<Self, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::Home)?;
        let config = base.config_dir().join("polygate");
        let secrets = [Some(config.clone()), base.state_dir().map(|state| state.join("polygate"))];
        Ok(Self {
            home: base.data_dir().join("polygate"),
            config: config.join("config.toml"),
            data_key: DataKey::Folders(secrets.into_iter().flatten().map(|folder| folder.join("secret")).collect()),
        })
    }

    /// Sets another location of the data key (`POLYGATE_DATA_KEY_FILE`).
    #[must_use]
    pub fn with_data_key(mut self, file: Option<PathBuf>) -> Self {
        self.data_key = file.map_or(self.data_key, DataKey::File);
        self
    }
}
