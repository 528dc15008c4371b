//! The wall clock, which tests can replace, its difference to the backend's clock, and its leaps against the monotonic clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pool::Millis;

/// The time of day. Durations are measured by the runtime's own clock.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// A clock that is moved by hand; clones show the same time.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn manual(at: Millis) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.0)))
    }

    /// The time.
    pub fn now(&self) -> Millis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis(millis(since))
            }
            Self::Manual(at) => Millis(at.load(Ordering::Relaxed)),
        }
    }

    /// This moment.
    pub(crate) fn moment(&self) -> Moment {
        Moment { wall: self.now(), steady: Instant::now() }
    }

    /// Sets a manual clock; the system's is set elsewhere.
    pub fn set(&self, to: Millis) {
        if let Self::Manual(at) = self {
            at.store(to.0, Ordering::Relaxed);
        }
    }

    /// Moves a manual clock; the system's goes by itself.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(at) = self {
            at.fetch_add(millis(by), Ordering::Relaxed);
        }
    }
}

/// A moment by two clocks: the wall clock, which can be set, and the monotonic one, which stands still while the machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    wall: Millis,
    steady: Instant,
}

impl Moment {
    /// The time since then, by the clock that shows more.
    pub(crate) fn elapsed(&self, clock: &Clock) -> Duration {
        self.steady.elapsed().max(self.by_wall(clock))
    }

    /// By how much the wall clock is ahead of the monotonic one: the machine slept, or the clock was set.
    pub(crate) fn leap(&self, clock: &Clock) -> Duration {
        self.by_wall(clock).saturating_sub(self.steady.elapsed())
    }

    fn by_wall(&self, clock: &Clock) -> Duration {
        Duration::from_millis(self.wall.until(clock.now()))
    }
}

/// By how much the backend's clock is ahead of ours, as its last answer said. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Skew(Arc<AtomicI64>);

impl Skew {
    /// Learns from the `Date` of an answer, with our times of its request and its arrival.
    pub(crate) fn learn(&self, date: Millis, (sent_at, now): (Millis, Millis)) {
        const NEWS: u64 = 60_000;
        let before = self.0.load(Ordering::Relaxed);
        let skew = pool::refresh::skew(date, (sent_at, now), before);
        self.0.store(skew, Ordering::Relaxed);
        if skew.abs_diff(before) > NEWS {
            let ahead = -(skew / 1000);
            tracing::warn!(
                ahead,
                "this machine's clock is so many seconds ahead of the backend's, whose counts for tokens"
            );
        }
    }

    /// What the backend's clock shows when ours shows `at`.
    pub(crate) fn to_backend(&self, at: Millis) -> Millis {
        at.plus(self.0.load(Ordering::Relaxed))
    }

    /// What our clock shows when the backend's shows `at`.
    pub(crate) fn to_local(&self, at: Millis) -> Millis {
        at.plus(self.0.load(Ordering::Relaxed).saturating_neg())
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
