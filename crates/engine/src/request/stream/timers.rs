//! Heartbeats to the client and the idle limit of the upstream, with one timer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The timers of one reply.
pub(crate) struct Timers {
    /// When the last byte of the upstream arrived.
    pub(crate) last_read: Instant,
    /// When the client got its last bytes.
    pub(crate) last_write: Instant,
    /// How long the upstream may send nothing.
    pub(crate) idle: Duration,
    /// `None` for collected replies and forwarded calls.
    heartbeat: Option<Duration>,
    sleep: Pin<Box<Sleep>>,
}

/// The timer that is due.
pub(crate) enum Due {
    /// The client gets a heartbeat.
    Heartbeat,
    /// The upstream has sent nothing for too long.
    Idle,
}

impl Timers {
    /// The timers of a reply whose upstream sent its last byte at `last_read`.
    pub(crate) fn new(last_read: Instant, idle: Duration, heartbeat: Option<Duration>) -> Self {
        let last_write = Instant::now();
        let silent = last_read + idle;
        let first = heartbeat.map_or(silent, |heartbeat| silent.min(last_write + heartbeat));
        Self { last_read, last_write, idle, heartbeat, sleep: Box::pin(tokio::time::sleep_until(first)) }
    }

    /// The timer is set for the earliest time at which one could be due, and polled only when it fires: a token moves no timer.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        loop {
            std::task::ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            let idle = self.last_read + self.idle;
            let beat = self.heartbeat.map(|heartbeat| self.last_write + heartbeat);
            if idle <= now {
                return Poll::Ready(Due::Idle);
            }
            if beat.is_some_and(|beat| beat <= now) {
                self.last_write = now;
                return Poll::Ready(Due::Heartbeat);
            }
            self.sleep.as_mut().reset(beat.map_or(idle, |beat| beat.min(idle)));
        }
    }
}
