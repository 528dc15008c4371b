//! Account rows.

use pool::quota::Quota;
use pool::{Account, AccountId, Millis, Secret, Status, Tokens};

use crate::{Error, Store};

/// Where tokens come from, which decides whether they replace stored ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Just issued to us: they replace whatever is stored.
    Login,
    /// Read from a file or pasted: they replace stored ones only when newer.
    Import,
}

/// An account to add or to sign in again.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Name shown to people; empty keeps the stored one, or takes the e-mail.
    pub label: String,
    /// E-mail claim, empty when unknown.
    pub email: String,
    /// Plan claim, empty when unknown.
    pub plan: String,
    /// The `chatgpt-account-id` header's value.
    pub upstream_id: String,
    /// ChatGPT user id claim, empty when unknown.
    pub user: String,
    /// Whether the workspace is a FedRAMP one.
    pub fedramp: bool,
    /// Its tokens; `refreshed` is when they were issued, as far as known.
    pub tokens: Tokens,
    /// Where they come from.
    pub origin: Origin,
}

/// What [`Store::put_account`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// The account's id, old or new.
    pub id: AccountId,
    /// Whether it was not known before.
    pub added: bool,
    /// Whether the given tokens are stored now; `false` when the stored ones are newer.
    pub stored: bool,
}

impl Store {
    /// Every account, oldest first.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        unimplemented!()
    }

    /// An account's tokens; `None` when there is no such account.
    pub async fn tokens(&self, _id: &AccountId) -> Result<Option<Tokens>, Error> {
        unimplemented!()
    }

    /// Adds an account, or signs a known one (same upstream id and user) in again. Newer tokens are never replaced by older.
    pub async fn put_account(&self, _new: NewAccount, _now: Millis) -> Result<Put, Error> {
        unimplemented!()
    }

    /// Removes an account with everything that belongs to it; `false` when there is none.
    pub async fn remove_account(&self, _id: &AccountId) -> Result<bool, Error> {
        unimplemented!()
    }

    /// Writes an account's status.
    pub async fn set_status(&self, _id: &AccountId, _status: &Status) -> Result<(), Error> {
        unimplemented!()
    }

    /// Writes an account's quota.
    pub async fn set_quota(&self, _id: &AccountId, _quota: &Quota) -> Result<(), Error> {
        unimplemented!()
    }

    /// An account's cookie jar as [`Store::set_cookies`] got it.
    pub async fn cookies(&self, _id: &AccountId) -> Result<Option<Secret>, Error> {
        unimplemented!()
    }

    /// Keeps an account's cookie jar, sealed.
    pub async fn set_cookies(&self, _id: &AccountId, _jar: &Secret) -> Result<(), Error> {
        unimplemented!()
    }
}
