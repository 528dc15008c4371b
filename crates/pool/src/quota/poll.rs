//! When an account's quota is polled. Polls are spread over the interval.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::Millis;
use crate::status::Status;

/// Longest pause after failures, unless the interval is longer.
const PAUSE: Duration = Duration::from_hours(1);
/// The first polls after a start are spread over this for each account, and over this at least.
const SPREAD: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Longest pause between the starts of two polls when many are due at once.
const GAP: Duration = Duration::from_secs(1);

/// How polls are paced.
#[derive(Clone, Copy, Debug)]
pub struct PollPace {
    /// How old figures may grow; zero disables polls.
    pub every: Duration,
    /// How many accounts there are.
    pub accounts: usize,
    /// When polling began.
    pub since: Millis,
}

/// The last polls of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LastPoll {
    /// When it was last polled; 0 for never.
    pub at: Millis,
    /// Polls that failed since the last good one.
    pub failures: u32,
    /// 0 to 1, new for each poll, so that accounts are not polled at the same instant.
    pub jitter: f64,
}

impl PollPace {
    /// When an account is polled next; `None` for never. `updated` is when its figures were last learned from any source: traffic
    /// makes a poll needless. Resting accounts are polled, because a window may be reset early. Accounts that only a person can
    /// bring back are not. Instants that must come from a clock that was set back are ignored.
    pub fn due(&self, status: &Status, (updated, now): (Millis, Millis), last_poll: &LastPoll) -> Option<Millis> {
        if self.every.is_zero() || status.needs_person() {
            return None;
        }
        if last_poll.failures > 0 {
            let longest = PAUSE.max(self.every);
            let pause = self.every.saturating_mul(1 << (last_poll.failures - 1).min(16)).min(longest);
            return Some(last_poll.at.believed(now).plus(spread(pause, last_poll.jitter)));
        }
        let last = updated.believed(now).max(last_poll.at.believed(now));
        let next = last.plus(spread(self.every, last_poll.jitter));
        Some(next.max(self.since.believed(now).plus(share(self.initial_spread(), last_poll.jitter))))
    }

    /// The span over which the first polls are spread.
    fn initial_spread(&self) -> Duration {
        let each = SPREAD.0.saturating_mul(u32::try_from(self.accounts).unwrap_or(u32::MAX));
        each.max(SPREAD.1).min(self.every)
    }

    /// The pause between the starts of two polls when many are due at once.
    pub fn gap(&self) -> Duration {
        let accounts = u32::try_from(self.accounts.max(1)).unwrap_or(u32::MAX);
        (self.every / accounts / 2).min(GAP)
    }
}

/// 80 to 120 % of a span, milliseconds.
fn spread(span: Duration, jitter: f64) -> i64 {
    share(span, jitter.clamp(0.0, 1.0).mul_add(0.4, 0.8))
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "spans are far below 2^53 ms")]
fn share(span: Duration, share: f64) -> i64 {
    (span.as_millis() as f64 * share.max(0.0)) as i64
}
