//! Client keys and admin tokens, checked against a snapshot in memory.

use std::collections::HashMap;
use std::fmt;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pool::hosted::Hosted;
use pool::keys::{self, Fixed, Key, KeyEnded, KeyKind, ParseError, Scopes};
use pool::{Millis, Secret};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::Registry;

/// An unknown key of our form is looked up in the store at most this often: it may be new.
const LOOK: Duration = Duration::from_millis(200);
/// No key is longer.
const LONGEST: usize = 512;

/// A client key's id; fit for logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyId(pub String);

/// An authenticated admin token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminId {
    /// Its id; fit for logs.
    pub id: String,
    /// What it may do.
    pub scopes: Scopes,
}

/// Why a presented key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No such key.
    #[error("unknown API key; hint: `polygate keys create` makes one")]
    Unknown,
    /// Our form, but damaged.
    #[error("this API key is damaged or mistyped")]
    Damaged,
    /// An admin token where a client key is wanted.
    #[error("an admin token is no client key; hint: `polygate keys create` makes one")]
    NotClient,
    /// A client key where an admin token is wanted.
    #[error("a client key is no admin token; hint: `polygate admin token` makes one")]
    NotAdmin,
    /// Its time is over.
    #[error("this key has expired")]
    Expired,
    /// It was revoked.
    #[error("this key was revoked")]
    Revoked,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its owner's name for it.
    pub name: String,
    /// Client key or admin token.
    pub kind: KeyKind,
    /// What an admin token may do; empty for client keys.
    pub scopes: Scopes,
    /// When it ends; `None` for never.
    pub expires: Option<Millis>,
    /// Hosted tools that its requests get without asking; `None` leaves them to the settings.
    pub tools: Option<Vec<Hosted>>,
}

/// A key that was made. Its text is shown once.
#[derive(Debug)]
pub struct CreatedKey {
    /// 8 characters, shown to people and logs.
    pub id: String,
    /// What its owner presents.
    pub text: Secret,
}

/// The keys in memory.
pub(crate) struct Keys {
    stored: ArcSwap<HashMap<String, Key>>,
    configured: Option<Fixed>,
    looked: Mutex<Option<Instant>>,
    /// Held from reading the stored keys until they are published.
    reading: tokio::sync::Mutex<()>,
}

impl Keys {
    /// No stored key yet.
    pub(crate) fn new(api_key: Option<&Secret>, pepper: &[u8; 32]) -> Self {
        let fixed = api_key.filter(|key| !key.is_empty()).map(|key| keys::fixed(key.expose(), pepper));
        Self {
            stored: ArcSwap::default(),
            configured: fixed,
            looked: Mutex::new(None),
            reading: tokio::sync::Mutex::new(()),
        }
    }

    /// Publishes the stored keys.
    pub(crate) fn adopt(&self, stored: Vec<Key>) {
        self.stored.store(Arc::new(stored.into_iter().map(|key| (key.id.clone(), key)).collect()));
    }

    /// Every stored key, oldest first.
    pub(crate) fn all(&self) -> Vec<Key> {
        let mut all: Vec<_> = self.stored.load().values().cloned().collect();
        all.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        all
    }

    /// Whether a client key has this id.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let client = self.get(id).is_some_and(|key| key.kind == KeyKind::Client);
        client || self.configured.as_ref().is_some_and(|fixed| fixed.id == id)
    }

    /// The hosted tools of this client key, when it has a list of its own.
    pub(crate) fn tools(&self, id: &KeyId) -> Option<Vec<Hosted>> {
        self.stored.load().get(&id.0)?.tools.clone()
    }

    fn get(&self, id: &str) -> Option<Key> {
        self.stored.load().get(id).cloned()
    }

    fn may_look(&self) -> bool {
        let now = Instant::now();
        let mut looked = self.looked.lock();
        let may = looked.is_none_or(|last| now.duration_since(last) >= LOOK);
        if may {
            *looked = Some(now);
        }
        may
    }
}

impl Registry {
    /// Authenticates a client key.
    pub(crate) async fn authenticate_client(&self, presented: &str) -> Result<KeyId, AuthError> {
        let presented = keys::bare(presented);
        if presented.len() > LONGEST {
            return Err(AuthError::Unknown);
        }
        if let Some(fixed) = &self.keys.configured
            && keys::digest(presented, self.runtime.store.pepper()).matches(&fixed.digest)
        {
            return Ok(KeyId(fixed.id.clone()));
        }
        self.check_stored_key(presented, KeyKind::Client).await.map(|key| KeyId(key.id))
    }

    /// Authenticates an admin token.
    pub(crate) async fn authenticate_admin(&self, presented: &str) -> Result<AdminId, AuthError> {
        if presented.len() > LONGEST {
            return Err(AuthError::Unknown);
        }
        let key = self.check_stored_key(presented, KeyKind::Admin).await?;
        Ok(AdminId { id: key.id, scopes: key.scopes })
    }

    async fn check_stored_key(&self, presented: &str, wanted: KeyKind) -> Result<Key, AuthError> {
        let parsed = keys::parse(presented).map_err(|error| match error {
            ParseError::Foreign => AuthError::Unknown,
            ParseError::Damaged => AuthError::Damaged,
        })?;
        let key = match self.keys.get(parsed.id) {
            Some(key) => key,
            None => self.find_stored_key(parsed.id).await.ok_or(AuthError::Unknown)?,
        };
        if !keys::digest(presented, self.runtime.store.pepper()).matches(&key.digest) {
            return Err(AuthError::Unknown);
        }
        // An ended key is refused before its kind is checked.
        key.live(self.runtime.now())?;
        match (key.kind == wanted, wanted) {
            (true, _) => Ok(key),
            (false, KeyKind::Client) => Err(AuthError::NotClient),
            (false, KeyKind::Admin) => Err(AuthError::NotAdmin),
        }
    }

    /// Looks up a key that may have been created since the last reload.
    async fn find_stored_key(&self, id: &str) -> Option<Key> {
        if !self.keys.may_look() {
            return None;
        }
        if let Err(error) = self.reload_keys().await {
            tracing::warn!(%error, "keys not readable");
        }
        self.keys.get(id)
    }

    /// Reads and publishes the keys, one reader at a time, so that an older read never replaces a newer one, which may have a revocation.
    pub(crate) async fn reload_keys(&self) -> Result<(), store::Error> {
        let _guard = self.keys.reading.lock().await;
        self.keys.adopt(self.runtime.store.keys().await?);
        Ok(())
    }
}

/// Makes a key and stores its digest.
pub(crate) async fn create_key(store: &store::Store, new: NewKey, now: Millis) -> Result<CreatedKey, store::Error> {
    let minted = keys::mint(new.kind, &rand::random(), store.pepper());
    let key = Key {
        id: minted.id.clone(),
        kind: new.kind,
        name: new.name,
        digest: minted.digest,
        scopes: new.scopes,
        created: now,
        expires: new.expires,
        revoked: None,
        tools: new.tools,
    };
    store.add_key(&key).await?;
    Ok(CreatedKey { id: minted.id, text: minted.text })
}

impl From<KeyEnded> for AuthError {
    fn from(ended: KeyEnded) -> Self {
        match ended {
            KeyEnded::Expired => Self::Expired,
            KeyEnded::Revoked => Self::Revoked,
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
