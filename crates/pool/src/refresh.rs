//! When tokens are refreshed, how long to wait after the token endpoint failed, and the skew of the clocks.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::account::Tokens;
use crate::{Millis, limits};

/// When `tokens` are due: five minutes before their end, up to 15 % earlier by `jitter` (0 to 1), so that accounts which were added
/// together do not refresh together. When the end cannot be read, eight days after the last refresh. Never less than
/// [`limits::REFRESH_GAP`] after the last refresh, so that a wrong clock causes no storm. `None` for an account without a refresh
/// token. If a wrong clock delays a refresh too long, a 401 triggers it.
pub fn due(tokens: &Tokens, jitter: f64) -> Option<Millis> {
    tokens.refresh.as_ref()?;
    let ahead = spread(limits::REFRESH_AHEAD, jitter);
    Some(match tokens.expires {
        Some(end) => end.plus(-ahead).max(tokens.refreshed.plus(millis(limits::REFRESH_GAP))),
        None => tokens.refreshed.plus(millis(limits::REFRESH_BLIND)),
    })
}

/// The pause after the `failures`-th passing failure in a row: 1, 2, 4 .. 60 minutes, up to 15 % more by `jitter` (0 to 1).
pub fn backoff(failures: u32, jitter: f64) -> Duration {
    let (first, longest) = limits::REFRESH_BACKOFF;
    let base = first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest);
    Duration::from_millis(u64::try_from(spread(base, jitter)).unwrap_or(0))
}

/// The delay of the `nth` (from 0) of `of` overdue accounts after the first one: evenly over [`limits::REFRESH_SPREAD`].
pub fn stagger(nth: usize, of: usize) -> Duration {
    let part = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let gaps = part(of).saturating_sub(1).max(1);
    limits::REFRESH_SPREAD * part(nth).min(gaps) / gaps
}

/// How far the backend's clock is ahead of ours, milliseconds, when it sent `date` between our `sent` and our `now`. `before` is the
/// previous result. Up to ten seconds count as no skew, because of the header's rounding and the network. `before` stays while it is
/// possible within ten seconds, because a slow answer, or one that this machine slept through, does not show when it was dated.
pub fn skew(date: Millis, (sent, now): (Millis, Millis), before: i64) -> i64 {
    const NOISE: i64 = 10_000;
    let (least, most) = (date.0.saturating_sub(now.0), date.0.saturating_sub(sent.0));
    if (least.saturating_sub(NOISE)..=most.saturating_add(NOISE)).contains(&before) {
        return before;
    }
    if least.unsigned_abs() <= NOISE.unsigned_abs() { 0 } else { least }
}

fn spread(base: Duration, jitter: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 15 % of an hour")]
    let extra = (base.as_secs_f64() * 150.0 * jitter.clamp(0.0, 1.0)) as i64;
    millis(base) + extra
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
