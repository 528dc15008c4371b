//! Ways in: files, tokens, the browser, device codes, and Codex's own file. One for the command line and the admin API.

mod browser;
mod device;
mod import;
mod link;
mod spend;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::egress::Egress;
use pool::{Secret, Status, Tokens};
use store::{NewAccount, Origin, Put};
use upstream::jwt::Claims;
use upstream::oauth::{CallbackError, Grant, LoginError};
use upstream::transfer::Entry;

use crate::core::Core;
use crate::egress::ProxyError;
use crate::engine::Engine;

pub use browser::{LoginStage, LoginStart};
pub use device::{DevicePoll, DeviceStart};
pub(crate) use import::PASSPHRASES;
pub use import::{Fate as ImportFate, ImportProblem, ImportResult, Imports};
pub use link::LinkError;

/// Logins that wait for a person.
#[derive(Default)]
pub(crate) struct Logins {
    /// By the admin token that began them: one each.
    browsers: tokio::sync::Mutex<HashMap<String, browser::Browser>>,
    /// By the code that their starter polls with.
    devices: Mutex<HashMap<String, Arc<device::Waiting>>>,
}

/// Why a login gave no account.
#[derive(Debug, thiserror::Error)]
pub enum LoginProblem {
    /// Nobody began one, or its time is over.
    #[error("no login waits for this; hint: start one first")]
    NotPending,
    /// A pasted address that is none.
    #[error(transparent)]
    Address(#[from] CallbackError),
    /// The provider refused, or cannot be reached.
    #[error(transparent)]
    Provider(#[from] LoginError),
    /// The way that it was to take is not there, or not open.
    #[error(transparent)]
    Way(#[from] ProxyError),
    /// The tokens name no account.
    #[error("the tokens name no ChatGPT account; hint: sign in again")]
    NoAccount,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
}

impl Core {
    /// Stores what a login gave and takes it over. An account that followed a file has a login of its own from here on.
    pub(crate) async fn sign_in(&self, grant: Grant, egress: Option<Egress>) -> Result<Put, LoginProblem> {
        let claims = Claims::of(&grant.access, grant.id.as_ref());
        if claims.account_id.is_empty() {
            return Err(LoginProblem::NoAccount);
        }
        let new = NewAccount { egress, ..own(claims, grant, self.now()) };
        let put = spend::insist(self, || self.keep_login(new.clone())).await?;
        if let Err(error) = self.reread().await {
            tracing::warn!(%error, "a login is taken over a moment later");
        }
        Ok(put)
    }

    /// Stores a login of our own.
    pub(crate) async fn keep_login(&self, new: NewAccount) -> Result<Put, store::Error> {
        let owned = new.tokens.refresh.is_some();
        let put = self.store.put_account(new, self.now()).await?;
        if owned && put.stored {
            self.store.unlink(&put.id).await?;
        }
        Ok(put)
    }
}

impl Engine {
    /// Stores what a login gave, which is assigned to `egress` where that is said.
    ///
    /// # Errors
    /// [`LoginProblem::NoAccount`]; [`LoginProblem::Store`] after a minute of tries.
    pub async fn sign_in(&self, grant: Grant, egress: Option<Egress>) -> Result<Put, LoginProblem> {
        self.0.sign_in(grant, egress).await
    }
}

/// A login that was just issued to us.
fn own(claims: Claims, grant: Grant, now: pool::Millis) -> NewAccount {
    let expires = claims.expires;
    let tokens = Tokens { access: grant.access, refresh: grant.refresh, id: grant.id, expires, refreshed: now };
    new_account(claims, tokens, Origin::Login)
}

/// An account of these claims and tokens, named by its e-mail.
fn new_account(claims: Claims, tokens: Tokens, origin: Origin) -> NewAccount {
    NewAccount {
        label: String::new(),
        email: claims.email,
        plan: claims.plan,
        upstream_id: claims.account_id,
        user: claims.user,
        fedramp: claims.fedramp,
        tokens,
        origin,
        egress: None,
        status: Status::Active,
    }
}

/// Tokens that name no account: kept, because they exist nowhere else, where nobody uses them.
async fn set_aside(
    core: &Core,
    entry: &Entry,
    (access, refresh): (Secret, Option<Secret>),
) -> Result<(), store::Error> {
    let claims = Claims { user: uuid::Uuid::new_v4().to_string(), ..Claims::default() };
    let tokens = Tokens { access, refresh, id: None, expires: None, refreshed: core.now() };
    let label = if entry.label.is_empty() { format!("line {} of an import", entry.line) } else { entry.label.clone() };
    let why = "its refresh token was used, and the new tokens name no ChatGPT account; export them or remove it";
    let status = Status::NeedsLogin { why: why.to_owned() };
    let new = NewAccount { label, status, ..new_account(claims, tokens, Origin::Login) };
    core.store.put_account(new, core.now()).await.map(|_| ())
}
