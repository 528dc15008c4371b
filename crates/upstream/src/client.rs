//! The one HTTP client.

use std::sync::Arc;

use pool::{AccountId, Secret};

use crate::{BuildError, Config};

/// The way out. Clones share connections and cookies.
#[derive(Clone)]
pub struct Upstream(Arc<Config>);

impl Upstream {
    /// Checks the settings and builds the client; opens nothing and reads no certificate store yet.
    pub fn new(config: Config) -> Result<Self, BuildError> {
        Ok(Self(Arc::new(config)))
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.0
    }

    /// The account's persistable cookies; `None` when it has none.
    pub fn cookies(&self, _id: &AccountId) -> Option<Secret> {
        unimplemented!()
    }

    /// Restores what [`Upstream::cookies`] gave; what cannot be read is dropped.
    pub fn set_cookies(&self, _id: &AccountId, _saved: &Secret) {
        unimplemented!()
    }

    /// Forgets the account's cookies.
    pub fn forget(&self, _id: &AccountId) {
        unimplemented!()
    }
}
