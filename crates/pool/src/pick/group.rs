//! Candidates in groups, each with a bound: a choice among ten thousand looks into few of them.

use super::order::Rank;
use super::{Candidate, Strategy};
use crate::status::Availability;

/// Candidates that lie together.
#[derive(Clone, Debug)]
pub struct Group<I> {
    /// What none of them beats.
    pub best: Best,
    /// Whether the conversation's owner is among them.
    pub owner: bool,
    /// The candidates.
    pub candidates: I,
}

/// What no candidate of a group beats, for any request at any time until one of them changes. Better ones are lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Best {
    /// It was not worked out: the group has to be looked at.
    #[default]
    Unknown,
    /// A rank that none is below.
    Rank(Bound),
    /// None of them serves anything until a person changes that.
    Nobody,
}

/// A rank, for comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound(pub(super) Rank);

impl Best {
    /// The bound of these candidates. What changes with the clock or the request counts as its best.
    pub fn of<'a>(candidates: impl Iterator<Item = Candidate<'a>>, strategy: Strategy) -> Self {
        let open = candidates.filter(|candidate| candidate.card.gate() != Availability::Shut);
        match open.map(|candidate| Rank::least(&candidate, strategy)).min() {
            Some(rank) => Self::Rank(Bound(rank)),
            None => Self::Nobody,
        }
    }
}

impl<I> Group<I> {
    /// Candidates of which nothing is known beforehand.
    pub fn unknown(candidates: I) -> Self {
        Self { best: Best::Unknown, owner: false, candidates }
    }

    /// What none of them beats for this request.
    pub(super) fn bound(&self) -> Best {
        match self.best {
            Best::Rank(Bound(rank)) => Best::Rank(Bound(rank.of_owner(self.owner))),
            best => best,
        }
    }
}
