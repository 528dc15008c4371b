//! Logins: by file, token, browser, device code, and Codex's own file. The command line and the admin API share this code.

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
use store::{NewAccount, PutOutcome, TokenOrigin};
use upstream::jwt::Claims;
use upstream::oauth::{CallbackError, Grant, LoginError, Pkce};
use upstream::transfer::LoginEntry;
use upstream::{Sent, Upstream};
use url::Url;

use crate::admin::proxies::ProxyError;
use crate::dispatch::egress_attempts::{CallFailure, NoEgress};
use crate::request::services::Services;
use crate::tokens::new_account;

pub use browser::{LoginStage, LoginStart};
pub use device::{DevicePoll, DeviceStart};
pub(crate) use import::PASSPHRASES;
pub use import::{ImportOutcome, ImportProblem, ImportResult, Imports};
pub use link::LinkError;

/// Logins that wait for their person.
#[derive(Default)]
pub(crate) struct PendingLogins {
    /// By the admin token that began them; one each.
    browsers: tokio::sync::Mutex<HashMap<String, browser::BrowserLogin>>,
    /// By the code to poll with.
    devices: Mutex<HashMap<String, Arc<device::PendingDevice>>>,
}

/// Why a login gave no account.
#[derive(Debug, thiserror::Error)]
pub enum LoginProblem {
    /// No login was begun, or its time is over.
    #[error("no login waits for this; hint: start one first")]
    NotPending,
    /// The pasted address is no callback address.
    #[error(transparent)]
    Address(#[from] CallbackError),
    /// The provider refused or cannot be reached.
    #[error(transparent)]
    Provider(#[from] LoginError),
    /// The egress of the login does not exist or is not open.
    #[error(transparent)]
    Egress(#[from] ProxyError),
    /// The tokens name no account.
    #[error("the tokens name no ChatGPT account; hint: sign in again")]
    NoAccount,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] store::Error),
}

impl From<NoEgress> for LoginProblem {
    fn from(none: NoEgress) -> Self {
        ProxyError::NoEgress(none.to_string()).into()
    }
}

impl CallFailure for LoginProblem {
    fn sent(&self) -> Sent {
        if let Self::Provider(LoginError::Failed { sent, .. }) = self { *sent } else { Sent::Yes }
    }
}

/// Stores the account of a login and reloads the registry. An account that followed a file has a login of its own from then on.
pub(crate) async fn sign_in(
    services: &Services,
    grant: Grant,
    egress: Option<Egress>,
) -> Result<PutOutcome, LoginProblem> {
    let claims = Claims::from_tokens(&grant.access, grant.id.as_ref());
    if claims.account_id.is_empty() {
        return Err(LoginProblem::NoAccount);
    }
    let new = NewAccount { egress, ..issued_account(claims, grant, services.runtime.now()) };
    let put = spend::retry_store(services, || store_login(services, new.clone())).await?;
    if let Err(error) = services.dispatch.reload_registry().await {
        tracing::warn!(%error, "a login is taken over a moment later");
    }
    Ok(put)
}

/// Stores an account; one with a refresh token of its own follows no file any more.
pub(crate) async fn store_login(services: &Services, new: NewAccount) -> Result<PutOutcome, store::Error> {
    let owned = new.tokens.refresh.is_some();
    let put = services.runtime.store.put_account(new, services.runtime.now()).await?;
    if owned && put.stored {
        services.runtime.store.unlink(&put.id).await?;
    }
    Ok(put)
}

/// Makes a call of a login by one of its egress routes. The login has no account yet.
pub(crate) async fn step_by<T, F>(
    services: &Services,
    egress: Option<&Egress>,
    step: impl Fn(Upstream) -> F,
) -> Result<T, LoginProblem>
where
    F: Future<Output = Result<T, LoginError>>,
{
    let call = |upstream| {
        let call = step(upstream);
        async move { Ok(call.await?) }
    };
    services.dispatch.egress_attempts_by(egress).run(call).await
}

/// The handle that `Engine::logins` returns.
#[derive(Clone, Copy)]
pub struct Logins<'e> {
    pub(crate) services: &'e Arc<Services>,
    pub(crate) pending: &'e Arc<PendingLogins>,
}

impl Logins<'_> {
    /// The page where a person signs in; nothing is sent.
    pub fn authorize_url(self, pkce: &Pkce, state: &str, redirect: &str) -> Url {
        self.services.runtime.upstream.authorize_url(pkce, state, redirect)
    }

    /// Makes a call of a login by this egress and never by another. With [`Egress::Auto`], `step` is called with one proxy after the other
    /// while nothing was sent. Errors: [`LoginProblem::Egress`] with [`ProxyError::NoEgress`], and the error of the call.
    pub async fn step_by<T, F>(self, egress: Option<&Egress>, step: impl Fn(Upstream) -> F) -> Result<T, LoginProblem>
    where
        F: Future<Output = Result<T, LoginError>>,
    {
        step_by(self.services, egress, step).await
    }

    /// Stores the account of a login and assigns it to `egress`, if given. Errors: [`LoginProblem::NoAccount`];
    /// [`LoginProblem::Store`] after a minute of tries.
    pub async fn sign_in(self, grant: Grant, egress: Option<Egress>) -> Result<PutOutcome, LoginProblem> {
        sign_in(self.services, grant, egress).await
    }
}

/// An account of tokens that were just issued to us.
fn issued_account(claims: Claims, grant: Grant, now: pool::Millis) -> NewAccount {
    let expires = claims.expires;
    let tokens = Tokens { access: grant.access, refresh: grant.refresh, id: grant.id, expires, refreshed: now };
    new_account(claims, tokens, TokenOrigin::Login)
}

/// Stores tokens that name no account in a disabled account, because they exist nowhere else.
async fn store_unnamed_tokens(
    services: &Services,
    entry: &LoginEntry,
    (access, refresh): (Secret, Option<Secret>),
) -> Result<(), store::Error> {
    let claims = Claims { user: uuid::Uuid::new_v4().to_string(), ..Claims::default() };
    let tokens = Tokens { access, refresh, id: None, expires: None, refreshed: services.runtime.now() };
    let label = if entry.label.is_empty() { format!("line {} of an import", entry.line) } else { entry.label.clone() };
    let why = "its refresh token was used, and the new tokens name no ChatGPT account; export them or remove it";
    let status = Status::NeedsLogin { why: why.to_owned() };
    let new = NewAccount { label, status, ..new_account(claims, tokens, TokenOrigin::Login) };
    services.runtime.store.put_account(new, services.runtime.now()).await.map(|_| ())
}
