//! Places on accounts: who is served now, who waits for whom.
//!
//! Picking and taking a place is one step under one short lock, so `max_concurrent` holds. Each account has a fair queue
//! (first come, first served); a place that nobody waits for goes to the longest waiting request of any account. A place is
//! given back when its [`Slot`] is dropped.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pool::catalog::Catalog;
use pool::pick::{self, Ask, Candidate, NoAccount, Pick};
use pool::{AccountId, Millis};
use tokio::sync::oneshot;

use crate::accounts::List;

/// The book of places.
#[derive(Default)]
pub(crate) struct Slots(Mutex<Book>);

#[derive(Default)]
struct Book {
    places: HashMap<AccountId, Place>,
    /// The next ticket.
    ticket: u64,
}

#[derive(Default)]
struct Place {
    in_flight: u32,
    last_used: Millis,
    /// By ticket, lowest first.
    queue: VecDeque<Waiter>,
}

struct Waiter {
    ticket: u64,
    wake: oneshot::Sender<Wake>,
}

/// What ends a wait.
#[derive(Debug)]
enum Wake {
    /// The place is the waiter's.
    Place,
    /// Something changed: choose again.
    Again,
}

/// A place on an account, held while a request is served.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    account: AccountId,
}

/// What asking for a place came to.
pub(crate) enum Taken {
    /// A place.
    Now(Slot),
    /// A place in the queue.
    Later(Waiting),
}

/// A place in an account's queue.
pub(crate) struct Waiting {
    slots: Arc<Slots>,
    account: AccountId,
    ticket: u64,
    wake: oneshot::Receiver<Wake>,
}

/// How a wait ended.
pub(crate) enum Woken {
    /// With a place.
    Slot(Slot),
    /// Choose again; the ticket keeps the turn.
    Again(u64),
}

impl Slots {
    /// Chooses an account and takes a place on it or in its queue. `ticket` is the turn of a request that waited before.
    pub(crate) fn take(
        self: &Arc<Self>,
        list: &List,
        bundled: &Catalog,
        ask: &Ask<'_>,
        turn: (Option<u64>, Millis),
    ) -> Result<Taken, NoAccount> {
        let (ticket, now) = turn;
        let mut book = self.0.lock();
        let candidate = |entry| book.candidate(entry, ask.model, bundled);
        let candidates: Vec<_> = list.iter().map(|entry| candidate(entry)).collect();
        match pick::pick(&candidates, ask, now)? {
            Pick::Ready(account) => {
                let place = book.places.entry(account.clone()).or_default();
                place.in_flight += 1;
                place.last_used = now;
                Ok(Taken::Now(Slot { slots: Arc::clone(self), account }))
            }
            Pick::Queue(account) => {
                let ticket = ticket.unwrap_or_else(|| book.ticket());
                let (sender, wake) = oneshot::channel();
                book.places.entry(account.clone()).or_default().enqueue(Waiter { ticket, wake: sender });
                Ok(Taken::Later(Waiting { slots: Arc::clone(self), account, ticket, wake }))
            }
        }
    }

    /// How many requests an account serves and how many wait for it.
    pub(crate) fn load(&self, account: &AccountId) -> (u32, u32) {
        self.0.lock().places.get(account).map_or((0, 0), |place| (place.in_flight, place.waiting()))
    }

    /// Sends everybody who waits for `account` to choose again: it does not serve any more.
    pub(crate) fn scatter(&self, account: &AccountId) {
        let mut book = self.0.lock();
        let queue = book.places.get_mut(account).map(|place| std::mem::take(&mut place.queue));
        for waiter in queue.into_iter().flatten() {
            let _ = waiter.wake.send(Wake::Again);
        }
    }

    fn release(&self, account: &AccountId) {
        let mut book = self.0.lock();
        let Some(place) = book.places.get_mut(account) else { return };
        place.in_flight = place.in_flight.saturating_sub(1);
        while let Some(waiter) = place.queue.pop_front() {
            if waiter.wake.send(Wake::Place).is_ok() {
                place.in_flight += 1;
                return;
            }
        }
        book.call_longest();
    }

    fn leave(&self, account: &AccountId, ticket: u64) {
        if let Some(place) = self.0.lock().places.get_mut(account) {
            place.queue.retain(|waiter| waiter.ticket != ticket);
        }
    }
}

impl Book {
    fn candidate<'a>(&self, entry: &'a crate::accounts::Entry, model: &str, bundled: &Catalog) -> Candidate<'a> {
        let place = self.places.get(&entry.account.id);
        Candidate {
            account: &entry.account,
            in_flight: place.map_or(0, |place| place.in_flight),
            waiting: place.map_or(0, Place::waiting),
            last_used: place.map_or(Millis(0), |place| place.last_used),
            lists_model: entry.lists(model, bundled),
        }
    }

    fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// A place is free that nobody waits for: the request that waits longest may choose again.
    fn call_longest(&mut self) {
        let first = |place: &Place| place.queue.front().map(|waiter| waiter.ticket);
        while let Some(place) = self.places.values_mut().filter(|place| first(place).is_some()).min_by_key(|p| first(p))
        {
            let waiter = place.queue.pop_front().expect("invariant: filtered for a first waiter");
            if waiter.wake.send(Wake::Again).is_ok() {
                return;
            }
        }
    }
}

impl Place {
    fn waiting(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    fn enqueue(&mut self, waiter: Waiter) {
        let at = self.queue.partition_point(|earlier| earlier.ticket < waiter.ticket);
        self.queue.insert(at, waiter);
    }
}

impl Slot {
    /// The account that the place is on.
    pub(crate) fn account(&self) -> &AccountId {
        &self.account
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.release(&self.account);
    }
}

impl Waiting {
    /// Waits for the turn. Dropping the future leaves the queue.
    pub(crate) async fn turn(mut self) -> Woken {
        match (&mut self.wake).await {
            Ok(Wake::Place) => Woken::Slot(Slot { slots: Arc::clone(&self.slots), account: self.account.clone() }),
            Ok(Wake::Again) | Err(_) => Woken::Again(self.ticket),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.leave(&self.account, self.ticket);
        // The place may have been given in the instant in which the client left.
        if let Ok(Wake::Place) = self.wake.try_recv() {
            self.slots.release(&self.account);
        }
    }
}
