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

/// How often a lease that another process holds is looked at.
const HELD: Duration = Duration::from_millis(250);
/// Pause between two tries to store tokens that exist nowhere else.
const COMMIT: Duration = Duration::from_secs(1);
/// Tries to store them once the engine ends.
const LAST_TRIES: u32 = 10;
/// Leases taken for one refresh at most: the first, one after a reused token, one after a login that came between.
const ROUNDS: usize = 3;
/// The code of a refresh token that was used before: by another process, or by a try whose answer was lost.
const REUSED: &str = "refresh_token_reused";

/// What asking for the lease came to.
pub(super) enum Lease<'a> {
    /// It is ours, and so is a place at the token endpoint.
    Ours(RefreshLease, SemaphorePermit<'a>),
    /// Somebody else refreshed meanwhile.
    Done(Tokens),
    /// Somebody else found meanwhile that the login is over.
    Over,
}

/// What one call of the token endpoint came to.
pub(super) enum Call {
    Done(Arc<Tokens>),
    /// Somebody else stored other tokens meanwhile: they count.
    Overtaken,
}

impl TokenService {
    /// Refreshes one account's tokens. A token that was reused is tried again only when the store holds another by then.
    pub(super) async fn refresh_once(
        self: &Arc<Self>,
        id: &AccountId,
        wish: &RefreshRequest,
    ) -> Result<Arc<Tokens>, RefreshFailed> {
        // Where an earlier write-back failed and the link could not be ended.
        self.unlink_if_owned(id).await;
        if let Some(link) = self.registry.extras.link(id) {
            return self.refresh_linked(id, &link, wish).await;
        }
        // Where nothing can go out, the token is not touched.
        self.dispatch.egress(id).map_err(|none| RefreshFailed::passing(none.to_string()))?;
        for _ in 0..ROUNDS {
            let (ticket, place) = match self.lease(id, wish).await? {
                Lease::Ours(ticket, place) => (ticket, place),
                Lease::Done(tokens) => return Ok(self.publish(id, tokens)),
                Lease::Over => match self.after_takeover(id, wish).await {
                    Some(known) => return known,
                    None => continue,
                },
            };
            let call = match ticket.tokens.refresh.clone() {
                Some(refresh) => self.exchange((ticket, place), refresh, wish).await?,
                None => self.end_login(ticket, "its access token ended and it has no refresh token", wish).await?,
            };
            match call {
                Call::Done(tokens) => return Ok(tokens),
                Call::Overtaken => {
                    if let Some(known) = self.after_takeover(id, wish).await {
                        return known;
                    }
                }
            }
        }
        Err(RefreshFailed::passing("its tokens kept changing"))
    }

