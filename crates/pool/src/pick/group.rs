//! Groups of candidates with a bound for each, so that a choice among ten thousand accounts searches few groups.

use super::order::Rank;
use super::{Candidate, Strategy};
use crate::status::Availability;

/// A group of candidates.
#[derive(Clone, Debug)]
pub struct Group<I> {
    /// The bound of the group.
    pub best: Best,
    /// Whether it contains the conversation's owner.
    pub owner: bool,
    /// The candidates.
    pub candidates: I,
}

/// The bound of a group: no candidate ranks better, for any request at any time, until a candidate changes. Lower is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Best {
    /// Not computed: the group must be searched.
    #[default]
    Unknown,
    /// No candidate ranks below this.
    Rank(Bound),
    /// No candidate serves until a person changes its state.
    Nobody,
}

/// A rank, for comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bound(pub(super) Rank);

impl Best {
    /// The bound of these candidates. Facts that change with the clock or the request count with their best value.
    pub fn of<'a>(candidates: impl Iterator<Item = Candidate<'a>>, strategy: Strategy) -> Self {
        let open = candidates.filter(|candidate| candidate.snapshot.availability() != Availability::Shut);
        match open.map(|candidate| Rank::least(&candidate, strategy)).min() {
            Some(rank) => Self::Rank(Bound(rank)),
            None => Self::Nobody,
        }
    }
}

impl<I> Group<I> {
    /// A group without a bound.
    pub fn unknown(candidates: I) -> Self {
        Self { best: Best::Unknown, owner: false, candidates }
    }

    /// The bound for this request.
    pub(super) fn bound(&self) -> Best {
        match self.best {
            Best::Rank(Bound(rank)) => Best::Rank(Bound(rank.of_owner(self.owner))),
            best => best,
        }
    }
}
