//! The requests of one account: those in flight and those that wait.

use std::collections::VecDeque;

use pool::Millis;
use pool::breaker::Breaker;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::WakeUp;

/// The requests of one account.
#[derive(Default)]
pub(super) struct AccountQueue {
    pub(super) in_flight: u32,
    pub(super) last_used: Millis,
    /// When the next request may begin.
    pub(super) next: Option<Instant>,
    /// Boxed, because few accounts need it.
    pub(super) contended: Option<Box<Contended>>,
}

#[derive(Default)]
pub(super) struct Contended {
    /// By ticket, lowest first.
    pub(super) queue: VecDeque<Waiter>,
    pub(super) breaker: Breaker,
    /// How often the breaker has opened.
    pub(super) round: u32,
    /// Requests in flight that began before the breaker opened last. Their results do not count.
    pub(super) older: u32,
}

/// When a request on an account begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) at: Instant,
    /// How often the account's breaker had opened.
    pub(super) round: u32,
}

/// A request in a queue.
pub(super) struct Waiter {
    pub(super) ticket: u64,
    /// Requests at a time on the account; 0 is no limit.
    pub(super) most: u32,
    pub(super) wake: oneshot::Sender<WakeUp>,
}

impl AccountQueue {
    /// Counts one more request, which begins at `at`.
    pub(super) fn begin(&mut self, at: Instant) -> Start {
        self.in_flight += 1;
        Start { at, round: self.contended.as_ref().map_or(0, |more| more.round) }
    }

    /// One request less.
    pub(super) fn end(&mut self, start: Start) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(more) = self.contended.as_mut().filter(|more| start.round < more.round) {
            more.older = more.older.saturating_sub(1);
        }
    }

    /// Notes that the breaker has opened: all requests in flight began before.
    pub(super) fn opened(&mut self) {
        let more = self.contended.get_or_insert_default();
        more.round += 1;
        more.older = self.in_flight;
    }

    /// Requests that began before the breaker opened last.
    pub(super) fn older(&self) -> u32 {
        self.contended.as_ref().map_or(0, |more| more.older)
    }

    /// Whether one more request is allowed: below `most`, and with an open breaker only as its one probe.
    pub(super) fn room(&self, most: u32) -> bool {
        let probed =
            self.contended.as_ref().is_some_and(|more| !more.breaker.is_closed() && self.in_flight > more.older);
        (most == 0 || self.in_flight < most) && !probed
    }

    pub(super) fn waiting(&self) -> u32 {
        self.contended.as_ref().map_or(0, |more| u32::try_from(more.queue.len()).unwrap_or(u32::MAX))
    }

    /// Where in the queue the tickets higher than `ticket` begin.
    pub(super) fn behind(&self, ticket: u64) -> usize {
        self.contended.as_ref().map_or(0, |more| more.queue.partition_point(|waiter| waiter.ticket <= ticket))
    }
}
