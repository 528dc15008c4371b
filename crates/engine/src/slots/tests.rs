//! Places and queues, without a clock or a network.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use pool::quota::Quota;
use pool::status::{Reason, Status};
use pool::{Account, AccountId};

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
    let entry =
        |id: &&str| Entry { account: account(id), tokens: None, models: None, missing: Vec::new(), jitter: 0.0 };
    ids.iter().map(|id| Arc::new(entry(id))).collect()
}

struct Desk {
    slots: Arc<Slots>,
    list: List,
    bundled: Catalog,
    most: u32,
}

impl Desk {
    fn new(ids: &[&str], most: u32) -> Self {
        Self { slots: Arc::default(), list: list(ids), bundled: Catalog::bundled(), most }
    }

    fn take(&self, ticket: Option<u64>) -> Result<Taken, NoAccount> {
        let model = self.bundled.models()[0].slug.clone();
        let ask = Ask { model: &model, max_concurrent: self.most, ..Ask::default() };
        self.slots.take(&self.list, &self.bundled, &ask, (ticket, Millis(1)))
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
    let (queue_of, first) = (waiting[0].account.clone(), waiting[0].ticket);
    let others =
        waiting.iter().filter(|waiting| waiting.account != queue_of).map(|waiting| waiting.ticket).collect::<Vec<_>>();
    let mut waiting = Vec::from(waiting);
    // Everybody who waits for the other account leaves; its place is then free for whoever waits longest.
    waiting.retain(|waiting| !others.contains(&waiting.ticket));
    let other = served.iter().position(|slot| *slot.account() != queue_of).expect("two accounts");
    let mut served = Vec::from(served);
    drop(served.remove(other));
    match poll(waiting.remove(0).turn()) {
        Some(Woken::Again(ticket)) => assert_eq!(ticket, first),
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
