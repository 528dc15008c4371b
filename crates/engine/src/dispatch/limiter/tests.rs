//! Places and queues, without a clock or a network.

mod long;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pool::quota::Quota;
use pool::status::{Reason, Status};
use pool::{Account, AccountId, Millis};

use super::*;
use crate::registry::accounts::AccountEntry;

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
        limits: pool::AccountLimits::default(),
        created: Millis(0),
        version: 1,
        status_rev: 1,
    }
}

fn list(ids: &[&str]) -> AccountList {
    let entry = |id: &&str| AccountEntry {
        account: account(id),
        tokens: None,
        models: None,
        refused_models: Vec::new(),
        refreshed_at: None,
        jitter: 0.0,
        exhausted_at: Millis(0),
        relay: None,
    };
    ids.iter().map(|id| Arc::new(entry(id))).collect()
}

fn limiter(stagger: Duration) -> Arc<ConcurrencyLimiter> {
    Arc::new(ConcurrencyLimiter::new((Strategy::LeastUsed, Vec::new()), stagger))
}

struct Fixture {
    limiter: Arc<ConcurrencyLimiter>,
    list: AccountList,
    bundled: Catalog,
    egress: EgressTable,
    most: u32,
    at: Millis,
}

impl Fixture {
    fn new(ids: &[&str], most: u32) -> Self {
        Self {
            limiter: limiter(Duration::ZERO),
            list: list(ids),
            bundled: Catalog::bundled(),
            egress: EgressTable::default(),
            most,
            at: Millis(1),
        }
    }

    fn take(&self, ticket: Option<QueueTicket>) -> Result<Acquired, NoAccount> {
        self.choose(ticket, &[])
    }

    /// As [`Self::take`], for a request that has tried this account.
    fn take_without(&self, ticket: Option<QueueTicket>, tried: &AccountId) -> Result<Acquired, NoAccount> {
        self.choose(ticket, std::slice::from_ref(tried))
    }

    fn choose(&self, ticket: Option<QueueTicket>, tried: &[AccountId]) -> Result<Acquired, NoAccount> {
        self.limiter.acquire(self.field(tried), &self.requirements(), (ticket, self.at))
    }

    fn explained(&self) -> Vec<(AccountId, Ranking)> {
        self.limiter.explain(self.field(&[]), &self.requirements(), self.at)
    }

    fn field<'a>(&'a self, tried: &'a [AccountId]) -> Candidates<'a> {
        let (list, bundled, egress) = (&self.list, &self.bundled, &self.egress);
        Candidates { list, bundled, custom: false, to: &ServedBy::Accounts, egress, prefer: None, tried }
    }

    fn requirements(&self) -> Requirements<'_> {
        Requirements { model: &self.bundled.models()[0].slug, max_concurrent: self.most, ..Requirements::default() }
    }

    fn now(&self) -> Permit {
        match self.take(None) {
            Ok(Acquired::Now(permit)) => permit,
            _ => panic!("no free place"),
        }
    }

    fn later(&self) -> QueuedRequest {
        match self.take(None) {
            Ok(Acquired::Later(waiting)) => waiting,
            _ => panic!("not queued"),
        }
    }

    /// One busy account; one that is free, because the two who waited for it have left; two who wait for the busy one.
    fn uneven(&self) -> (Permit, QueuedRequest, QueuedRequest) {
        let mut served = vec![self.now(), self.now()];
        let mut waiting: Vec<_> = (0..4).map(|_| self.later()).collect();
        let busy = waiting[0].account.clone();
        waiting.retain(|waiting| waiting.account == busy);
        let free = served.iter().position(|permit| *permit.account() != busy).expect("two accounts");
        drop(served.remove(free));
        let (second, first) = (waiting.pop().expect("two wait"), waiting.pop().expect("two wait"));
        (served.remove(0), first, second)
    }

    fn load(&self, id: &str) -> (u32, u32) {
        self.limiter.in_flight_and_waiting(&AccountId(id.into()))
    }
}

fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn permit(woken: Option<WaitOutcome>) -> Permit {
    match woken {
        Some(WaitOutcome::Permit(permit)) => permit,
        Some(WaitOutcome::Again(_)) => panic!("sent to choose again"),
        None => panic!("still waiting"),
    }
}

#[test]
fn places_are_given_back_on_drop() {
    let fixture = Fixture::new(&["a"], 2);
    let (one, two) = (fixture.now(), fixture.now());
    assert_eq!(fixture.load("a"), (2, 0));
    drop(one);
    assert_eq!(fixture.load("a"), (1, 0));
    drop(two);
    assert_eq!(fixture.load("a"), (0, 0));
}

#[test]
fn the_queue_is_first_come_first_served() {
    let fixture = Fixture::new(&["a"], 1);
    let served = fixture.now();
    let (first, second) = (fixture.later(), fixture.later());
    assert_eq!(fixture.load("a"), (1, 2));
    drop(served);
    let served = permit(poll(first.wait()));
    assert_eq!(fixture.load("a"), (1, 1), "the place went on to the first, the second waits");
    drop(served);
    drop(permit(poll(second.wait())));
    assert_eq!(fixture.load("a"), (0, 0));
}

