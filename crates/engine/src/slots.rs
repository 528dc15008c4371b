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
use pool::catalog::{Catalog, To};
use pool::egress::Table;
use pool::pick::{self, Ask, Candidate, NoAccount, Pick};
use pool::{AccountId, Millis};
use tokio::sync::oneshot;

use crate::accounts::{Entry, List};

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
    /// The account does not serve any more: choose again.
    Again,
    /// Another account has a free place: choose again.
    Called,
}

/// Among whom is chosen.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    /// Every account and relay.
    pub(crate) list: &'a List,
    /// What an account is taken to list until its live list came.
    pub(crate) bundled: &'a Catalog,
    /// Whom the model's name means.
    pub(crate) to: &'a To,
    /// Which ways out are open.
    pub(crate) ways: &'a Table,
}

/// The turn of a request that waited before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    ticket: u64,
    /// Whether it was called for a free place, which others may use when it cannot.
    called: bool,
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
    Again(Turn),
}

impl Slots {
    /// Chooses an account and takes a place on it or in its queue. `turn` is that of a request that waited before.
    pub(crate) fn take(
        self: &Arc<Self>,
        field: Field<'_>,
        ask: &Ask<'_>,
        (turn, now): (Option<Turn>, Millis),
    ) -> Result<Taken, NoAccount> {
        let mut book = self.0.lock();
        let choice = book.choose(field, ask, now);
        if let (Some(Turn { ticket, called: true }), Err(_) | Ok(Pick::Queue(_))) = (turn, &choice) {
            book.call_next(ticket);
        }
        match choice? {
            Pick::Ready(account) => {
                let place = book.places.entry(account.clone()).or_default();
                place.in_flight += 1;
                place.last_used = now;
                Ok(Taken::Now(Slot { slots: Arc::clone(self), account }))
            }
            Pick::Queue(account) => {
                let ticket = turn.map_or_else(|| book.ticket(), |turn| turn.ticket);
                let (sender, wake) = oneshot::channel();
                book.places.entry(account.clone()).or_default().enqueue(Waiter { ticket, wake: sender });
                Ok(Taken::Later(Waiting { slots: Arc::clone(self), account, ticket, wake }))
            }
        }
    }

    /// What a choice would come to now; takes nothing.
    pub(crate) fn look(&self, field: Field<'_>, ask: &Ask<'_>, now: Millis) -> Result<Pick, NoAccount> {
        self.0.lock().choose(field, ask, now)
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
        book.call_next(0);
    }

    /// The call that `ticket` got goes on to whoever waits longest after it.
    fn pass_on(&self, ticket: u64) {
        self.0.lock().call_next(ticket);
    }

    fn leave(&self, account: &AccountId, ticket: u64) {
        if let Some(place) = self.0.lock().places.get_mut(account) {
            place.queue.retain(|waiter| waiter.ticket != ticket);
        }
    }
}

impl Book {
    fn choose(&self, field: Field<'_>, ask: &Ask<'_>, now: Millis) -> Result<Pick, NoAccount> {
        let candidate = |(entry, model)| self.candidate(entry, model, (field, now));
        let candidates: Vec<_> = field.entries(ask.model).map(candidate).collect();
        pick::pick(&candidates, ask, now)
    }

    fn candidate<'a>(&self, entry: &'a Entry, model: &str, (field, now): (Field<'a>, Millis)) -> Candidate<'a> {
        let place = self.places.get(&entry.account.id);
        Candidate {
            account: &entry.account,
            in_flight: place.map_or(0, |place| place.in_flight),
            waiting: place.map_or(0, Place::waiting),
            last_used: place.map_or(Millis(0), |place| place.last_used),
            lists_model: entry.lists(model, field.bundled, now),
            stuck: if entry.relay.is_some() { None } else { field.ways.stuck(&entry.account.id, now) },
            weight: entry.relay.as_ref().map_or(1, |line| line.relay.weight),
        }
    }

    fn ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    /// A place is free that nobody waits for: of the requests whose ticket is higher than `after`, the one that waits longest
    /// may choose again; when it cannot use the place, the call goes on. Tickets begin with 1.
    fn call_next(&mut self, after: u64) {
        let next = |place: &Place| place.queue.get(place.behind(after)).map(|waiter| waiter.ticket);
        while let Some(place) = self.places.values_mut().filter(|place| next(place).is_some()).min_by_key(|p| next(p)) {
            let waiter = place.queue.remove(place.behind(after)).expect("invariant: filtered for such a waiter");
            if waiter.wake.send(Wake::Called).is_ok() {
                return;
            }
        }
    }
}

impl<'a> Field<'a> {
    /// Whom the name means, each with its own name of the model.
    fn entries(self, model: &'a str) -> impl Iterator<Item = (&'a Entry, &'a str)> {
        self.list.iter().filter_map(move |entry| match (self.to, &entry.relay) {
            (To::Accounts, None) => Some((&**entry, model)),
            (To::Relays(stops), Some(line)) => {
                let stop = stops.iter().find(|stop| stop.relay == line.relay.id)?;
                Some((&**entry, stop.model.as_str()))
            }
            _ => None,
        })
    }
}

impl Place {
    fn waiting(&self) -> u32 {
        u32::try_from(self.queue.len()).unwrap_or(u32::MAX)
    }

    fn enqueue(&mut self, waiter: Waiter) {
        self.queue.insert(self.behind(waiter.ticket), waiter);
    }

    /// Where in the queue the tickets higher than `ticket` begin.
    fn behind(&self, ticket: u64) -> usize {
        self.queue.partition_point(|waiter| waiter.ticket <= ticket)
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
            Ok(Wake::Called) => Woken::Again(Turn { ticket: self.ticket, called: true }),
            Ok(Wake::Again) | Err(_) => Woken::Again(Turn { ticket: self.ticket, called: false }),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.slots.leave(&self.account, self.ticket);
        // The turn may have come in the instant in which the client left.
        match self.wake.try_recv() {
            Ok(Wake::Place) => self.slots.release(&self.account),
            Ok(Wake::Called) => self.slots.pass_on(self.ticket),
            Ok(Wake::Again) | Err(_) => {}
        }
    }
}
