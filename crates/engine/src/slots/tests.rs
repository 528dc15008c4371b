//! Places and queues, without a clock or a network.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pool::quota::Quota;
use pool::status::{Reason, Status};
use pool::{Account, AccountId, Millis};

use super::*;
use crate::accounts::Entry;

fn account(id: &str) -> Account {
    Account {
        id: AccountId(id.into()),
        label: id.into(),
        email: String::new(),
        plan: "plus".into(),
        upstream_id: id.into(),
        user: String::new(),
        fedramp: false,
        status: Status::Active,
        quota: Quota::default(),
        created: Millis(0),
        version: 1,
    }
}

fn list(ids: &[&str]) -> List {
    let entry = |id: &&str| Entry {
        account: account(id),
        tokens: None,
        models: None,
        missing: Vec::new(),
        jitter: 0.0,
        refused: Millis(0),
        relay: None,
    };
    ids.iter().map(|id| Arc::new(entry(id))).collect()
}

struct Desk {
    slots: Arc<Slots>,
    list: List,
    bundled: Catalog,
    ways: Table,
    most: u32,
}

impl Desk {
    fn new(ids: &[&str], most: u32) -> Self {
        Self { slots: Arc::default(), list: list(ids), bundled: Catalog::bundled(), ways: Table::default(), most }
    }

    fn take(&self, turn: Option<Turn>) -> Result<Taken, NoAccount> {
        self.choose(turn, &[])
    }

    /// As [`Self::take`], for a request that has tried this account.
    fn take_without(&self, turn: Option<Turn>, tried: &AccountId) -> Result<Taken, NoAccount> {
        self.choose(turn, std::slice::from_ref(tried))
    }

    fn choose(&self, turn: Option<Turn>, tried: &[AccountId]) -> Result<Taken, NoAccount> {
        let model = self.bundled.models()[0].slug.clone();
        let ask = Ask { model: &model, tried, max_concurrent: self.most, ..Ask::default() };
        let field = Field { list: &self.list, bundled: &self.bundled, to: &To::Accounts, ways: &self.ways };
        self.slots.take(field, &ask, (turn, Millis(1)))
    }

    fn now(&self) -> Slot {
        match self.take(None) {
            Ok(Taken::Now(slot)) => slot,
            _ => panic!("no free place"),
        }
    }

    fn later(&self) -> Waiting {
        match self.take(None) {
            Ok(Taken::Later(waiting)) => waiting,
            _ => panic!("not queued"),
        }
    }

    /// One busy account; one that is free, because the two who waited for it have left; two who wait for the busy one.
    fn uneven(&self) -> (Slot, Waiting, Waiting) {
        let mut served = vec![self.now(), self.now()];
        let mut waiting: Vec<_> = (0..4).map(|_| self.later()).collect();
        let busy = waiting[0].account.clone();
        waiting.retain(|waiting| waiting.account == busy);
        let free = served.iter().position(|slot| *slot.account() != busy).expect("two accounts");
        drop(served.remove(free));
        let (second, first) = (waiting.pop().expect("two wait"), waiting.pop().expect("two wait"));
        (served.remove(0), first, second)
    }

    fn load(&self, id: &str) -> (u32, u32) {
        self.slots.load(&AccountId(id.into()))
    }
}

fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn slot(woken: Option<Woken>) -> Slot {
    match woken {
        Some(Woken::Slot(slot)) => slot,
        Some(Woken::Again(_)) => panic!("sent to choose again"),
        None => panic!("still waiting"),
    }
}

#[test]
fn places_are_given_back_on_drop() {
    let desk = Desk::new(&["a"], 2);
    let (one, two) = (desk.now(), desk.now());
    assert_eq!(desk.load("a"), (2, 0));
    drop(one);
    assert_eq!(desk.load("a"), (1, 0));
    drop(two);
    assert_eq!(desk.load("a"), (0, 0));
}

#[test]
fn the_queue_is_first_come_first_served() {
    let desk = Desk::new(&["a"], 1);
    let served = desk.now();
    let (first, second) = (desk.later(), desk.later());
    assert_eq!(desk.load("a"), (1, 2));
    drop(served);
    let served = slot(poll(first.turn()));
    assert_eq!(desk.load("a"), (1, 1), "the place went on to the first, the second waits");
    drop(served);
    drop(slot(poll(second.turn())));
    assert_eq!(desk.load("a"), (0, 0));
}