#[test]
fn who_leaves_the_queue_is_passed_over() {
    let fixture = Fixture::new(&["a"], 1);
    let served = fixture.now();
    let (first, second) = (fixture.later(), fixture.later());
    drop(first);
    assert_eq!(fixture.load("a"), (1, 1));
    drop(served);
    drop(permit(poll(second.wait())));
    assert_eq!(fixture.load("a"), (0, 0));
}

#[test]
fn a_place_given_to_one_who_left_is_not_lost() {
    let fixture = Fixture::new(&["a"], 1);
    let served = fixture.now();
    let waiting = fixture.later();
    drop(served);
    assert_eq!(fixture.load("a"), (1, 0), "given, not yet taken");
    drop(waiting);
    assert_eq!(fixture.load("a"), (0, 0));
}

#[test]
fn the_queue_is_bounded() {
    let fixture = Fixture::new(&["a"], 1);
    let _served = fixture.now();
    let waiting: Vec<_> = (0..pool::limits::QUEUE).map(|_| fixture.later()).collect();
    let refused = fixture.take(None).err().expect("a full queue");
    assert_eq!(refused.reasons[0].1, Reason::Full);
    drop(waiting);
    assert_eq!(fixture.load("a"), (1, 0));
}

#[test]
fn a_free_place_elsewhere_calls_the_longest_waiting() {
    let fixture = Fixture::new(&["a", "b"], 1);
    let served = [fixture.now(), fixture.now()];
    let waiting = [fixture.later(), fixture.later(), fixture.later()];
    let (queue_of, first) = (waiting[0].account.clone(), QueueTicket { ticket: waiting[0].ticket, called: true });
    let others =
        waiting.iter().filter(|waiting| waiting.account != queue_of).map(|waiting| waiting.ticket).collect::<Vec<_>>();
    let mut waiting = Vec::from(waiting);
    // Everybody who waits for the other account leaves; its place is then free for the request that waits longest.
    waiting.retain(|waiting| !others.contains(&waiting.ticket));
    let other = served.iter().position(|permit| *permit.account() != queue_of).expect("two accounts");
    let mut served = Vec::from(served);
    drop(served.remove(other));
    match poll(waiting.remove(0).wait()) {
        Some(WaitOutcome::Again(ticket)) => assert_eq!(ticket, first),
        _ => panic!("the longest waiting was not called"),
    }
    assert!(matches!(fixture.take(Some(first)), Ok(Acquired::Now(_))));
}

#[test]
fn choosing_again_keeps_the_turn() {
    let fixture = Fixture::new(&["a"], 1);
    let served = fixture.now();
    let (first, second) = (fixture.later(), fixture.later());
    fixture.limiter.requeue(&AccountId("a".into()));
    let Some(WaitOutcome::Again(ticket)) = poll(first.wait()) else { panic!("not scattered") };
    let Some(WaitOutcome::Again(late)) = poll(second.wait()) else { panic!("not scattered") };
    let Ok(Acquired::Later(second)) = fixture.take(Some(late)) else { panic!("not queued") };
    let Ok(Acquired::Later(first)) = fixture.take(Some(ticket)) else { panic!("not queued") };
    drop(served);
    let _served = permit(poll(first.wait()));
    assert!(poll(second.wait()).is_none(), "the later ticket waits");
}

#[test]
fn a_call_to_one_who_left_goes_on_to_the_next() {
    let fixture = Fixture::new(&["a", "b"], 1);
    let (_served, first, second) = fixture.uneven();
    drop(first);
    assert!(matches!(poll(second.wait()), Some(WaitOutcome::Again(_))), "the free place is offered to the next");
}

#[test]
fn a_call_that_is_of_no_use_goes_on_to_the_next() {
    let fixture = Fixture::new(&["a", "b"], 1);
    let (served, first, mut second) = fixture.uneven();
    let Some(WaitOutcome::Again(ticket)) = poll(first.wait()) else { panic!("not called") };
    let free =
        fixture.list.iter().map(|entry| &entry.account.id).find(|id| *id != served.account()).expect("two accounts");
    let Ok(Acquired::Later(first)) = fixture.take_without(Some(ticket), free) else { panic!("not queued") };
    let again = poll(&mut second.wake);
    assert!(matches!(again, Some(Ok(WakeUp::Called))), "the free place is offered to the next: {again:?}");
    drop(served);
    drop(permit(poll(first.wait())));
}

fn record(fixture: &Fixture, at: i64, works: bool) -> bool {
    let (id, by) = (AccountId("a".into()), u64::try_from(at).expect("small"));
    if works {
        fixture.limiter.record_success(&id)
    } else {
        fixture.limiter.record_failure(&id, (Millis(at), by), Millis(at))
    }
}

