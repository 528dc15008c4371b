//! Stop sequences first, then the token limit: a stop sequence ends the text that is counted.

use super::budget::{Budget, Grant};
use super::stops::Stops;
use crate::canon::Limits;

/// Decides how much text of each segment may pass.
#[derive(Debug)]
pub(super) struct LimitChecker {
    stops: Stops,
    budget: Option<Budget>,
}

/// The decision about the waiting text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    /// Bytes of text that may pass, counted from the first undelivered byte.
    pub(super) grant: usize,
    /// Set when the reply ends behind these bytes.
    pub(super) end: Option<Hit>,
}

/// The limit that the reply reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hit {
    /// The token limit.
    Length,
    /// This stop sequence.
    Stop(String),
}

impl LimitChecker {
    pub(super) fn new(limits: &Limits) -> Option<Self> {
        let stops = Stops::new(&limits.stop);
        let budget = limits.max_tokens.map(Budget::new);
        (budget.is_some() || !stops.is_empty()).then_some(Self { stops, budget })
    }

    /// Adds text of the segment.
    pub(super) fn feed(&mut self, plain: &str) -> Ruling {
        let cleared = self.stops.feed(plain);
        let grant = spend(&mut self.budget, self.stops.front(cleared.bytes), cleared.found.is_some());
        self.stops.drop_front(cleared.bytes);
        ruling(&grant, cleared.found.map(|index| Hit::Stop(self.stops.sequence(index).to_owned())))
    }

    /// Completes the segment.
    pub(super) fn close(&mut self) -> Ruling {
        let rest = self.stops.close();
        let grant = spend(&mut self.budget, &rest, true);
        ruling(&grant, None)
    }

    /// Tokens of the delivered text; `None` without a token limit.
    pub(super) fn delivered_tokens(&self) -> Option<u64> {
        self.budget.as_ref().map(Budget::counted)
    }
}

/// Passes `text` to the budget; `last` when it is the end of the segment.
fn spend(budget: &mut Option<Budget>, text: &str, last: bool) -> Grant {
    let Some(budget) = budget else { return Grant { bytes: text.len(), over: false } };
    let first = budget.feed(text);
    if first.over || !last {
        return first;
    }
    let rest = budget.close();
    Grant { bytes: first.bytes + rest.bytes, over: rest.over }
}

fn ruling(grant: &Grant, stop: Option<Hit>) -> Ruling {
    Ruling { grant: grant.bytes, end: if grant.over { Some(Hit::Length) } else { stop } }
}
