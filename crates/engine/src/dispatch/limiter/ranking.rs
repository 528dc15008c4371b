//! Every account and relay in the form that a choice reads: one short row each, in the order of the list. An update looks only at
//! the changed parts of the list.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pool::catalog::ServedBy;
use pool::pick::{self, Best, Candidate, Group, NoAccount, Pick, Requirements, SnapshotRules, Strategy};
use pool::{AccountId, Millis};
use tokio::time::Instant;

use super::queue::{AccountQueue, Start, Waiter};
use super::row::{CandidateRow, ChoiceContext, ChoiceTime};
use super::{Candidates, WakeUp};
use crate::registry::accounts::{AccountList, CHUNK};

/// Every account's row.
pub(super) struct RankedRows {
    strategy: Strategy,
    tiers: Vec<String>,
    rows: Vec<CandidateRow>,
    /// The best candidate of each chunk of the list; unknown when one of its rows changed.
    best: Vec<Best>,
    /// The list of the rows.
    list: AccountList,
    /// The queues of removed accounts, until their last permit is given back.
    removed: HashMap<AccountId, AccountQueue>,
    /// When the first snapshot ends, and when the snapshots were checked last.
    cards: (Millis, Millis),
    /// Requests in all queues.
    waiting: usize,
    /// The ticket that was given last.
    ticket: u64,
}

impl RankedRows {
    pub(super) fn new(strategy: Strategy, tiers: Vec<String>) -> Self {
        let never = (Millis(i64::MAX), Millis(i64::MIN));
        let (rows, best, removed) = (Vec::new(), Vec::new(), HashMap::new());
        Self { strategy, tiers, rows, best, list: AccountList::default(), removed, cards: never, waiting: 0, ticket: 0 }
    }

    pub(super) fn choose(
        &mut self,
        field: Candidates<'_>,
        requirements: &Requirements<'_>,
        now: Millis,
    ) -> Result<Pick, NoAccount> {
        self.refresh(field.list, now);
        let moment = ChoiceTime { now, mono: Instant::now() };
        match field.to {
            ServedBy::Accounts => {
                self.compute_best(moment);
                pick::pick(&self.accounts(&self.view((field, requirements.model), moment)), requirements, now)
            }
            ServedBy::Relays(_) => pick::pick(&[Group::unknown(self.relays(field, moment))], requirements, now),
        }
    }

    pub(super) fn explain(
        &mut self,
        field: Candidates<'_>,
        requirements: &Requirements<'_>,
        now: Millis,
    ) -> Vec<(AccountId, pick::Ranking)> {
        self.refresh(field.list, now);
        let moment = ChoiceTime { now, mono: Instant::now() };
        let view = self.view((field, requirements.model), moment);
        let explained = match field.to {
            ServedBy::Accounts => {
                pick::explain(self.accounts(&view).into_iter().flat_map(|group| group.candidates), requirements, now)
            }
            ServedBy::Relays(_) => pick::explain(self.relays(field, moment), requirements, now),
        };
        explained.into_iter().map(|(id, ranking)| (id.clone(), ranking)).collect()
    }

    /// Requests at a time on an account; 0 is no limit.
    pub(super) fn ceiling(&self, account: &AccountId, requirements: &Requirements<'_>, now: Millis) -> u32 {
        let moment = ChoiceTime { now, mono: Instant::now() };
        self.row(account).map_or(0, |row| row.candidate(true, moment).ceiling(requirements))
    }

    /// Counts a request and returns when it may begin. `chosen` is when the account was chosen by its rank.
    pub(super) fn begin(&mut self, account: &AccountId, stagger: Duration, chosen: Option<Millis>) -> Start {
        let mono = Instant::now();
        let relay = self.row(account).is_some_and(|row| row.relay);
        let Some(account_queue) = self.queue_mut(account) else { return Start { at: mono, round: 0 } };
        account_queue.last_used = chosen.unwrap_or(account_queue.last_used);
        if relay || stagger.is_zero() {
            return account_queue.begin(mono);
        }
        let at = account_queue.next.map_or(mono, |next| next.max(mono));
        account_queue.next = Some(at + stagger);
        account_queue.begin(at)
    }

    /// Gives a permit back: to the longest waiting request of this account, else of any account. A start that was never used is taken
    /// back.
    pub(super) fn release(&mut self, account: &AccountId, start: Start, stagger: Duration) {
        let Some(account_queue) = self.queue_mut(account) else { return };
        account_queue.end(start);
        if start.at > Instant::now() && account_queue.next == Some(start.at + stagger) {
            account_queue.next = Some(start.at);
        }
        while let Some(waiter) = self.pop_first(account) {
            let start = self.begin(account, stagger, None);
            if waiter.wake.send(WakeUp::Permit(start)).is_ok() {
                return;
            }
            if let Some(account_queue) = self.queue_mut(account) {
                account_queue.end(start);
            }
        }
        self.forget(account);
        self.call_next(0);
    }

