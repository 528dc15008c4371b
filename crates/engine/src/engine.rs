//! The facade.

use std::sync::Arc;

use pool::catalog::{Model, Resolved};
use pool::keys::Key;
use proto::Failure;
use upstream::Upstream;

use crate::accounts::{AccountView, Ready};
use crate::call::Call;
use crate::clock::Clock;
use crate::keys::{AdminId, AuthError, CreatedKey, KeyError, KeyId, NewKey};
use crate::reply::{Refusal, Reply};
use crate::settings::Settings;

/// What an engine is made of.
pub struct Parts {
    /// The way out.
    pub upstream: Upstream,
    /// Settings.
    pub settings: Settings,
    /// The time of day.
    pub clock: Clock,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed.
    #[error("cannot read the store: {0}")]
    Store(String),
}

/// The engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine(Arc<Parts>);

impl Engine {
    /// Reads the store and starts the background tasks. Does not wait for the network.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        Ok(Self(Arc::new(parts)))
    }

    /// Ends the background tasks, waits for refreshes under way and writes what is in memory only. Call it once the
    /// server has drained.
    pub async fn stop(&self) {
        unimplemented!()
    }

    /// Serves one request: resolves at the commit barrier of a stream or at the end of a collected reply. Dropping the
    /// future or the reply cancels the upstream.
    pub async fn run(&self, _call: Call) -> Result<Reply, Refusal> {
        unimplemented!()
    }

    /// Whose client key `presented` is.
    pub async fn authenticate(&self, _presented: &str) -> Result<KeyId, AuthError> {
        unimplemented!()
    }

    /// Whose admin token `presented` is.
    pub async fn authenticate_admin(&self, _presented: &str) -> Result<AdminId, AuthError> {
        unimplemented!()
    }

    /// The models to show, best first.
    pub fn models(&self) -> Vec<Model> {
        unimplemented!()
    }

    /// What a model name means; `None` asks for the default.
    pub fn resolve(&self, _name: Option<&str>) -> Result<Resolved, Failure> {
        unimplemented!()
    }

    /// Whether requests can be served now.
    pub fn ready(&self) -> Ready {
        unimplemented!()
    }

    /// Every account, oldest first.
    pub fn accounts(&self) -> Vec<AccountView> {
        unimplemented!()
    }

    /// Makes a key.
    pub async fn create_key(&self, _new: NewKey) -> Result<CreatedKey, KeyError> {
        unimplemented!()
    }

    /// Takes a key back; `false` when there is none of this id.
    pub async fn revoke_key(&self, _id: &str) -> Result<bool, KeyError> {
        unimplemented!()
    }

    /// Every stored key, oldest first.
    pub fn keys(&self) -> Vec<Key> {
        let _ = &self.0;
        unimplemented!()
    }
}
