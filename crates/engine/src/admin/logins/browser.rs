//! Browser logins that the admin API began: one for each admin token, with its listener, for ten minutes.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool::Secret;
use pool::egress::Egress;
use serde::Serialize;
use store::PutOutcome;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use upstream::Upstream;
use upstream::oauth::{Callback, CallbackError, LoginError, Pkce, code_from_pasted, state};
use utoipa::ToSchema;

use super::{LoginProblem, Logins, sign_in, step_by};
use crate::request::services::Services;

/// How long a login waits.
const LIFETIME: Duration = Duration::from_mins(10);
/// How long a login waits for the ports of the previous one.
const PORT_WAIT: Duration = Duration::from_secs(1);
/// The redirect where both ports are taken: the browser shows an error, and its address can be pasted.
const FALLBACK_REDIRECT: &str = "http://127.0.0.1:1455/auth/callback";

/// A browser login that has begun.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LoginStarted)]
pub struct LoginStart {
    /// Where the person signs in.
    pub auth_url: String,
    /// Tells this login from others.
    pub state: String,
    /// Whether the gateway receives the browser's redirect; if not, the final address must be pasted.
    pub listening: bool,
}

/// A login in a browser.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
#[schema(as = Login)]
#[expect(missing_docs, reason = "the variant's docstring names its field")]
pub enum LoginStage {
    /// It waits for a person.
    Pending,
    /// It gave this account.
    Done { account: String },
    /// It gave no account.
    Failed { error: String },
}

/// A login of one admin token.
pub(super) struct BrowserLogin {
    login: Arc<PendingLogin>,
    listener: tokio::task::JoinHandle<()>,
}

/// The state that the listener and a pasted address share.
struct PendingLogin {
    state: String,
    verifier: Secret,
    redirect: String,
    /// The egress of its calls and then of its account.
    egress: Option<Egress>,
    until: Instant,
    stage: Mutex<LoginStage>,
    /// Held while a code is exchanged, which works once.
    trade: tokio::sync::Mutex<()>,
    cancel: CancellationToken,
}

impl Logins<'_> {
    /// Begins a browser login, and ends the previous one of this admin token.
    pub async fn start(self, admin: &str, egress: Option<Egress>) -> LoginStart {
        let services = self.services;
        let old = self.pending.browsers.lock().await.remove(admin);
        if let Some(old) = old {
            old.login.cancel.cancel();
            // Its ports become free. A login that exchanges a code has released them already.
            let _ = tokio::time::timeout(PORT_WAIT, old.listener).await;
        }
        let mut browsers = self.pending.browsers.lock().await;
        browsers.retain(|_, browser| browser.login.until > Instant::now());
        let (pkce, state) = (Pkce::fresh(), state());
        let callback =
            Callback::bind(&state).await.inspect_err(|error| tracing::warn!(%error, "no login listener")).ok();
        let redirect = callback.as_ref().map_or_else(|| FALLBACK_REDIRECT.to_owned(), Callback::redirect);
        let auth_url = services.runtime.upstream.authorize_url(&pkce, &state, &redirect).to_string();
        let listening = callback.is_some();
        let login = Arc::new(PendingLogin::new(state.clone(), (pkce.verifier, redirect), egress));
        let listener = services.runtime.tasks.spawn(listen(Arc::clone(services), Arc::clone(&login), callback));
        // Another login that this token began meanwhile.
        if let Some(other) = browsers.insert(admin.to_owned(), BrowserLogin { login, listener }) {
            other.login.cancel.cancel();
        }
        LoginStart { auth_url, state, listening }
    }

    /// Finishes a browser login with the final address of its browser. Repeating that is no error.
    pub async fn paste(self, admin: &str, address: &str) -> Result<(), LoginProblem> {
        let login = self.waiting(admin).await.ok_or(LoginProblem::NotPending)?;
        if matches!(*login.stage.lock(), LoginStage::Done { .. }) {
            return Ok(());
        }
        let code = code_from_pasted(address, &login.state)?;
        let services = Arc::clone(self.services);
        // The task stores the tokens also when the client leaves.
        let work = self.services.runtime.tasks.spawn(async move { login.finish(&services, &code).await });
        work.await.unwrap_or(Err(LoginProblem::NotPending))
    }

    /// The state of the login that this admin token began last.
    pub async fn stage(self, admin: &str) -> Option<LoginStage> {
        let login = self.waiting(admin).await?;
        let stage = login.stage.lock().clone();
        Some(stage)
    }

    async fn waiting(self, admin: &str) -> Option<Arc<PendingLogin>> {
        let browsers = self.pending.browsers.lock().await;
        let login = Arc::clone(&browsers.get(admin)?.login);
        (login.until > Instant::now()).then_some(login)
    }
}

/// Waits for the browser until the login ends.
async fn listen(services: Arc<Services>, login: Arc<PendingLogin>, callback: Option<Callback>) {
    let Some(callback) = callback else { return };
    let code = tokio::select! {
        () = services.runtime.stop.cancelled() => return,
        () = login.cancel.cancelled() => return,
        code = callback.code() => code,
    };
    match code {
        Ok(code) => {
            if let Err(error) = login.finish(&services, &code).await {
                tracing::warn!(%error, "browser login");
            }
        }
        Err(CallbackError::Expired) => {}
        Err(error) => *login.stage.lock() = LoginStage::Failed { error: error.to_string() },
    }
}

impl PendingLogin {
    fn new(state: String, (verifier, redirect): (Secret, String), egress: Option<Egress>) -> Self {
        Self {
            state,
            verifier,
            redirect,
            egress,
            until: Instant::now() + LIFETIME,
            stage: Mutex::new(LoginStage::Pending),
            trade: tokio::sync::Mutex::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// Exchanges the code and stores the account. A code that never reached the provider may be tried again.
    async fn finish(&self, services: &Arc<Services>, code: &Secret) -> Result<(), LoginProblem> {
        let _one = self.trade.lock().await;
        if matches!(*self.stage.lock(), LoginStage::Done { .. }) {
            return Ok(());
        }
        let result = self.trade(services, code).await;
        *self.stage.lock() = match &result {
            Ok(put) => LoginStage::Done { account: put.id.0.clone() },
            Err(
                LoginProblem::Provider(LoginError::Failed { sent: upstream::Sent::No, .. }) | LoginProblem::Egress(_),
            ) => LoginStage::Pending,
            Err(problem) => LoginStage::Failed { error: problem.to_string() },
        };
        if result.is_ok() {
            self.cancel.cancel();
        }
        result.map(|_| ())
    }

    async fn trade(&self, services: &Arc<Services>, code: &Secret) -> Result<PutOutcome, LoginProblem> {
        let step = |upstream: Upstream| async move { upstream.exchange(code, &self.verifier, &self.redirect).await };
        let grant = step_by(services, self.egress.as_ref(), step).await?;
        sign_in(services, grant, self.egress.clone()).await
    }
}
