//! Where files live: XDG directories, or one directory that holds everything.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::ConfigError;

/// Where files live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Databases and lock; 0700.
    pub home: PathBuf,
    /// `config.toml`.
    pub config: PathBuf,
    /// The data key when it does not lie in `<home>/secret`.
    pub data_key: Option<PathBuf>,
}

impl Paths {
    /// Everything inside one directory (`--home`, `POLYGATE_HOME`).
    pub fn inside(home: &Path) -> Self {
        Self { home: home.to_owned(), config: home.join("config.toml"), data_key: None }
    }

    /// XDG directories: data apart from configuration, the data key beside the configuration so that a copy of the data
    /// directory alone opens nothing.
    ///
    /// # Errors
    /// [`ConfigError::Home`] when no home directory is known.
    pub fn xdg() -> Result<Self, ConfigError> {
        let base = etcetera::choose_base_strategy().map_err(|_| ConfigError::Home)?;
        let config = base.config_dir().join("polygate");
        Ok(Self {
            home: base.data_dir().join("polygate"),
            config: config.join("config.toml"),
            data_key: Some(config.join("secret").join("data.key")),
        })
    }

    /// Moves the data key (`POLYGATE_DATA_KEY_FILE`).
    #[must_use]
    pub fn with_data_key(mut self, file: Option<PathBuf>) -> Self {
        self.data_key = file.or(self.data_key);
        self
    }
}
