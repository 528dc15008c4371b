//! One refresh of one account, from lease to publication.

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use pool::attempt::Sent;
use pool::status::Signal;
use pool::{AccountId, Secret, Status, Tokens};
use store::{CommitError, LeaseOutcome, RefreshLease};
use tokio::sync::SemaphorePermit;
use upstream::jwt::Claims;
use upstream::oauth::{Grant, RefreshError, RefreshReason};

use super::TokenService;
use super::{Pause, RefreshFailed, RefreshRequest, TOO_LATE, usable};

/// How often a lease of another process is checked.
const HELD: Duration = Duration::from_millis(250);
/// Pause between two tries to store new tokens.
const COMMIT: Duration = Duration::from_secs(1);
/// Tries to store them while the engine stops.
const LAST_TRIES: u32 = 10;
/// Most leases of one refresh: the first, one after a reused token, one after a login that came between.
const ROUNDS: usize = 3;
/// The error code of a refresh token that was used before, by another process or by a try whose answer was lost.
const REUSED: &str = "refresh_token_reused";

/// The result of asking for the lease.
pub(super) enum LeaseResult<'a> {
    /// We hold it, and a permit for the token endpoint.
    Ours(RefreshLease, SemaphorePermit<'a>),
    /// Another process refreshed meanwhile.
    Done(Tokens),
    /// Another process ended the login meanwhile.
    Over,
}

/// The result of one call of the token endpoint.
pub(super) enum CallOutcome {
    Done(Arc<Tokens>),
    /// Another process stored other tokens meanwhile, which count.
    Overtaken,
}

impl TokenService {
    /// Refreshes one account's tokens. After a reused token it tries again only when the store holds another one by then.
    pub(super) async fn refresh_once(
        self: &Arc<Self>,
        id: &AccountId,
        request: &RefreshRequest,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        // An earlier write-back may have failed without ending the link.
        self.unlink_if_owned(id).await;
        if let Some(link) = self.registry.extras.link(id) {
            return self.refresh_linked(id, &link, request).await;
        }
        // Without an open egress route the token is not used.
        self.dispatch.egress(id).map_err(|none| RefreshFailed::passing(none.to_string()))?;
        for _ in 0..ROUNDS {
            let (ticket, permit) = match self.lease(id, request).await? {
                LeaseResult::Ours(ticket, permit) => (ticket, permit),
                LeaseResult::Done(tokens) => return Ok(self.publish(id, tokens)),
                LeaseResult::Over => match self.after_takeover(id, request).await {
                    Some(known) => return known,
                    None => continue,
                },
            };
            let call = match ticket.tokens.refresh.clone() {
                Some(refresh) => self.exchange((ticket, permit), refresh, request).await?,
                None => self.end_login(ticket, "its access token ended and it has no refresh token", request).await?,
            };
            match call {
                CallOutcome::Done(tokens) => return Ok(tokens),
                CallOutcome::Overtaken => {
                    if let Some(known) = self.after_takeover(id, request).await {
                        return known;
                    }
                }
            }
        }
        Err(RefreshFailed::passing("its tokens kept changing"))
    }

