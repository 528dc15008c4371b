//! Explains the choice: every candidate in the order of [`pick`](super::pick), with its score or the reason against it.

use super::order::{QueueRank, Rank};
use super::{Candidate, Requirements, Standing, Strategy};
use crate::Millis;
use crate::account::AccountId;
use crate::breaker::BreakerState;
use crate::status::{Reason, Span};

/// The position of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// It has a free place; the first of these is chosen.
    Serves(Score),
    /// It is busy and its queue has room; the first of these is chosen when no candidate has a free place.
    Queues(Score),
    /// It does not serve this request.
    Out(Reason),
}

/// What a candidate was ranked by; the fields stand in the order in which they count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Score {
    /// Whether it owns the conversation.
    pub owner: bool,
    /// Its owner's number; lower serves first.
    pub priority: i32,
    /// Place of its plan among the tiers, from 0; those that are not named share the last.
    pub tier: u32,
    /// When it was last chosen; 0 for never.
    pub last_used: Millis,
    /// Milliseconds until it may begin the next request.
    pub wait: u64,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Requests that wait for it.
    pub waiting: u32,
    /// Requests at a time; 0 is no limit.
    pub max_concurrent: u32,
    /// Its share against the others'.
    pub weight: u32,
    /// Quota used, in steps of 10 %.
    pub used_percent: u8,
    /// Whether the next call only tries whether it works again.
    pub probe: bool,
}

/// Every candidate: usable ones in the order of the choice, then the others in the order of `candidates`.
pub fn explain<'a, I>(candidates: I, requirements: &Requirements<'_>, now: Millis) -> Vec<(&'a AccountId, Ranking)>
where
    I: Iterator<Item = Candidate<'a>>,
{
    let (mut serve, mut queue, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for candidate in candidates {
        let id = &candidate.account.id;
        match candidate.standing(requirements, now) {
            Ok(Standing::Serves) => {
                serve.push((Rank::of(&candidate, requirements, now), id, Score::of(&candidate, requirements)));
            }
            Ok(Standing::Queues) => queue.push((QueueRank::of(&candidate), id, Score::of(&candidate, requirements))),
            Err(_) => out.push((id, Ranking::Out(candidate.reason(requirements, now)))),
        }
    }
    serve.sort_by_key(|(rank, ..)| *rank);
    queue.sort_by_key(|(rank, ..)| *rank);
    let serve = serve.into_iter().map(|(_, id, score)| (id, Ranking::Serves(score)));
    let queue = queue.into_iter().map(|(_, id, score)| (id, Ranking::Queues(score)));
    serve.chain(queue).chain(out).collect()
}

impl Score {
    fn of(candidate: &Candidate<'_>, requirements: &Requirements<'_>) -> Self {
        Self {
            owner: candidate.owner,
            priority: candidate.account.limits.priority,
            tier: candidate.snapshot.tier(),
            last_used: candidate.last_used,
            wait: candidate.wait,
            in_flight: candidate.in_flight,
            waiting: candidate.waiting,
            max_concurrent: candidate.ceiling(requirements),
            weight: candidate.snapshot.weight(),
            used_percent: candidate.snapshot.tenth() * 10,
            probe: candidate.breaker == BreakerState::Probe,
        }
    }

    /// The score for people, the most important part first. Parts with their default value are left out.
    pub fn describe(&self, strategy: Strategy, now: Millis) -> String {
        let mut parts = Vec::new();
        let mut push = |counts: bool, part: String| parts.extend(counts.then_some(part));
        push(self.owner, "served this conversation before".into());
        push(self.probe, "tried again by one call after failures".into());
        push(self.priority != 0, format!("priority {}", self.priority));
        push(self.tier != 0, format!("tier {}", u64::from(self.tier) + 1));
        push(self.wait > 0, format!("begins in {} ms", self.wait));
        let most = if self.max_concurrent == 0 { String::new() } else { format!(" of {}", self.max_concurrent) };
        parts.push(format!("{}{most} requests now", self.in_flight));
        if self.waiting > 0 {
            parts.push(format!("{} wait", self.waiting));
        }
        if self.weight > 1 {
            parts.push(format!("weight {}", self.weight));
        }
        parts.push(quota(self.used_percent, strategy));
        parts.push(match self.last_used {
            Millis(0) => "not used yet".into(),
            at => format!("last used {} ago", Span(at.until(now))),
        });
        parts.join(", ")
    }
}

/// The used share of the quota, and how it counts.
fn quota(percent: u8, strategy: Strategy) -> String {
    match (strategy, percent) {
        (_, 100) => "quota used up".into(),
        (Strategy::QuotaAware, _) => format!("{percent} % of quota used, weighed against the time to its reset"),
        (_, 0) => "under 10 % of quota used".into(),
        _ => format!("{percent} % of quota used"),
    }
}
