//! Keeps access tokens fresh. A refresh token works once, so it must be used once, and its successor must never be lost.
//!
//! Each account has one refresh at a time, in this process (all callers wait for the same [`SharedRefresh`]) and over all processes
//! (the store's lease). A refresh runs in its own task, so a client that leaves cancels nothing. Order: lease and re-read, durable
//! intent, POST, durable commit, publish.

mod call;
mod guest;
mod linked;
mod refresh;
mod schedule;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use pool::attempt::Outcome;
use pool::{AccountId, Millis, Secret, Status, Tokens, limits};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use upstream::oauth::RefreshReason;

use crate::dispatch::Dispatch;
use crate::registry::Registry;
use crate::registry::accounts::AccountEntry;
use crate::runtime::Runtime;

pub use guest::Guest;
pub(crate) use linked::{file_account, linked_account, new_account};
pub(crate) use schedule::StaggeredStarts;

/// The points at which a test may end or stop the process.
pub const FAILPOINTS: [&str; 5] = [
    "engine::before_refresh_post", "engine::after_refresh_post", "engine::before_refresh_commit",
    "engine::after_refresh_commit", "engine::before_refresh_publish",
];

/// A token that ends sooner than this is refreshed before the call; one that ends later is used while it is refreshed.
const TOO_LATE: i64 = 10_000;

/// A refresh gave no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct RefreshFailed {
    /// Whether only a person can help.
    pub(crate) lasting: bool,
    /// The reason, for people.
    pub(crate) why: String,
}

/// A refresh under way; clones wait for the same one.
type SharedRefresh = Shared<BoxFuture<'static, Result<Arc<Tokens>, RefreshFailed>>>;

/// Keeps the access tokens of all accounts usable.
pub(crate) struct TokenService {
    runtime: Arc<Runtime>,
    registry: Arc<Registry>,
    dispatch: Arc<Dispatch>,
    /// The running refreshes, each with its mark that a request waits.
    refreshes: Mutex<HashMap<AccountId, (SharedRefresh, Arc<AtomicBool>)>>,
    pauses: Mutex<HashMap<AccountId, Pause>>,
    /// Calls of the token endpoint at the same time.
    pub(crate) endpoint_permits: Semaphore,
    /// When the linked files were last read.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

/// A pause after transient failures.
#[derive(Clone, Debug)]
struct Pause {
    failures: u32,
    since: Millis,
    until: Millis,
    why: String,
    /// Whether the account could not serve meanwhile.
    cooled: bool,
}

/// Why tokens are refreshed, and which ones.
#[derive(Clone, Debug)]
pub(crate) struct RefreshRequest {
    /// The access token that is about to end or was refused.
    old_access: Secret,
    reason: RefreshReason,
    /// Whether a request waits for them: set from the beginning, or when a request joins the refresh.
    waited: Arc<AtomicBool>,
}

impl RefreshRequest {
    /// A refresh of these tokens without a waiting request.
    pub(crate) fn background(tokens: &Tokens, reason: RefreshReason) -> Self {
        Self { old_access: tokens.access.clone(), reason, waited: Arc::default() }
    }

    /// A refresh for a request, which waits.
    pub(crate) fn waiting(tokens: &Tokens, reason: RefreshReason) -> Self {
        Self { waited: Arc::new(AtomicBool::new(true)), ..Self::background(tokens, reason) }
    }

    fn waited(&self) -> bool {
        self.waited.load(Ordering::Relaxed)
    }
}

/// Tokens that replace refused ones.
pub(crate) struct Replacement {
    pub(crate) tokens: Arc<Tokens>,
    /// Whether they are older than the refusal. Their refusal then says nothing about the login.
    pub(crate) predates_refusal: bool,
}

impl RefreshFailed {
    /// Only a person can help.
    pub(crate) fn lasting(why: impl Into<String>) -> Self {
        Self { lasting: true, why: why.into() }
    }

    /// May work later.
    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self { lasting: false, why: why.into() }
    }
}

