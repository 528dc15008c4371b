//! An account or relay in the form that a choice reads.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use pool::Millis;
use pool::breaker::BreakerState;
use pool::pick::{Candidate, Snapshot, SnapshotRules};
use tokio::time::Instant;

use super::Candidates;
use super::queue::AccountQueue;
use crate::registry::accounts::AccountEntry;

/// Model lists whose result is remembered within one choice; accounts share few lists.
const LISTS: usize = 16;

/// The facts of an account or relay for a choice.
pub(super) struct CandidateRow {
    pub(super) entry: Arc<AccountEntry>,
    pub(super) snapshot: Snapshot,
    pub(super) account_queue: AccountQueue,
    /// Its rank among all ids.
    pub(super) order: u32,
    /// Whether it is a relay.
    pub(super) relay: bool,
    /// Which model list it has.
    list: usize,
    /// Whether it has refused a model, so that its list alone is not enough.
    doubted: bool,
}

/// When a choice is made.
#[derive(Clone, Copy)]
pub(super) struct ChoiceTime {
    pub(super) now: Millis,
    pub(super) mono: Instant,
}

/// The question of one choice to the rows of accounts.
pub(super) struct ChoiceContext<'a> {
    pub(super) field: Candidates<'a>,
    pub(super) model: &'a str,
    pub(super) moment: ChoiceTime,
    /// The index of the conversation's account in the list.
    pub(super) owner: Option<usize>,
    /// The accounts that the request has tried, by their order.
    pub(super) tried: Vec<u32>,
    /// The model lists that were looked up, with their results.
    pub(super) known: RefCell<Vec<(usize, bool)>>,
}

impl CandidateRow {
    pub(super) fn new(
        entry: &Arc<AccountEntry>,
        account_queue: AccountQueue,
        order: u32,
        (rules, now): (&SnapshotRules<'_>, Millis),
    ) -> Self {
        let snapshot = snapshot_of(entry, rules, order, now);
        let (relay, doubted) = (entry.relay.is_some(), !entry.refused_models.is_empty());
        Self { entry: Arc::clone(entry), snapshot, account_queue, order, relay, list: list_of(entry), doubted }
    }

    pub(super) fn renew(&mut self, entry: &Arc<AccountEntry>, rules: &SnapshotRules<'_>, now: Millis) {
        self.snapshot = snapshot_of(entry, rules, self.order, now);
        (self.doubted, self.list) = (!entry.refused_models.is_empty(), list_of(entry));
        self.entry = Arc::clone(entry);
    }

    /// The account as a candidate; `owner` is the order of the conversation's.
    pub(super) fn account<'a>(&'a self, view: &ChoiceContext<'a>, owner: Option<u32>) -> Candidate<'a> {
        let now = view.moment.now;
        Candidate {
            owner: owner == Some(self.order),
            tried: view.tried.contains(&self.order),
            model_limit: if self.doubted { self.entry.model_limit(view.model, now) } else { None },
            unavailable: view.field.egress.unavailable(&self.entry.account.id, now),
            ..self.candidate(self.lists(view), view.moment)
        }
    }

    /// Whether the account lists the model. A list is looked up once, however many accounts share it.
    fn lists(&self, view: &ChoiceContext<'_>) -> bool {
        let look = || self.entry.can_serve_model((view.model, view.field.custom), view.field.bundled, view.moment.now);
        if view.model.is_empty() {
            // The call names no model of a list.
            return true;
        }
        if self.doubted {
            return look();
        }
        let mut known = view.known.borrow_mut();
        if let Some((_, lists)) = known.iter().find(|(list, _)| *list == self.list) {
            return *lists;
        }
        let lists = look();
        if known.len() < LISTS {
            known.push((self.list, lists));
        }
        lists
    }

    pub(super) fn candidate(&self, lists_model: bool, moment: ChoiceTime) -> Candidate<'_> {
        let account_queue = &self.account_queue;
        let wait = account_queue.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(moment.mono));
        Candidate {
            account: &self.entry.account,
            snapshot: self.snapshot,
            in_flight: account_queue.in_flight,
            older: account_queue.older(),
            waiting: account_queue.waiting(),
            last_used: account_queue.last_used,
            wait: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            breaker: account_queue
                .contended
                .as_ref()
                .map_or(BreakerState::Sound, |more| more.breaker.state(moment.now)),
            lists_model,
            model_limit: None,
            unavailable: None,
            owner: false,
            tried: false,
        }
    }
}

/// Identifies a model list; 0 for none.
fn list_of(entry: &AccountEntry) -> usize {
    entry.models.as_ref().map_or(0, |listing| Arc::as_ptr(listing).addr())
}

fn snapshot_of(entry: &AccountEntry, rules: &SnapshotRules<'_>, order: u32, now: Millis) -> Snapshot {
    let weight = entry.relay.as_ref().map_or(1, |relay| relay.relay.weight);
    // Plans rank accounts only.
    let tiers = if entry.relay.is_some() { &[] } else { rules.tiers };
    Snapshot::of(&entry.account, &SnapshotRules { tiers, ..*rules }, (weight, order), now)
}
