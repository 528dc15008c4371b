//! The calls of the token endpoint for one refresh: announced before they are sent, and repeated while a request waits.

use std::sync::Arc;
use std::time::Duration;

use fail::fail_point;
use pool::limits::REFRESH_CALL;
use pool::{AccountId, Secret};
use store::RefreshLease;
use tokio::sync::SemaphorePermit;
use upstream::Upstream;
use upstream::oauth::{Grant, RefreshError};

use super::TokenService;
use super::{RefreshFailed, RefreshRequest};

impl TokenService {
    /// Waits until another call of the token endpoint may be made.
    pub(crate) async fn endpoint_permit(&self) -> SemaphorePermit<'_> {
        self.endpoint_permits.acquire().await.expect("invariant: the semaphore is never closed")
    }

    /// Writes the intent. `false` when that took so long, because the process or the machine stood still, that another process may hold
    /// the lease: then nothing may be sent.
    pub(super) async fn write_intent(&self, ticket: &RefreshLease) -> Result<bool, RefreshFailed> {
        let begun = self.runtime.clock.moment();
        self.runtime.store.write_intent(ticket, self.runtime.now()).await?;
        fail_point!("engine::before_refresh_post");
        // What is left of the lease is enough for the call.
        Ok(begun.elapsed(&self.runtime.clock) < REFRESH_CALL)
    }

    /// Uses the refresh token, whose intent is written. A failing endpoint is called again while a request waits for the tokens; the permit
    /// is released meanwhile.
    pub(super) async fn call_endpoint(
        self: &Arc<Self>,
        (ticket, permit): (&RefreshLease, SemaphorePermit<'_>),
        refresh: &Secret,
        request: &RefreshRequest,
    ) -> Result<Grant, RefreshError> {
        let mut permit = Some(permit);
        let mut pauses = self.runtime.settings.refresh_retries.iter();
        loop {
            let error = match self.post_once(&ticket.id, refresh, request).await {
                Ok(grant) => return Ok(grant),
                Err(error) => error,
            };
            let pause = pauses.next().filter(|pause| request.waited() && is_retryable(&error, **pause));
            let Some(pause) = pause else { return Err(error) };
            drop(permit.take());
            if self.runtime.stop.run_until_cancelled(tokio::time::sleep(*pause)).await.is_none() {
                return Err(error);
            }
            permit = Some(self.endpoint_permit().await);
            if self.write_intent(ticket).await != Ok(true) {
                return Err(error);
            }
        }
    }

    /// One call, by one of the account's egress routes.
    async fn post_once(
        self: &Arc<Self>,
        id: &AccountId,
        refresh: &Secret,
        request: &RefreshRequest,
    ) -> Result<Grant, RefreshError> {
        let call = |upstream: Upstream| async move { upstream.refresh(refresh, request.reason).await };
        self.dispatch.egress_attempts(id).run(call).await
    }
}

/// Whether the endpoint answered with a 5xx, without a token, and allows another call after this pause.
fn is_retryable(error: &RefreshError, pause: Duration) -> bool {
    let RefreshError::Transient { status: Some(500..=599), retry_after, rotated: None, .. } = error else {
        return false;
    };
    retry_after.is_none_or(|secs| Duration::from_secs(secs) <= pause)
}