impl From<store::Error> for RefreshFailed {
    fn from(error: store::Error) -> Self {
        Self::passing(format!("store: {error}"))
    }
}

impl From<RefreshFailed> for Outcome {
    fn from(error: RefreshFailed) -> Self {
        Self::NotRefreshed { lasting: error.lasting, why: error.why }
    }
}

impl TokenService {
    /// A service without running refreshes.
    pub(crate) fn new(runtime: Arc<Runtime>, registry: Arc<Registry>, dispatch: Arc<Dispatch>) -> Self {
        Self {
            runtime,
            registry,
            dispatch,
            refreshes: Mutex::default(),
            pauses: Mutex::default(),
            endpoint_permits: Semaphore::new(limits::REFRESH_PARALLEL),
            looked: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the account's tokens are being refreshed.
    fn is_refreshing(&self, id: &AccountId) -> bool {
        self.refreshes.lock().contains_key(id)
    }

    /// The current pause. A clock that was set back does not extend it.
    fn pause(&self, id: &AccountId, now: Millis) -> Option<Pause> {
        self.pauses.lock().get(id).filter(|pause| (pause.since..pause.until).contains(&now)).cloned()
    }

    /// Replaces tokens that a backend has refused (401).
    pub(crate) async fn replace_refused(
        self: &Arc<Self>,
        id: &AccountId,
        refused: &Tokens,
        request: fn(&Tokens, RefreshReason) -> RefreshRequest,
    ) -> Result<Replacement, RefreshFailed> {
        let refused_at = self.runtime.backend_now();
        let tokens = self.refresh(id, request(refused, RefreshReason::UnauthorizedRecovery)).await?;
        let predates_refusal = tokens.refreshed < refused_at;
        Ok(Replacement { tokens, predates_refusal })
    }

    /// Makes a background call with an account's tokens, and repeats it with new tokens when they are refused (401). It repeats twice at
    /// most, because tokens that another process got before may be refused too.
    pub(crate) async fn call_with_tokens<T, E, F>(
        self: &Arc<Self>,
        entry: &AccountEntry,
        is_refused: fn(&T) -> bool,
        call: impl Fn(Arc<Tokens>) -> F,
    ) -> Result<(T, Arc<Tokens>), E>
    where
        E: From<RefreshFailed>,
        F: Future<Output = Result<T, E>>,
    {
        let mut tokens = self.usable_tokens(entry, RefreshRequest::background).await?;
        let mut answer = call(Arc::clone(&tokens)).await?;
        for _ in 0..2 {
            if !is_refused(&answer) {
                break;
            }
            let other = self.replace_refused(&entry.account.id, &tokens, RefreshRequest::background).await?;
            tokens = other.tokens;
            answer = call(Arc::clone(&tokens)).await?;
            if !other.predates_refusal {
                break;
            }
        }
        Ok((answer, tokens))
    }

    /// Tokens for a call now. Tokens that end soon are refreshed beside the call, ended tokens before it: with
    /// [`RefreshRequest::waiting`] for a request and with [`RefreshRequest::background`] for anything else.
    pub(crate) async fn usable_tokens(
        self: &Arc<Self>,
        entry: &AccountEntry,
        request: fn(&Tokens, RefreshReason) -> RefreshRequest,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        let Some(tokens) = &entry.tokens else { return Err(RefreshFailed::lasting("it has no tokens")) };
        // The clock may be wrong. Tokens that we have just refreshed, and tokens that cannot be refreshed, are sent as they are: only a
        // 401 shows for certain that they have ended.
        let fixed = tokens.refresh.is_none() && self.registry.extras.link(&entry.account.id).is_none();
        if fixed || !entry.refresh_cooldown().is_zero() {
            return Ok(Arc::clone(tokens));
        }
        let now = self.runtime.backend_now();
        let ended =
            tokens.expires.is_some_and(|end| end <= now.plus(if tokens.refresh.is_some() { TOO_LATE } else { 0 }));
        let due = pool::refresh::due(tokens, 0.0).is_some_and(|due| due <= now);
        if !ended && !due {
            return Ok(Arc::clone(tokens));
        }
        let request = if ended { request } else { RefreshRequest::background };
        let refresh = self.refresh(&entry.account.id, request(tokens, RefreshReason::ProactiveExpiry));
        if !ended {
            return Ok(Arc::clone(tokens));
        }
        refresh.await
    }

    /// Refreshes an account's tokens, or joins the running refresh. Returns the known tokens when they are newer than the request's.
    pub(crate) fn refresh(self: &Arc<Self>, id: &AccountId, request: RefreshRequest) -> SharedRefresh {
        let mut refreshes = self.refreshes.lock();
        if let Some((refresh, waited)) = refreshes.get(id) {
            waited.fetch_or(request.waited(), Ordering::Relaxed);
            return refresh.clone();
        }
        if let Some(known) = self.known_result(id, &request) {
            return std::future::ready(known).boxed().shared();
        }
        // Counted before the check: the engine's end waits for every refresh that begins before it, and none begins after it.
        let counted = self.runtime.tasks.token();
        if self.runtime.stop.is_cancelled() {
            return std::future::ready(Err(RefreshFailed::passing("this process is ending"))).boxed().shared();
        }
        let (done, result) = oneshot::channel();
        let guard = RefreshGuard { tokens: Arc::clone(self), id: id.clone() };
        let waited = Arc::clone(&request.waited);
        self.runtime.tasks.spawn(async move {
            let result = guard.run(&request).await;
            drop(guard);
            let _ = done.send(result);
        });
        drop(counted);
        let died = || Err(RefreshFailed::passing("the refresh ended early"));
        let refresh = result.map(move |result| result.unwrap_or_else(|_| died())).boxed().shared();
        refreshes.insert(id.clone(), (refresh.clone(), waited));
        refresh
    }

    /// The result without a refresh: newer tokens, an ended login, or a pause.
    fn known_result(&self, id: &AccountId, request: &RefreshRequest) -> Option<Result<Arc<Tokens>, RefreshFailed>> {
        let Some(entry) = self.registry.accounts.get(id) else {
            return Some(Err(RefreshFailed::lasting("the account is gone")));
        };
        let now = self.runtime.backend_now();
        if let Some(tokens) = entry.tokens.clone().filter(|tokens| usable(tokens, &request.old_access, now)) {
            return Some(Ok(tokens));
        }
        if let Status::NeedsLogin { why } | Status::Expiring { why, .. } = &entry.account.status {
            return Some(Err(RefreshFailed::lasting(why)));
        }
        let pause = self.pause(id, self.runtime.now())?;
        Some(Err(RefreshFailed::passing(pause.why)))
    }
}

/// Whether `tokens` differ from the failed ones and do not end soon; `now` is the backend's.
fn usable(tokens: &Tokens, old_access: &Secret, now: Millis) -> bool {
    tokens.access != *old_access && tokens.expires.is_none_or(|end| end > now.plus(TOO_LATE))
}

/// Removes the refresh from the list when its task ends, also by panic.
struct RefreshGuard {
    tokens: Arc<TokenService>,
    id: AccountId,
}

impl RefreshGuard {
    async fn run(&self, request: &RefreshRequest) -> Result<Arc<Tokens>, RefreshFailed> {
        let result = self.tokens.refresh_once(&self.id, request).await;
        match &result {
            Ok(_) => tracing::debug!(account = %self.id, "tokens refreshed"),
            Err(error) => {
                tracing::warn!(account = %self.id, lasting = error.lasting, why = %error.why, "tokens not refreshed");
            }
        }
        result
    }
}

impl Drop for RefreshGuard {
    fn drop(&mut self) {
        self.tokens.refreshes.lock().remove(&self.id);
        self.tokens.registry.accounts.rescheduled.notify_one();
    }
}