    pub(super) fn load(&self, account: &AccountId) -> (u32, u32) {
        let account_queue = self.row(account).map(|row| &row.account_queue).or_else(|| self.removed.get(account));
        account_queue.map_or((0, 0), |account_queue| (account_queue.in_flight, account_queue.waiting()))
    }

    pub(super) fn enqueue(&mut self, account: &AccountId, waiter: Waiter) {
        let Some(account_queue) = self.queue_mut(account) else { return };
        let queue = &mut account_queue.contended.get_or_insert_default().queue;
        let at = queue.partition_point(|other| other.ticket <= waiter.ticket);
        queue.insert(at, waiter);
        self.waiting += 1;
    }

    pub(super) fn leave(&mut self, account: &AccountId, ticket: u64) {
        let Some(more) = self.queue_mut(account).and_then(|account_queue| account_queue.contended.as_mut()) else {
            return;
        };
        let before = more.queue.len();
        more.queue.retain(|waiter| waiter.ticket != ticket);
        self.waiting -= before - more.queue.len();
    }

    /// Sends every request that waits for this account to choose again.
    pub(super) fn requeue(&mut self, account: &AccountId) {
        let Some(more) = self.queue_mut(account).and_then(|account_queue| account_queue.contended.as_mut()) else {
            return;
        };
        let queue = std::mem::take(&mut more.queue);
        self.waiting -= queue.len();
        for waiter in queue {
            let _ = waiter.wake.send(WakeUp::Again);
        }
    }

    /// See [`super::ConcurrencyLimiter::record_success`].
    pub(super) fn record_success(&mut self, account: &AccountId) -> bool {
        let more = self.queue_mut(account).and_then(|account_queue| account_queue.contended.as_mut());
        let closes = more.is_some_and(|more| more.breaker.record_answer());
        if closes {
            self.requeue(account);
        }
        closes
    }

    /// See [`super::ConcurrencyLimiter::record_failure`].
    pub(super) fn record_failure(&mut self, account: &AccountId, call: (Millis, u64), now: Millis) -> bool {
        let Some(account_queue) = self.queue_mut(account) else { return false };
        let opens = account_queue.contended.get_or_insert_default().breaker.record_failure(call, now, rand::random());
        if opens {
            account_queue.opened();
            self.requeue(account);
        }
        opens
    }

    /// The ticket of a request that joins a queue. Tickets begin with 1.
    pub(super) fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// Whether an account's breaker is closed.
    pub(super) fn is_healthy(&self, account: &AccountId) -> bool {
        let more = self.row(account).and_then(|row| row.account_queue.contended.as_ref());
        more.is_none_or(|more| more.breaker.is_closed())
    }

    /// Calls the longest waiting request whose ticket is higher than `after`, because a permit may be free: that request chooses again.
    /// Tickets begin with 1.
    pub(super) fn call_next(&mut self, after: u64) {
        while self.waiting > 0 {
            let next = |account_queue: &AccountQueue| {
                Some(account_queue.contended.as_ref()?.queue.get(account_queue.behind(after))?.ticket)
            };
            let account_queues =
                self.rows.iter_mut().map(|row| &mut row.account_queue).chain(self.removed.values_mut());
            let Some((_, account_queue)) = account_queues
                .filter_map(|account_queue| Some((next(account_queue)?, account_queue)))
                .min_by_key(|(ticket, _)| *ticket)
            else {
                return;
            };
            let at = account_queue.behind(after);
            let Some(waiter) = account_queue.contended.as_mut().and_then(|more| more.queue.remove(at)) else { return };
            self.waiting -= 1;
            if waiter.wake.send(WakeUp::Called).is_ok() {
                return;
            }
        }
    }

    /// Takes the longest waiting request of an account, if the account has room for it.
    fn pop_first(&mut self, account: &AccountId) -> Option<Waiter> {
        let account_queue = self.queue_mut(account)?;
        let most = account_queue.contended.as_ref()?.queue.front()?.most;
        if !account_queue.room(most) {
            return None;
        }
        let waiter = account_queue.contended.as_mut()?.queue.pop_front()?;
        self.waiting -= 1;
        Some(waiter)
    }

    fn row(&self, account: &AccountId) -> Option<&CandidateRow> {
        self.rows.get(*self.list.positions().get(account)?)
    }

    fn queue_mut(&mut self, account: &AccountId) -> Option<&mut AccountQueue> {
        let Some(at) = self.list.positions().get(account) else { return self.removed.get_mut(account) };
        if let Some(best) = self.best.get_mut(at / CHUNK) {
            *best = Best::Unknown;
        }
        self.rows.get_mut(*at).map(|row| &mut row.account_queue)
    }

    /// Forgets a removed account without requests.
    fn forget(&mut self, account: &AccountId) {
        if self
            .removed
            .get(account)
            .is_some_and(|account_queue| account_queue.in_flight == 0 && account_queue.waiting() == 0)
        {
            self.removed.remove(account);
        }
    }

