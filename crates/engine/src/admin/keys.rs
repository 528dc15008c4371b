//! Client keys and admin tokens for their owner.

use std::sync::Arc;

use pool::hosted::Hosted;
use pool::keys::Key;

use crate::registry::keys::{CreatedKey, KeyError, NewKey};
use crate::request::services::Services;

/// Client keys and admin tokens; see [`crate::Engine::keys`].
#[derive(Clone, Copy)]
pub struct Keys<'e>(pub(crate) &'e Arc<Services>);

impl Keys<'_> {
    /// Makes a key.
    pub async fn create(self, new: NewKey) -> Result<CreatedKey, KeyError> {
        self.0.registry.create_key(new).await
    }

    /// Sets a client key's hosted tools, `None` to leave them to the settings; `false` when there is no such key.
    pub async fn equip(self, id: &str, tools: Option<&[Hosted]>) -> Result<bool, KeyError> {
        self.0.registry.set_key_tools(id, tools).await
    }

    /// Takes a key back; `false` when there is none of this id or it was taken back before.
    pub async fn revoke(self, id: &str) -> Result<bool, KeyError> {
        self.0.registry.revoke_key(id).await
    }

    /// Every stored key, oldest first.
    pub fn list(self) -> Vec<Key> {
        self.0.registry.keys.all()
    }
}