#[test]
fn who_leaves_the_queue_is_passed_over() {
    let desk = Desk::new(&["a"], 1);
    let served = desk.now();
    let (first, second) = (desk.later(), desk.later());
    drop(first);
    assert_eq!(desk.load("a"), (1, 1));
    drop(served);
    drop(slot(poll(second.turn())));
    assert_eq!(desk.load("a"), (0, 0));
}

#[test]
fn a_place_given_to_one_who_left_is_not_lost() {
    let desk = Desk::new(&["a"], 1);
    let served = desk.now();
    let waiting = desk.later();
    drop(served);
    assert_eq!(desk.load("a"), (1, 0), "given, not yet taken");
    drop(waiting);
    assert_eq!(desk.load("a"), (0, 0));
}

#[test]
fn the_queue_is_bounded() {
    let desk = Desk::new(&["a"], 1);
    let _served = desk.now();
    let waiting: Vec<_> = (0..pool::limits::QUEUE).map(|_| desk.later()).collect();
    let refused = desk.take(None).err().expect("a full queue");
    assert_eq!(refused.reasons[0].1, Reason::Full);
    drop(waiting);
    assert_eq!(desk.load("a"), (1, 0));
}

#[test]
fn a_free_place_elsewhere_calls_the_longest_waiting() {
    let desk = Desk::new(&["a", "b"], 1);
    let served = [desk.now(), desk.now()];
    let waiting = [desk.later(), desk.later(), desk.later()];
    let (queue_of, first) = (waiting[0].account.clone(), Turn { ticket: waiting[0].ticket, called: true });
    let others =
        waiting.iter().filter(|waiting| waiting.account != queue_of).map(|waiting| waiting.ticket).collect::<Vec<_>>();
    let mut waiting = Vec::from(waiting);
    // Everybody who waits for the other account leaves; its place is then free for whoever waits longest.
    waiting.retain(|waiting| !others.contains(&waiting.ticket));
    let other = served.iter().position(|slot| *slot.account() != queue_of).expect("two accounts");
    let mut served = Vec::from(served);
    drop(served.remove(other));
    match poll(waiting.remove(0).turn()) {
        Some(Woken::Again(turn)) => assert_eq!(turn, first),
        _ => panic!("the longest waiting was not called"),
    }
    assert!(matches!(desk.take(Some(first)), Ok(Taken::Now(_))));
}

#[test]
fn choosing_again_keeps_the_turn() {
    let desk = Desk::new(&["a"], 1);
    let served = desk.now();
    let (first, second) = (desk.later(), desk.later());
    desk.slots.scatter(&AccountId("a".into()));
    let Some(Woken::Again(turn)) = poll(first.turn()) else { panic!("not scattered") };
    let Some(Woken::Again(late)) = poll(second.turn()) else { panic!("not scattered") };
    let Ok(Taken::Later(second)) = desk.take(Some(late)) else { panic!("not queued") };
    let Ok(Taken::Later(first)) = desk.take(Some(turn)) else { panic!("not queued") };
    drop(served);
    let _served = slot(poll(first.turn()));
    assert!(poll(second.turn()).is_none(), "the later ticket waits");
}

#[test]
fn a_call_to_one_who_left_goes_on_to_the_next() {
    let desk = Desk::new(&["a", "b"], 1);
    let (_served, first, second) = desk.uneven();
    drop(first);
    assert!(matches!(poll(second.turn()), Some(Woken::Again(_))), "the free place is offered to the next");
}

#[test]
fn a_call_that_is_of_no_use_goes_on_to_the_next() {
    let desk = Desk::new(&["a", "b"], 1);
    let (served, first, mut second) = desk.uneven();
    let Some(Woken::Again(turn)) = poll(first.turn()) else { panic!("not called") };
    let free =
        desk.list.iter().map(|entry| &entry.account.id).find(|id| *id != served.account()).expect("two accounts");
    let Ok(Taken::Later(first)) = desk.take_without(Some(turn), free) else { panic!("not queued") };
    let again = poll(&mut second.wake);
    assert!(matches!(again, Some(Ok(Wake::Called))), "the free place is offered to the next: {again:?}");
    drop(served);
    drop(slot(poll(first.turn())));
}