    /// What whoever overtook us has made of the account, when that is an answer. A spent token is not used once more.
    pub(super) async fn after_takeover(
        &self,
        id: &AccountId,
        wish: &RefreshRequest,
    ) -> Option<Result<Arc<Tokens>, RefreshFailed>> {
        match self.dispatch.reload_registry().await {
            Ok(()) => self.known_result(id, wish),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Takes the lease; waits while another process has it.
    pub(super) async fn lease(&self, id: &AccountId, wish: &RefreshRequest) -> Result<Lease<'_>, RefreshFailed> {
        loop {
            // First the place, then the lease: a lease ends whether or not its holder got a place.
            let place = self.endpoint_permit().await;
            let holder = self.runtime.store.holder()?;
            match self.runtime.store.begin_refresh(id, holder, self.runtime.now()).await? {
                LeaseOutcome::Granted(ticket)
                    if usable(&ticket.tokens, &wish.old_access, self.runtime.backend_now()) =>
                {
                    let tokens = ticket.tokens.clone();
                    self.release_lease(ticket, None).await;
                    return Ok(Lease::Done(tokens));
                }
                LeaseOutcome::Granted(ticket) if ticket.needs_login => {
                    self.release_lease(ticket, None).await;
                    return Ok(Lease::Over);
                }
                LeaseOutcome::Granted(ticket) => return Ok(Lease::Ours(ticket, place)),
                LeaseOutcome::Gone => return Err(RefreshFailed::lasting("the account is gone")),
                // Bounded: a lease ends after 60 s. One of a process that was killed is not waited for.
                LeaseOutcome::Held { until } => {
                    drop(place);
                    if self.runtime.store.free_leases().await? > 0 {
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
        (ticket, place): (RefreshLease, SemaphorePermit<'_>),
        refresh: Secret,
        wish: &RefreshRequest,
    ) -> Result<Call, RefreshFailed> {
        let declared = self.write_intent(&ticket).await;
        if declared != Ok(true) {
            self.release_lease(ticket, None).await;
            return declared.map(|_late| Call::Overtaken);
        }
        let answer = self.call_endpoint((&ticket, place), &refresh, wish).await;
        fail_point!("engine::after_refresh_post");
        match answer {
            Ok(grant) => self.store_granted(ticket, grant).await,
            Err(RefreshError::Permanent { code, .. }) if code == REUSED => {
                self.on_reused_token(ticket, &refresh, wish).await
            }
            Err(RefreshError::Permanent { message, .. }) => self.end_login(ticket, &message, wish).await,
            Err(error @ RefreshError::Transient { .. }) => self.pause_for_trouble(ticket, error, wish).await,
        }
    }

    /// The token was used before: the end, unless the store holds another one by now. The intent stays open until that is
    /// decided, and ends in the same statement that says so: a crash in between must not leave a spent token unmarked.
    async fn on_reused_token(
        &self,
        ticket: RefreshLease,
        refresh: &Secret,
        wish: &RefreshRequest,
    ) -> Result<Call, RefreshFailed> {
        let stored = self.runtime.store.tokens(&ticket.id).await?;
        if stored.and_then(|tokens| tokens.refresh).is_some_and(|stored| stored != *refresh) {
            self.release_lease(ticket, None).await;
            return Ok(Call::Overtaken);
        }
        let why = if ticket.interrupted {
            "a refresh of ours was cut off after its refresh token had been sent, and the new tokens are lost"
        } else {
            "its refresh token was used elsewhere: by another program with the same login, or by a restored backup"
        };
        self.end_login(ticket, why, wish).await
    }

    /// Stores what was granted, then publishes it.
    pub(super) async fn store_granted(&self, ticket: RefreshLease, grant: Grant) -> Result<Call, RefreshFailed> {
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
        Ok(if stored { Call::Done(self.publish(&id, tokens)) } else { Call::Overtaken })
    }

    /// Commits until it holds; `false` when somebody else stored other tokens. Bounded only once the engine ends: what is in hand
    /// exists nowhere else.
    async fn commit(&self, mut ticket: RefreshLease, tokens: &Tokens) -> Result<bool, RefreshFailed> {
        let mut left = LAST_TRIES;
        loop {
            match self.runtime.store.commit_refresh(ticket, tokens).await {
                Ok(()) => return Ok(true),
                Err(CommitError::Stale) => return Ok(false),
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

    /// Makes stored tokens the ones that requests use.
    pub(super) fn publish(&self, id: &AccountId, tokens: Tokens) -> Arc<Tokens> {
        let tokens = Arc::new(tokens);
        self.registry.accounts.renew(id, Arc::clone(&tokens));
        let pause = self.pauses.lock().remove(id);
        if pause.is_some_and(|pause| pause.cooled) {
            self.dispatch.signal(id, &Signal::Served);
        }
        tokens
    }

    /// The token endpoint is in trouble: a pause, longer each time. A refresh token that came alone is stored first.
    pub(super) async fn pause_for_trouble(
        &self,
        ticket: RefreshLease,
        error: RefreshError,
        wish: &RefreshRequest,
    ) -> Result<Call, RefreshFailed> {
        let RefreshError::Transient { sent, status, retry_after, rotated, message } = error else {
            return self.end_login(ticket, "the token endpoint refused", wish).await;
        };
        let id = ticket.id.clone();
        if let Some(refresh) = rotated {
            let tokens =
                Tokens { refresh: Some(refresh), refreshed: self.runtime.backend_now(), ..ticket.tokens.clone() };
            if matches!(self.commit(ticket, &tokens).await, Ok(true)) {
                self.registry.accounts.renew(&id, Arc::new(tokens));
            }
        } else if sent != Sent::No && status.is_none_or(|status| status < 300) {
            // The token may be used up, as after a crash: the next answer that comes decides.
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
            // Where nothing was sent there is nobody to spare: a way that is open again is not waited for.
            let before = pauses.get(id).filter(|_| sent != Sent::No).map_or(0, |pause| pause.failures);
            let failures = before + 1;
            let asked = Duration::from_secs(retry_after.unwrap_or(0)).min(pool::limits::REFRESH_BACKOFF.1);
            let wait = pool::refresh::backoff(failures, rand::random()).max(asked);
            let until = now.after(wait);
            pauses.insert(id.clone(), Pause { failures, since: now, until, why: why.to_owned(), cooled });
            until
        };
        if cooled {
            self.dispatch.signal(id, &Signal::Cool { until, why: format!("its tokens could not be refreshed: {why}") });
        }
    }

    /// The login is over: a person must sign in again. Stored with the end of the lease; who has no lease any more does not know that,
    /// as somebody may have signed in meanwhile.
    pub(super) async fn end_login(
        &self,
        ticket: RefreshLease,
        why: &str,
        wish: &RefreshRequest,
    ) -> Result<Call, RefreshFailed> {
        let signal = self.lost_login_signal(&ticket.tokens, why, wish);
        let status = Status::Active.apply(&signal, self.runtime.now());
        let id = ticket.id.clone();
        if !self.release_lease(ticket, Some(&status)).await {
            return Ok(Call::Overtaken);
        }
        self.pauses.lock().remove(&id);
        self.dispatch.signal(&id, &signal);
        Err(RefreshFailed::lasting(why))
    }

    /// What is left of a login that cannot be refreshed: an access token that nobody refused serves until it ends.
    fn lost_login_signal(&self, tokens: &Tokens, why: &str, wish: &RefreshRequest) -> Signal {
        let why = why.to_owned();
        let refused = wish.reason == RefreshReason::UnauthorizedRecovery && wish.old_access == tokens.access;
        match tokens.expires.filter(|end| *end > self.runtime.backend_now().plus(TOO_LATE)) {
            Some(end) if !refused => Signal::Expiring { why, until: self.runtime.skew.ours(end) },
            _ => Signal::NeedsLogin { why },
        }
    }

    pub(super) fn end_linked_login(&self, id: &AccountId, why: &str) -> RefreshFailed {
        self.pauses.lock().remove(id);
        self.dispatch.signal(id, &Signal::NeedsLogin { why: why.to_owned() });
        RefreshFailed::lasting(why)
    }

    /// Ends the lease of a call whose answer was lost. Its intent stays, and says to whoever is next that the token may be used up.
    async fn release_keeping_intent(&self, ticket: RefreshLease) {
        let id = ticket.id.clone();
        if let Err(error) = self.runtime.store.release_lease(ticket).await {
            tracing::warn!(account = %id, %error, "refresh lease not given back");
        }
    }

    /// Ends the lease; `false` when another holder has it. When that fails it ends by itself after 60 s.
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