    /// Applies the changes of the list, and renews snapshots that have ended.
    fn refresh(&mut self, list: &AccountList, now: Millis) {
        let rules = SnapshotRules { strategy: self.strategy, tiers: &self.tiers };
        if !list.has_same_ids(&self.list) {
            self.rebuild(list, now);
            return;
        }
        let (until, looked) = self.cards;
        let all = now >= until || now < looked;
        let rows = self.rows.chunks_mut(CHUNK).zip(&mut self.best);
        for ((new, known), (rows, best)) in list.chunks().zip(self.list.chunks()).zip(rows) {
            if !all && Arc::ptr_eq(new, known) {
                continue;
            }
            *best = Best::Unknown;
            for (row, entry) in rows.iter_mut().zip(new.iter()) {
                if all || !Arc::ptr_eq(&row.entry, entry) {
                    row.renew(entry, &rules, now);
                }
                self.cards.0 = self.cards.0.min(row.snapshot.until());
            }
        }
        self.cards.1 = now;
        if all {
            self.cards.0 = self.rows.iter().map(|row| row.snapshot.until()).min().unwrap_or(Millis(i64::MAX));
        }
        self.list = list.clone();
    }

    /// Makes the rows of another list. The queues stay with their accounts.
    fn rebuild(&mut self, list: &AccountList, now: Millis) {
        let mut account_queues = std::mem::take(&mut self.removed);
        for row in self.rows.drain(..) {
            account_queues.insert(row.entry.account.id.clone(), row.account_queue);
        }
        let mut ids: Vec<_> = list.iter().map(|entry| &entry.account.id).collect();
        ids.sort_unstable();
        let rank: HashMap<_, _> = (0..).zip(ids).map(|(order, id)| (id, order)).collect();
        let rules = SnapshotRules { strategy: self.strategy, tiers: &self.tiers };
        for entry in list.iter() {
            let id = &entry.account.id;
            let order = rank.get(id).copied().unwrap_or(0);
            let account_queue = account_queues.remove(id).unwrap_or_default();
            self.rows.push(CandidateRow::new(entry, account_queue, order, (&rules, now)));
        }
        self.best = vec![Best::Unknown; self.rows.len().div_ceil(CHUNK)];
        self.removed = account_queues;
        self.removed.retain(|_, account_queue| account_queue.in_flight > 0 || account_queue.waiting() > 0);
        self.cards = (self.rows.iter().map(|row| row.snapshot.until()).min().unwrap_or(Millis(i64::MAX)), now);
        self.list = list.clone();
    }

    /// Computes the unknown best candidates of the chunks.
    fn compute_best(&mut self, moment: ChoiceTime) {
        for (rows, best) in self.rows.chunks(CHUNK).zip(&mut self.best) {
            if *best == Best::Unknown {
                let accounts = rows.iter().filter(|row| !row.relay);
                *best = Best::of(accounts.map(|row| row.candidate(true, moment)), self.strategy);
            }
        }
    }

    fn view<'a>(&self, (field, model): (Candidates<'a>, &'a str), moment: ChoiceTime) -> ChoiceContext<'a> {
        let owner = field.prefer.and_then(|account| self.list.positions().get(account)).copied();
        let tried = field.tried.iter().filter_map(|account| Some(self.row(account)?.order)).collect();
        ChoiceContext { field, model, moment, owner, tried, known: RefCell::default() }
    }

    /// The accounts, by chunks of the list.
    fn accounts<'a>(&'a self, view: &'a ChoiceContext<'a>) -> Vec<Group<impl Iterator<Item = Candidate<'a>> + Clone>> {
        let owner = view.owner.map(|at| at / CHUNK);
        let order = view.owner.and_then(|at| self.rows.get(at)).map(|row| row.order);
        let group = |(nth, (rows, best)): (usize, (&'a [CandidateRow], &Best))| Group {
            best: *best,
            owner: owner == Some(nth),
            candidates: rows.iter().filter(|row| !row.relay).map(move |row| row.account(view, order)),
        };
        self.rows.chunks(CHUNK).zip(&self.best).enumerate().map(group).collect()
    }

    /// The relays that serve the model, each with its own name of the model.
    fn relays<'a>(&'a self, field: Candidates<'a>, moment: ChoiceTime) -> impl Iterator<Item = Candidate<'a>> + Clone {
        let targets = match field.to {
            ServedBy::Accounts => &[],
            ServedBy::Relays(targets) => targets.as_slice(),
        };
        targets.iter().filter_map(move |target| {
            let row = self.row(&target.relay).filter(|row| row.relay)?;
            let lists = row.entry.can_serve_model((&target.model, false), field.bundled, moment.now);
            Some(Candidate {
                owner: field.prefer == Some(&target.relay),
                tried: field.tried.contains(&target.relay),
                ..row.candidate(lists, moment)
            })
        })
    }
}
