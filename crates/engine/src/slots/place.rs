//! The places of one account: who is served by it, and who waits for it.

use std::collections::VecDeque;

use pool::Millis;
use pool::breaker::Breaker;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Wake;

/// Who is served by an account, and who waits for it.
#[derive(Default)]
pub(super) struct Place {
    pub(super) in_flight: u32,
    pub(super) last_used: Millis,
    /// When the next request may begin.
    pub(super) next: Option<Instant>,
    /// What few accounts have.
    pub(super) more: Option<Box<More>>,
}

#[derive(Default)]
pub(super) struct More {
    /// By ticket, lowest first.
    pub(super) queue: VecDeque<Waiter>,
    pub(super) breaker: Breaker,
}

/// A request in a queue.
pub(super) struct Waiter {
    pub(super) ticket: u64,
    /// Requests at a time on the account; 0 is no limit.
    pub(super) most: u32,
    pub(super) wake: oneshot::Sender<Wake>,
}

impl Place {
    pub(super) fn waiting(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| u32::try_from(more.queue.len()).unwrap_or(u32::MAX))
    }

    /// Where in the queue the tickets higher than `ticket` begin.
    pub(super) fn behind(&self, ticket: u64) -> usize {
        self.more.as_ref().map_or(0, |more| more.queue.partition_point(|waiter| waiter.ticket <= ticket))
    }
}