/// Streams that began before the failures say nothing about them, and are not waited for.
#[test]
fn a_probe_goes_beside_older_streams() {
    let mut fixture = Fixture::new(&["a"], 0);
    let older = [fixture.now(), fixture.now()];
    for at in 1..=5 {
        record(&fixture, at, false);
    }
    fixture.at = Millis(5);
    assert!(fixture.take(None).is_err(), "left alone");
    fixture.at = Millis(120_000);
    let probe = fixture.now();
    let (second, third) = (fixture.later(), fixture.later());
    assert_eq!(fixture.load("a"), (3, 2), "waiting requests wait for the probe");
    drop(probe);
    let probe = permit(poll(second.wait()));
    assert_eq!(fixture.load("a"), (3, 1), "one that told nothing is followed by one, whatever older streams do");
    assert!(record(&fixture, 120_001, true));
    assert!(matches!(poll(third.wait()), Some(WaitOutcome::Again(_))));
    drop((fixture.now(), fixture.now(), probe, older));
    assert_eq!(fixture.load("a"), (0, 0));
}

/// So many hundred who come and go at random: nobody is lost, nobody overtakes, and the book is empty in the end.
#[test]
fn requests_that_stay_are_served_in_turn() {
    let fixture = Fixture::new(&["a"], 2);
    let mut served: VecDeque<Permit> = [fixture.now(), fixture.now()].into();
    let mut waiting: VecDeque<QueuedRequest> = VecDeque::new();
    let mut last = 0;
    for n in 0..2000_u32 {
        match n.wrapping_mul(2_654_435_761) >> 30 {
            0 | 1 if waiting.len() < 60 => waiting.push_back(fixture.later()),
            2 if waiting.len() > 3 => drop(waiting.remove(2)),
            _ => {
                drop(served.pop_front());
                let Some(first) = waiting.pop_front() else {
                    served.push_back(fixture.now());
                    continue;
                };
                assert!(first.ticket > last, "in the order in which they came");
                last = first.ticket;
                served.push_back(permit(poll(first.wait())));
            }
        }
        assert_eq!(fixture.load("a"), (2, u32::try_from(waiting.len()).expect("few")));
    }
    drop((served, waiting));
    assert_eq!(fixture.load("a"), (0, 0));
}

fn gap() -> Duration {
    Duration::from_millis(100)
}

fn staggered(ids: &[&str], most: u32) -> Fixture {
    Fixture { limiter: limiter(gap()), ..Fixture::new(ids, most) }
}

#[tokio::test(start_paused = true)]
async fn starts_on_one_account_are_apart() {
    let fixture = staggered(&["a"], 0);
    let begun = Instant::now();
    let all = [fixture.now(), fixture.now(), fixture.now()];
    for (permit, after) in all.iter().zip([0, 1, 2]) {
        assert!(permit.wait_for_start(begun + 5 * gap()).await);
        assert_eq!(begun.elapsed(), after * gap());
    }
    let late = fixture.now();
    assert!(!late.wait_for_start(Instant::now()).await, "not within its time");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_nobody_made_is_given_to_the_next() {
    let fixture = staggered(&["a"], 0);
    let begun = Instant::now();
    let (_first, second) = (fixture.now(), fixture.now());
    drop(second);
    assert_eq!(fixture.now().start.at, begun + gap());
}

#[tokio::test(start_paused = true)]
async fn an_account_that_may_begin_sooner_is_taken() {
    let fixture = staggered(&["a", "b"], 0);
    let begun = Instant::now();
    let held = [fixture.now(), fixture.now(), fixture.now(), fixture.now()];
    assert_eq!(held.each_ref().map(|permit| permit.start.at - begun), [Duration::ZERO, Duration::ZERO, gap(), gap()]);
    assert_ne!(held[2].account(), held[3].account());
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_begin_apart_too() {
    let fixture = staggered(&["a"], 1);
    let begun = Instant::now();
    let served = fixture.now();
    let waiting = fixture.later();
    drop(served);
    assert_eq!(permit(poll(waiting.wait())).start.at, begun + gap());
}

#[test]
fn places_stay_with_their_accounts_when_the_list_changes() {
    let mut fixture = Fixture::new(&["b", "c"], 1);
    let served = fixture.now();
    let account = served.account().clone();
    fixture.list = list(&["a", "b", "c", "d"]);
    let others: Vec<_> = (0..3).map(|_| fixture.now()).collect();
    assert!(others.iter().all(|permit| *permit.account() != account), "its only place is taken");
    fixture.list = list(&["a"]);
    assert!(matches!(fixture.take(None), Ok(Acquired::Later(_))));
    assert_eq!(
        fixture.limiter.in_flight_and_waiting(&account),
        (1, 0),
        "an account that is gone keeps its place until it is given back"
    );
    drop(served);
    assert_eq!(fixture.limiter.in_flight_and_waiting(&account), (0, 0));
}
