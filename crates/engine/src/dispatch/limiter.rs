//! Limits the requests that an account serves at a time, and queues the others.
//!
//! Choosing an account and taking a permit is one step under one short lock, so `max_concurrent` holds. Each account has a fair queue
//! (first come, first served). A free permit that its account's queue does not need goes to the longest waiting request of any
//! account. A [`Permit`] is given back on drop.

mod queue;
mod ranking;
mod row;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pool::catalog::{Catalog, ServedBy};
use pool::egress::EgressTable;
use pool::pick::{NoAccount, Pick, Ranking, Requirements, Strategy};
use pool::{AccountId, Millis};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::registry::accounts::AccountList;
use queue::{Start, Waiter};
use ranking::RankedRows;

/// Limits how many requests each account serves at a time.
pub(crate) struct ConcurrencyLimiter {
    rows: Mutex<RankedRows>,
    /// The least time between two starts on one account.
    stagger: Duration,
}

/// The reason why a wait ends.
#[derive(Debug)]
enum WakeUp {
    /// The waiting request has the permit.
    Permit(Start),
    /// The account has stopped serving or has other limits: choose again.
    Again,
    /// Another account may have a free permit: choose again.
    Called,
}

/// The candidates of a choice.
#[derive(Clone, Copy)]
pub(crate) struct Candidates<'a> {
    /// Every account and relay.
    pub(crate) list: &'a AccountList,
    /// The models of an account without a live list.
    pub(crate) bundled: &'a Catalog,
    /// Whether every account may serve the model, whatever it lists.
    pub(crate) custom: bool,
    /// The accounts or relays that serve the model.
    pub(crate) to: &'a ServedBy,
    /// The open egress routes.
    pub(crate) egress: &'a EgressTable,
    /// The account of the conversation; chosen when it has a free permit.
    pub(crate) prefer: Option<&'a AccountId>,
    /// The accounts and relays that this request has tried.
    pub(crate) tried: &'a [AccountId],
}

/// The turn of a request that has waited before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueTicket {
    ticket: u64,
    /// Whether it was called for a free permit. When it cannot use that permit, the next request is called.
    called: bool,
}

/// The right to one request on an account, held while the request is served.
pub(crate) struct Permit {
    limiter: Arc<ConcurrencyLimiter>,
    account: AccountId,
    start: Start,
}

/// The result of asking for a permit.
pub(crate) enum Acquired {
    /// A permit.
    Now(Permit),
    /// A position in the queue.
    Later(QueuedRequest),
}

/// A request in an account's queue.
pub(crate) struct QueuedRequest {
    limiter: Arc<ConcurrencyLimiter>,
    account: AccountId,
    ticket: u64,
    wake: oneshot::Receiver<WakeUp>,
}

/// How a wait ended.
pub(crate) enum WaitOutcome {
    /// With a permit.
    Permit(Permit),
    /// Choose again; the ticket keeps the turn.
    Again(QueueTicket),
}

impl ConcurrencyLimiter {
    /// A limiter without accounts, which chooses by this strategy and these tiers.
    pub(crate) fn new((strategy, tiers): (Strategy, Vec<String>), stagger: Duration) -> Self {
        Self { rows: Mutex::new(RankedRows::new(strategy, tiers)), stagger }
    }

    /// Chooses an account, and takes a permit or a position in its queue. `previous` is the ticket of a request that has waited before.
    pub(crate) fn acquire(
        self: &Arc<Self>,
        field: Candidates<'_>,
        requirements: &Requirements<'_>,
        (previous, now): (Option<QueueTicket>, Millis),
    ) -> Result<Acquired, NoAccount> {
        let mut rows = self.rows.lock();
        let choice = rows.choose(field, requirements, now);
        if let (Some(QueueTicket { ticket, called: true }), Err(_) | Ok(Pick::Queue(_))) = (previous, &choice) {
            rows.call_next(ticket);
        }
        match choice? {
            Pick::Ready(account) => {
                let start = rows.begin(&account, self.stagger, Some(now));
                Ok(Acquired::Now(Permit { limiter: Arc::clone(self), account, start }))
            }
            Pick::Queue(account) => {
                let ticket = previous.map_or_else(|| rows.next_ticket(), |previous| previous.ticket);
                let (sender, wake) = oneshot::channel();
                let most = rows.ceiling(&account, requirements, now);
                rows.enqueue(&account, Waiter { ticket, most, wake: sender });
                Ok(Acquired::Later(QueuedRequest { limiter: Arc::clone(self), account, ticket, wake }))
            }
        }
    }

