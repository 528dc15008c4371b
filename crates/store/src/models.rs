//! The model list of each account, as fetched.

use bytes::Bytes;
use pool::{AccountId, Millis};

use crate::{Error, Store};

/// A model list as the backend sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModels {
    /// Its ETag, if it had one.
    pub etag: Option<String>,
    /// The client version that was asked for; the list depends on it.
    pub client_version: String,
    /// The body, JSON.
    pub body: Bytes,
    /// When it was fetched or confirmed.
    pub fetched: Millis,
}

impl Store {
    /// An account's model list.
    pub async fn models(&self, _id: &AccountId) -> Result<Option<StoredModels>, Error> {
        unimplemented!()
    }

    /// Keeps an account's model list.
    pub async fn set_models(&self, _id: &AccountId, _models: &StoredModels) -> Result<(), Error> {
        unimplemented!()
    }
}
