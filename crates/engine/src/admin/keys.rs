//! Changes of client keys and admin tokens.

use std::sync::Arc;

use pool::hosted::Hosted;
use pool::keys::Key;

use crate::registry::keys::{CreatedKey, NewKey, create_key};
use crate::request::services::Services;

/// The handle that `Engine::keys` returns.
#[derive(Clone, Copy)]
pub struct Keys<'e>(pub(crate) &'e Arc<Services>);

impl Keys<'_> {
    /// Creates a key, which is valid at once.
    pub async fn create(self, new: NewKey) -> Result<CreatedKey, store::Error> {
        let created = create_key(&self.0.runtime.store, new, self.0.runtime.now()).await?;
        self.publish().await;
        Ok(created)
    }

    /// Sets a client key's hosted tools, `None` to leave them to the settings; `false` when there is no such key.
    pub async fn set_tools(self, id: &str, tools: Option<&[Hosted]>) -> Result<bool, store::Error> {
        let known = self.0.runtime.store.set_key_tools(id, tools).await?;
        self.publish().await;
        Ok(known)
    }

    /// Revokes a key at once; `false` when there is no key of this id or it was revoked before.
    pub async fn revoke(self, id: &str) -> Result<bool, store::Error> {
        let revoked = self.0.runtime.store.revoke_key(id, self.0.runtime.now()).await?;
        self.publish().await;
        Ok(revoked)
    }

    /// Puts a stored change in place. If the store cannot be read now, the next look at it does: the change itself is not lost.
    async fn publish(self) {
        if let Err(error) = self.0.registry.reload_keys().await {
            tracing::warn!(%error, "changed keys are not readable yet");
        }
    }

    /// Every stored key, oldest first.
    pub fn list(self) -> Vec<Key> {
        self.0.registry.keys.all()
    }
}