    /// The choice as it would be now, without a permit.
    pub(crate) fn preview(
        &self,
        field: Candidates<'_>,
        requirements: &Requirements<'_>,
        now: Millis,
    ) -> Result<Pick, NoAccount> {
        self.rows.lock().choose(field, requirements, now)
    }

    /// Every candidate in the order of the choice, with its score or the reason why it does not serve.
    pub(crate) fn explain(
        &self,
        field: Candidates<'_>,
        requirements: &Requirements<'_>,
        now: Millis,
    ) -> Vec<(AccountId, Ranking)> {
        self.rows.lock().explain(field, requirements, now)
    }

    /// How many requests an account serves, and how many wait for it.
    pub(crate) fn in_flight_and_waiting(&self, account: &AccountId) -> (u32, u32) {
        self.rows.lock().load(account)
    }

    /// Lets the requests that wait for `account` choose again, because it has stopped serving or has other limits.
    pub(crate) fn requeue(&self, account: &AccountId) {
        self.rows.lock().requeue(account);
    }

    /// Closes an account's breaker, because the account answered a call. `true` when the breaker was open; the account's waiting
    /// requests then choose again.
    pub(crate) fn record_success(&self, account: &AccountId) -> bool {
        self.rows.lock().record_success(account)
    }

    /// Counts a failed call of an account. `call` is when the call began and a hash of its conversation. `true` when the account may not
    /// be called now; its waiting requests then choose again.
    pub(crate) fn record_failure(&self, account: &AccountId, call: (Millis, u64), now: Millis) -> bool {
        self.rows.lock().record_failure(account, call, now)
    }

    /// Lets the longest waiting request choose again, because an account may be free without a permit given back.
    pub(crate) fn wake_longest_waiting(&self) {
        self.rows.lock().call_next(0);
    }

    /// Whether an account's breaker is closed.
    pub(crate) fn is_healthy(&self, account: &AccountId) -> bool {
        self.rows.lock().is_healthy(account)
    }

    fn release(&self, account: &AccountId, start: Start) {
        self.rows.lock().release(account, start, self.stagger);
    }
}

impl Permit {
    /// The account of the permit.
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }

    /// Waits until the request may begin; `false` when that is after `until`.
    pub(crate) async fn wait_for_start(&self, until: Instant) -> bool {
        if self.start.at <= Instant::now() {
            return true;
        }
        let soon = self.start.at <= until;
        if soon {
            tokio::time::sleep_until(self.start.at).await;
        }
        soon
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.release(&self.account, self.start);
    }
}

impl QueuedRequest {
    /// Waits for the turn. Dropping the future leaves the queue.
    pub(crate) async fn wait(mut self) -> WaitOutcome {
        match (&mut self.wake).await {
            Ok(WakeUp::Permit(start)) => {
                WaitOutcome::Permit(Permit { limiter: Arc::clone(&self.limiter), account: self.account.clone(), start })
            }
            Ok(WakeUp::Called) => WaitOutcome::Again(QueueTicket { ticket: self.ticket, called: true }),
            Ok(WakeUp::Again) | Err(_) => WaitOutcome::Again(QueueTicket { ticket: self.ticket, called: false }),
        }
    }
}

impl Drop for QueuedRequest {
    fn drop(&mut self) {
        self.limiter.rows.lock().leave(&self.account, self.ticket);
        // The permit may have come in the instant in which the client left.
        match self.wake.try_recv() {
            Ok(WakeUp::Permit(start)) => self.limiter.release(&self.account, start),
            // The call goes on to the next waiting request.
            Ok(WakeUp::Called) => self.limiter.rows.lock().call_next(self.ticket),
            Ok(WakeUp::Again) | Err(_) => {}
        }
    }
}
