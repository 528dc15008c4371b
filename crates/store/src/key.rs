//! Key rows: digests only, never a key's text.

use pool::Millis;
use pool::keys::Key;

use crate::{Error, Store};

impl Store {
    /// Every key, revoked ones too, oldest first.
    pub async fn keys(&self) -> Result<Vec<Key>, Error> {
        unimplemented!()
    }

    /// Adds a key; its id must be new.
    pub async fn add_key(&self, _key: &Key) -> Result<(), Error> {
        unimplemented!()
    }

    /// Revokes a key from `now` on; `false` when there is none or it was revoked before.
    pub async fn revoke_key(&self, _id: &str, _now: Millis) -> Result<bool, Error> {
        unimplemented!()
    }
}
