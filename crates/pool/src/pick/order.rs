//! The order of usable accounts with a free place.

use super::{Candidate, Requirements};
use crate::Millis;
use crate::account::Account;
use crate::quota::{Quota, Window};
use crate::status::{Availability, Status};

/// How long a snapshot holds that depends on the time until a reset, milliseconds.
const MOMENT: i64 = 30_000;

/// How to choose among usable accounts with a free place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
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

    /// The strategy of this name in settings.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, strategy)| strategy)
    }
}

/// The facts about an account that the choice needs, computed once and valid until [`Snapshot::until`]. A choice among ten
/// thousand accounts reads only these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    availability: Availability,
    /// Whether its quota is used up.
    exhausted: bool,
    /// Whether its plan can draw.
    draws: bool,
    ceiling: Option<u32>,
    priority: i32,
    tier: u32,
    tenth: u8,
    pace: i64,
    weight: u32,
    /// Position among all accounts by id; makes the order total.
    order: u32,
    until: Millis,
}

/// The settings that snapshots depend on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SnapshotRules<'a> {
    /// How to choose among the usable.
    pub strategy: Strategy,
    /// Plans in the order in which their accounts serve: a later one only when no earlier one has a free place. Plans that
    /// are not named come last.
    pub tiers: &'a [String],
}

/// An account's position in the order; lower serves first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    resting: bool,
    stranger: bool,
    priority: i32,
    tier: u32,
    first: i64,
    wait: u64,
    share: u64,
    tenth: u8,
    last_used: i64,
    order: u32,
}

/// An account's position in the order of queues; lower is chosen first. The owner comes first: when every account is busy, its
/// prompt cache is worth the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueRank {
    stranger: bool,
    waiting: u32,
    last_used: i64,
    order: u32,
}

impl Snapshot {
    /// The snapshot of `account`. `weight` is its share of simultaneous requests against the others', from 1; `order` is its
    /// position among all accounts by id.
    pub fn of(account: &Account, rules: &SnapshotRules<'_>, (weight, order): (u32, u32), now: Millis) -> Self {
        let position = rules.tiers.iter().position(|plan| account.plan.eq_ignore_ascii_case(plan));
        let quota = &account.quota;
        let windows = [quota.primary, quota.secondary].into_iter().flatten();
        let reset = windows.filter_map(|window| window.resets_at).filter(|at| *at > now).min();
        let moment = match rules.strategy {
            Strategy::QuotaAware => now.plus(MOMENT),
            _ => Millis(i64::MAX),
        };
        Self {
            availability: account.status.availability(),
            exhausted: matches!(account.status, Status::Exhausted { .. }),
            draws: account.draws(),
            ceiling: account.limits.max_concurrent,
            priority: account.limits.priority,
            tier: u32::try_from(position.unwrap_or(rules.tiers.len())).unwrap_or(u32::MAX),
            tenth: tenth(quota, now),
            pace: if rules.strategy == Strategy::QuotaAware { pace(quota, now) } else { 0 },
            weight: weight.max(1),
            order,
            until: reset.map_or(moment, |reset| reset.min(moment)),
        }
    }

    /// When the snapshot becomes stale although its account did not change.
    #[must_use]
    pub fn until(&self) -> Millis {
        self.until
    }

    pub(super) fn availability(&self) -> Availability {
        self.availability
    }

    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }

    pub(super) fn draws(&self) -> bool {
        self.draws
    }

    pub(super) fn ceiling(&self) -> Option<u32> {
        self.ceiling
    }

    pub(super) fn tier(&self) -> u32 {
        self.tier
    }

    pub(super) fn tenth(&self) -> u8 {
        self.tenth
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight
    }
}

impl Rank {
    pub(super) fn of(candidate: &Candidate<'_>, requirements: &Requirements<'_>, now: Millis) -> Self {
        Self {
            resting: candidate.is_resting(now),
            stranger: !candidate.owner,
            wait: candidate.wait,
            ..Self::least(candidate, requirements.strategy)
        }
    }

    /// The lowest rank that a candidate can have until it changes: without rest or wait, for a conversation that it does not own.
    pub(super) fn least(candidate: &Candidate<'_>, strategy: Strategy) -> Self {
        let Snapshot { priority, tier, tenth, pace, order, .. } = candidate.snapshot;
        let first = match strategy {
            Strategy::LeastUsed => 0,
            Strategy::RoundRobin => candidate.last_used.0,
            Strategy::Sticky => -candidate.last_used.0,
            Strategy::QuotaAware => -pace,
        };
        Self {
            resting: false,
            stranger: true,
            priority,
            tier,
            first,
            wait: 0,
            share: share(candidate),
            tenth,
            last_used: candidate.last_used.0,
            order,
        }
    }

    /// This rank for a group with or without the owner of the conversation.
    pub(super) fn of_owner(self, owner: bool) -> Self {
        Self { stranger: !owner, ..self }
    }
}

impl QueueRank {
    pub(super) fn of(candidate: &Candidate<'_>) -> Self {
        Self {
            stranger: !candidate.owner,
            waiting: candidate.waiting,
            last_used: candidate.last_used.0,
            order: candidate.snapshot.order,
        }
    }
}

/// Requests now by weight.
fn share(candidate: &Candidate<'_>) -> u64 {
    /// Weights are compared by their shares of this.
    const WHOLE: u64 = 1 << 20;
    u64::from(candidate.in_flight) * WHOLE / u64::from(candidate.snapshot.weight)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 100")]
fn tenth(quota: &Quota, now: Millis) -> u8 {
    (quota.used(now) / 10.0) as u8
}

/// How fast an account may be used up, in steps of a factor of two: the share left per hour until the reset, of its tightest
/// window. An account without figures is the fastest, so that its first answer brings some.
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

/// How many hours the rest of a window must last; `None` for a window that has reset and has no known length.
fn hours(window: &Window, now: Millis) -> Option<f64> {
    /// Least hours, for a window that is about to reset.
    const LEAST: f64 = 0.1;
    /// Hours for a window without a reset time.
    const WEEK: f64 = 7.0 * 24.0;
    #[expect(clippy::cast_precision_loss, reason = "resets are at most a month away")]
    match window.resets_at {
        Some(at) if at > now => Some((now.until(at) as f64 / 3_600_000.0).max(LEAST)),
        Some(_) => window.minutes.map(|minutes| f64::from(minutes) / 60.0),
        None => Some(WEEK),
    }
}
