//! Who may call: client keys and admin tokens, checked against a snapshot in memory.

use std::fmt;

use pool::keys::{KeyKind, Scopes};
use pool::{Millis, Secret};

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

/// Why a presented text lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody's key.
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
    /// Somebody took it back.
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
}

/// A key that was made. Its text is shown once.
#[derive(Debug)]
pub struct CreatedKey {
    /// 8 characters, shown to people and logs.
    pub id: String,
    /// What its owner presents.
    pub text: Secret,
}

/// Why a key was not made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The store failed.
    #[error("keys: {0}")]
    Store(String),
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
