//! The account or relay of the next attempt, and the permit for a call there.

use std::pin::pin;
use std::time::Duration;

use pool::attempt::NextAccount;
use pool::egress::EgressTable;
use pool::pick::{CandidateKind, NoAccount, Pick};
use proto::{Failure, Kind};
use tokio::time::{Instant, timeout_at};

use super::{ModelAttempt, NextTry};
use crate::dispatch::limiter::{Acquired, Candidates, Permit, QueuedRequest, WaitOutcome};
use crate::registry::accounts::AccountList;

/// How often a waiting request looks for another free account.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Why there is no permit.
enum NoPermit {
    /// No account can serve.
    Account(NoAccount),
    /// The wait was too long.
    Timeout,
}

impl ModelAttempt {
    /// A permit for the next attempt.
    pub(super) async fn next_permit(&self, held: Option<Permit>, next: &NextTry) -> Result<Permit, Failure> {
        let held = match (held, next.to) {
            (Some(permit), NextAccount::Same) => return Ok(permit),
            (held, NextAccount::PreferOther) => held,
            (held, NextAccount::Same | NextAccount::Other) => {
                drop(held);
                None
            }
        };
        // One call tests whether an upstream works again; a second call does not follow it.
        let held = held.filter(|permit| self.state.services.dispatch.limiter.is_healthy(permit.account()));
        // A request that holds a permit does not queue for another one.
        let patience = if held.is_some() { Duration::ZERO } else { self.state.services.runtime.settings.queue_wait };
        match (self.take(patience).await, held) {
            // Another model is better than the same account again.
            (Err(_), Some(_)) if next.answered && self.chain.has_next(&self.state.services, &self.plan.resolved) => {
                Err(next.otherwise.clone().unwrap_or_else(|| no_permit_failure(self.plan.candidate_kind())))
            }
            (Ok(permit), _) | (Err(_), Some(permit)) => Ok(permit),
            (Err(NoPermit::Account(none)), None) => {
                Err(none.failure(next.otherwise.as_ref(), self.state.services.runtime.now()))
            }
            (Err(NoPermit::Timeout), None) => Err(no_permit_failure(self.plan.candidate_kind())),
        }
    }

    /// A permit that is free now.
    pub(super) async fn permit_now(&self) -> Option<Permit> {
        self.take(Duration::ZERO).await.ok()
    }

    /// Chooses an account that this request has not tried and waits for a permit there.
    async fn take(&self, patience: Duration) -> Result<Permit, NoPermit> {
        let until = self.deadline.min(Instant::now() + patience);
        let mut ticket = None;
        loop {
            let (list, egress) =
                (self.state.services.registry.accounts.list(), self.state.services.registry.egress.table());
            let ticket_now = (ticket, self.state.services.runtime.now());
            let acquired = self.state.services.dispatch.limiter.acquire(
                self.candidates(&list, &egress),
                &self.plan.requirements(&self.state.services),
                ticket_now,
            );
            let permit = match acquired.map_err(NoPermit::Account)? {
                Acquired::Now(permit) => permit,
                Acquired::Later(waiting) => match self.wait(waiting, until).await {
                    Some(WaitOutcome::Permit(permit)) => permit,
                    Some(WaitOutcome::Again(queued)) => {
                        ticket = Some(queued);
                        continue;
                    }
                    None => return Err(NoPermit::Timeout),
                },
            };
            return if permit.wait_for_start(until).await { Ok(permit) } else { Err(NoPermit::Timeout) };
        }
    }

    /// Waits in the queue. The end of a pause, a new account or a recovered proxy gives no signal, so the wait polls for them.
    async fn wait(&self, waiting: QueuedRequest, until: Instant) -> Option<WaitOutcome> {
        let mut wait = pin!(waiting.wait());
        loop {
            let look = until.min(Instant::now() + POLL_INTERVAL);
            match timeout_at(look, wait.as_mut()).await {
                Ok(woken) => return Some(woken),
                Err(_) if look == until => return None,
                Err(_) if self.is_another_free() => self.state.services.dispatch.limiter.wake_longest_waiting(),
                Err(_) => {}
            }
        }
    }

    fn is_another_free(&self) -> bool {
        let (list, egress) =
            (self.state.services.registry.accounts.list(), self.state.services.registry.egress.table());
        let choice = self.state.services.dispatch.limiter.preview(
            self.candidates(&list, &egress),
            &self.plan.requirements(&self.state.services),
            self.state.services.runtime.now(),
        );
        matches!(choice, Ok(Pick::Ready(_)))
    }

    fn candidates<'a>(&'a self, list: &'a AccountList, egress: &'a EgressTable) -> Candidates<'a> {
        Candidates {
            list,
            bundled: &self.state.services.dispatch.bundled,
            custom: self.plan.resolved.model.custom,
            to: &self.plan.resolved.to,
            egress,
            prefer: self.affinity.as_ref().map(|record| &record.account),
            tried: &self.state.history.tried,
        }
    }
}

fn no_permit_failure(candidate_kind: CandidateKind) -> Failure {
    let message = format!("every {} is busy; no place became free in time", candidate_kind.noun());
    Failure::new(Kind::RateLimited, message).retry_after(1)
}
