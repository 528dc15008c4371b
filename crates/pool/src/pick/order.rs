//! In which order usable accounts with a free place serve.

use super::{Ask, Candidate};
use crate::Millis;
use crate::account::AccountId;
use crate::quota::{Quota, Window};

/// How to choose among usable accounts with a free place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Fewest requests now by weight, then least quota used (in steps of 10 %), then longest unused.
    #[default]
    LeastUsed,
    /// Longest unused: everybody in turn.
    RoundRobin,
    /// Last used: one account until it cannot serve, so that the others keep their quota and their caches stay warm.
    Sticky,
    /// What would go to waste first: the most quota left for the time until it resets. Among equals as `LeastUsed`.
    QuotaAware,
}

impl Strategy {
    /// All of them with their names in settings.
    pub const ALL: [(&'static str, Self); 4] = [
        ("least_used", Self::LeastUsed),
        ("round_robin", Self::RoundRobin),
        ("sticky", Self::Sticky),
        ("quota_aware", Self::QuotaAware),
    ];

    /// The strategy that settings name so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, strategy)| strategy)
    }
}

/// An account's place in the order; lower serves first. The id makes it a total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank<'a> {
    spent: bool,
    tier: usize,
    first: i64,
    share: u64,
    tenth: u8,
    last_used: i64,
    id: &'a AccountId,
}

impl<'a> Rank<'a> {
    pub(super) fn of(candidate: &Candidate<'a>, ask: &Ask<'_>, now: Millis) -> Self {
        let account = candidate.account;
        let tier = ask.tiers.iter().position(|plan| account.plan.eq_ignore_ascii_case(plan)).unwrap_or(ask.tiers.len());
        let first = match ask.strategy {
            Strategy::LeastUsed => 0,
            Strategy::RoundRobin => candidate.last_used.0,
            Strategy::Sticky => -candidate.last_used.0,
            Strategy::QuotaAware => -pace(&account.quota, now),
        };
        let (share, tenth) = (share(candidate), tenth(&account.quota, now));
        let spent = !account.status.serves(now);
        Self { spent, tier, first, share, tenth, last_used: candidate.last_used.0, id: &account.id }
    }
}

/// Requests now by weight.
fn share(candidate: &Candidate<'_>) -> u64 {
    /// Weights are compared by their shares of this.
    const WHOLE: u64 = 1 << 20;
    u64::from(candidate.in_flight) * WHOLE / u64::from(candidate.weight.max(1))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 100")]
fn tenth(quota: &Quota, now: Millis) -> u8 {
    (quota.used(now) / 10.0) as u8
}

/// How fast an account may be used up, in steps of a factor of two: what is left per hour until the reset, of its tightest
/// window. An account of which nothing is known is fastest, so that its first answer tells.
fn pace(quota: &Quota, now: Millis) -> i64 {
    let windows = [quota.primary, quota.secondary].into_iter().flatten();
    let rates = windows.filter_map(|window| Some((100.0 - window.used(now)).max(0.01) / hours(&window, now)?));
    let tightest = rates.fold(f64::INFINITY, f64::min);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a rate between 1e-5 and 1e3, else infinite: saturates"
    )]
    let steps = tightest.log2().round() as i64;
    steps.min(i64::from(i32::MAX))
}

/// How many hours the rest of a window has to last; `None` for one that has just reset and does not say how long it is.
fn hours(window: &Window, now: Millis) -> Option<f64> {
    /// A window that is about to reset.
    const LEAST: f64 = 0.1;
    /// A window that does not say when it resets.
    const WEEK: f64 = 7.0 * 24.0;
    #[expect(clippy::cast_precision_loss, reason = "resets are at most a month away")]
    match window.resets_at {
        Some(at) if at > now => Some((now.until(at) as f64 / 3_600_000.0).max(LEAST)),
        Some(_) => window.minutes.map(|minutes| f64::from(minutes) / 60.0),
        None => Some(WEEK),
    }
}