    /// The result after another process has changed the account; `None` when a refresh is still needed.
    pub(super) async fn after_takeover(
        &self,
        id: &AccountId,
        request: &RefreshRequest,
    ) -> Option<Result<Arc<Tokens>, RefreshFailed>> {
        match self.dispatch.reload_registry().await {
            Ok(()) => self.known_result(id, request),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Takes the lease; waits while another process holds it.
    pub(super) async fn lease(
        &self,
        id: &AccountId,
        request: &RefreshRequest,
    ) -> Result<LeaseResult<'_>, RefreshFailed> {
        loop {
            // First the permit, then the lease, because a lease runs out while its holder waits.
            let permit = self.endpoint_permit().await;
            let holder = self.runtime.store.holder()?;
            match self.runtime.store.begin_refresh(id, holder, self.runtime.now()).await? {
                LeaseOutcome::Granted(ticket)
                    if usable(&ticket.tokens, &request.old_access, self.runtime.backend_now()) =>
                {
                    let tokens = ticket.tokens.clone();
                    self.release_lease(ticket, None).await;
                    return Ok(LeaseResult::Done(tokens));
                }
                LeaseOutcome::Granted(ticket) if ticket.needs_login => {
                    self.release_lease(ticket, None).await;
                    return Ok(LeaseResult::Over);
                }
                LeaseOutcome::Granted(ticket) => return Ok(LeaseResult::Ours(ticket, permit)),
                LeaseOutcome::Gone => return Err(RefreshFailed::lasting("the account is gone")),
                // Bounded: a lease ends after 60 s. Leases of dead processes are freed at once.
                LeaseOutcome::Held { until } => {
                    drop(permit);
                    if self.runtime.store.release_dead_leases().await? > 0 {
                        continue;
                    }
                    let left = Duration::from_millis(self.runtime.now().until(until)).max(Duration::from_millis(10));
                    tokio::time::sleep(left.min(HELD)).await;
                }
            }
        }
    }

    /// Uses the refresh token, once.
    async fn exchange(
        self: &Arc<Self>,
        (ticket, permit): (RefreshLease, SemaphorePermit<'_>),
        refresh: Secret,
        request: &RefreshRequest,
    ) -> Result<CallOutcome, RefreshFailed> {
        let declared = self.write_intent(&ticket).await;
        if declared != Ok(true) {
            self.release_lease(ticket, None).await;
            return declared.map(|_late| CallOutcome::Overtaken);
        }
        let answer = self.call_endpoint((&ticket, permit), &refresh, request).await;
        fail_point!("engine::after_refresh_post");
        match answer {
            Ok(grant) => self.store_granted(ticket, grant).await,
            Err(RefreshError::Permanent { code, .. }) if code == REUSED => {
                self.on_reused_token(ticket, &refresh, request).await
            }
            Err(RefreshError::Permanent { message, .. }) => self.end_login(ticket, &message, request).await,
            Err(error @ RefreshError::Transient { .. }) => self.pause_for_trouble(ticket, error, request).await,
        }
    }

    /// Handles a token that was used before: the login ends, unless the store holds another token by now. The intent ends in the same
    /// statement that stores the end, so that a crash in between does not leave a used token unmarked.
    async fn on_reused_token(
        &self,
        ticket: RefreshLease,
        refresh: &Secret,
        request: &RefreshRequest,
    ) -> Result<CallOutcome, RefreshFailed> {
        let stored = self.runtime.store.tokens(&ticket.id).await?;
        if stored.and_then(|tokens| tokens.refresh).is_some_and(|stored| stored != *refresh) {
            self.release_lease(ticket, None).await;
            return Ok(CallOutcome::Overtaken);
        }
        let why = if ticket.interrupted {
            "a refresh of ours was cut off after its refresh token had been sent, and the new tokens are lost"
        } else {
            "its refresh token was used elsewhere: by another program with the same login, or by a restored backup"
        };
        self.end_login(ticket, why, request).await
    }

    /// Stores the granted tokens, then publishes them.
    pub(super) async fn store_granted(&self, ticket: RefreshLease, grant: Grant) -> Result<CallOutcome, RefreshFailed> {
        let id = ticket.id.clone();
        let old = &ticket.tokens;
        let tokens = Tokens {
            expires: Claims::read(&grant.access).and_then(|claims| claims.expires),
            refresh: grant.refresh.or_else(|| old.refresh.clone()),
            id: grant.id.or_else(|| old.id.clone()),
            access: grant.access,
            refreshed: self.runtime.backend_now(),
        };
        fail_point!("engine::before_refresh_commit");
        let stored = self.commit(ticket, &tokens).await?;
        fail_point!("engine::after_refresh_commit");
        fail_point!("engine::before_refresh_publish");
        Ok(if stored { CallOutcome::Done(self.publish(&id, tokens)) } else { CallOutcome::Overtaken })
    }

    /// Repeats the commit until it succeeds; `false` when another process stored other tokens. Bounded only while the engine stops, because
    /// these tokens exist nowhere else.
    async fn commit(&self, mut ticket: RefreshLease, tokens: &Tokens) -> Result<bool, RefreshFailed> {
        let mut left = LAST_TRIES;
        loop {
            match self.runtime.store.commit_refresh(ticket, tokens).await {
                Ok(()) => return Ok(true),
                Err(CommitError::LeaseLost) => return Ok(false),
                Err(CommitError::Failed { ticket: back, source }) => {
                    tracing::error!(account = %back.id, error = %source, "refreshed tokens are not stored yet");
                    ticket = *back;
                }
            }
            left = if self.runtime.stop.is_cancelled() { left - 1 } else { LAST_TRIES };
            if left == 0 {
                return Err(RefreshFailed::passing("the store did not take the refreshed tokens"));
            }
            tokio::time::sleep(COMMIT).await;
        }
    }

    /// Publishes stored tokens to requests.
    pub(super) fn publish(&self, id: &AccountId, tokens: Tokens) -> Arc<Tokens> {
        let tokens = Arc::new(tokens);
        self.registry.accounts.set_tokens(id, Arc::clone(&tokens));
        let pause = self.pauses.lock().remove(id);
        if pause.is_some_and(|pause| pause.cooled) {
            self.dispatch.signal(id, &Signal::Served);
        }
        tokens
    }

    /// Pauses after a transient failure, longer each time. A refresh token that came alone is stored first.
    pub(super) async fn pause_for_trouble(
        &self,
        ticket: RefreshLease,
        error: RefreshError,
        request: &RefreshRequest,
    ) -> Result<CallOutcome, RefreshFailed> {
        let RefreshError::Transient { sent, status, retry_after, rotated, message } = error else {
            return self.end_login(ticket, "the token endpoint refused", request).await;
        };
        let id = ticket.id.clone();
        if let Some(refresh) = rotated {
            let tokens =
                Tokens { refresh: Some(refresh), refreshed: self.runtime.backend_now(), ..ticket.tokens.clone() };
            if matches!(self.commit(ticket, &tokens).await, Ok(true)) {
                self.registry.accounts.set_tokens(&id, Arc::new(tokens));
            }
        } else if sent != Sent::No && status.is_none_or(|status| status < 300) {
            // The token may be used up, as after a crash: the next answer decides.
            self.release_keeping_intent(ticket).await;
        } else {
            self.release_lease(ticket, None).await;
        }
        self.pause_after(&id, (sent, retry_after), &message);
        Err(RefreshFailed::passing(message))
    }

    pub(super) fn pause_after(&self, id: &AccountId, (sent, retry_after): (Sent, Option<u64>), why: &str) {
        let (now, backend) = (self.runtime.now(), self.runtime.backend_now());
        let ended = |tokens: &Tokens| tokens.expires.is_some_and(|end| end <= backend);
        let cooled = self.registry.accounts.get(id).is_some_and(|entry| entry.tokens.as_deref().is_some_and(ended));
        let until = {
            let mut pauses = self.pauses.lock();
            // When nothing was sent, the endpoint needs no longer pause: a route that opens again is used at once.
            let before = pauses.get(id).filter(|_| sent != Sent::No).map_or(0, |pause| pause.failures);
            let failures = before + 1;
            let requested = Duration::from_secs(retry_after.unwrap_or(0)).min(pool::limits::REFRESH_BACKOFF.1);
            let wait = pool::refresh::backoff(failures, rand::random()).max(requested);
            let until = now.after(wait);
            pauses.insert(id.clone(), Pause { failures, since: now, until, why: why.to_owned(), cooled });
            until
        };
        if cooled {
            self.dispatch.signal(id, &Signal::Cool { until, why: format!("its tokens could not be refreshed: {why}") });
        }
    }

    /// Ends the login: a person must sign in again. This is stored together with the end of the lease; without the lease nothing is stored,
    /// because somebody may have signed in meanwhile.
    pub(super) async fn end_login(
        &self,
        ticket: RefreshLease,
        why: &str,
        request: &RefreshRequest,
    ) -> Result<CallOutcome, RefreshFailed> {
        let signal = self.lost_login_signal(&ticket.tokens, why, request);
        let status = Status::Active.apply(&signal, self.runtime.now());
        let id = ticket.id.clone();
        if !self.release_lease(ticket, Some(&status)).await {
            return Ok(CallOutcome::Overtaken);
        }
        self.pauses.lock().remove(&id);
        self.dispatch.signal(&id, &signal);
        Err(RefreshFailed::lasting(why))
    }

    /// The signal of a login that cannot be refreshed: an access token that was not refused serves until it ends.
    fn lost_login_signal(&self, tokens: &Tokens, why: &str, request: &RefreshRequest) -> Signal {
        let why = why.to_owned();
        let refused = request.reason == RefreshReason::UnauthorizedRecovery && request.old_access == tokens.access;
        match tokens.expires.filter(|end| *end > self.runtime.backend_now().plus(TOO_LATE)) {
            Some(end) if !refused => Signal::Expiring { why, until: self.runtime.skew.to_local(end) },
            _ => Signal::NeedsLogin { why },
        }
    }

    pub(super) fn end_linked_login(&self, id: &AccountId, why: &str) -> RefreshFailed {
        self.pauses.lock().remove(id);
        self.dispatch.signal(id, &Signal::NeedsLogin { why: why.to_owned() });
        RefreshFailed::lasting(why)
    }

    /// Ends the lease of a call whose answer was lost. Its intent stays and marks the token as possibly used.
    async fn release_keeping_intent(&self, ticket: RefreshLease) {
        let id = ticket.id.clone();
        if let Err(error) = self.runtime.store.release_lease(ticket).await {
            tracing::warn!(account = %id, %error, "refresh lease not given back");
        }
    }

    /// Ends the lease; `false` when another process holds it. When that fails, the lease ends by itself after 60 s.
    pub(super) async fn release_lease(&self, ticket: RefreshLease, status: Option<&Status>) -> bool {
        let id = ticket.id.clone();
        let held = self.runtime.store.end_refresh(ticket, status).await;
        if matches!(held, Ok(true)) && status.is_some() {
            self.registry.accounts.mark_stale(&id);
        }
        held.unwrap_or_else(|error| {
            tracing::warn!(account = %id, %error, "refresh lease not given back");
            true
        })
    }
}
