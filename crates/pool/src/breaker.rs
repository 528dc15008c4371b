//! A circuit breaker. After several failures in a row an upstream is not called for a while; then one call probes it. A refusal
//! (429, 401, ...) is an answer and no failure here; the account's status records it.

#[cfg(test)]
mod tests;

use crate::{Millis, limits};

/// The breaker of one account or relay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    /// The last failures in a row, with their instants and conversations, oldest first.
    failures: Vec<(Millis, u64)>,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    since: Millis,
    until: Millis,
    /// Probes that failed.
    level: u32,
}

/// Whether an upstream may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// As always.
    #[default]
    Sound,
    /// By one call at a time, as a probe.
    Probe,
    /// Not before this instant.
    Broken(Millis),
}

impl Breaker {
    /// Records a failure of a call that began at `begun`. `jitter` is a random number from 0 to 1. Returns `true` when the breaker
    /// opens.
    ///
    /// `by` identifies the conversation. The failures of one conversation alone never open the breaker, because a single request
    /// may fail at every upstream.
    ///
    /// Only a failed probe doubles the time: a call that was in progress when the breaker opened says nothing new.
    pub fn record_failure(&mut self, (begun, by): (Millis, u64), now: Millis, jitter: f64) -> bool {
        match self.open {
            Some(open) if begun < open.until => false,
            Some(open) => {
                self.open(open.level.saturating_add(1), now, jitter);
                true
            }
            None => {
                let (count, within) = limits::BREAKER;
                let within = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
                self.failures.retain(|(at, _)| *at <= now && now <= at.plus(within));
                self.failures.push((now, by));
                self.failures.drain(..self.failures.len().saturating_sub(count));
                let breaks = self.failures.len() == count && self.failures.iter().any(|(_, other)| *other != by);
                if breaks {
                    self.open(0, now, jitter);
                }
                breaks
            }
        }
    }

    /// Records an answer. Returns `true` when the breaker was open.
    pub fn record_answer(&mut self) -> bool {
        self.failures.clear();
        self.open.take().is_some()
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// Whether the upstream may be called at `now`. A clock that was set back does not make the wait longer.
    pub fn state(&self, now: Millis) -> BreakerState {
        match self.open {
            None => BreakerState::Sound,
            Some(open) if open.since <= now && now < open.until => BreakerState::Broken(open.until),
            Some(_) => BreakerState::Probe,
        }
    }

    fn open(&mut self, level: u32, now: Millis, jitter: f64) {
        self.failures.clear();
        let (first, last) = limits::BREAKER_BACKOFF;
        let most = first.saturating_mul(1 << level.min(16)).min(last);
        let rest = i64::try_from(most.mul_f64(jitter.clamp(0.0, 1.0)).as_millis()).unwrap_or(i64::MAX);
        self.open = Some(Open { since: now, until: now.plus(rest.max(1)), level });
    }
}
