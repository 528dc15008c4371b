use rstest::rstest;

use super::*;
use crate::quota::{Quota, Window};
use crate::status::Status;

const NOW: Millis = Millis(1_800_000_000_000);

/// An account with its standing; the rest of a candidate is set by the tests.
fn account(id: &str, status: Status, used_percent: f64) -> Account {
    Account {
        id: AccountId(id.into()),
        label: id.into(),
        email: String::new(),
        plan: String::new(),
        upstream_id: id.into(),
        user: String::new(),
        fedramp: false,
        status,
        quota: Quota { primary: Some(Window { used_percent, ..Window::default() }), ..Quota::default() },
        created: Millis(0),
        version: 1,
    }
}

fn candidate(account: &Account) -> Candidate<'_> {
    Candidate { account, in_flight: 0, waiting: 0, last_used: Millis(0), lists_model: true, stuck: None, weight: 1 }
}

#[expect(clippy::unnecessary_wraps, reason = "the form in which a pick is compared")]
fn ready(id: &str) -> Result<Pick, NoAccount> {
    Ok(Pick::Ready(AccountId(id.into())))
}

fn cooling(seconds: i64) -> Status {
    Status::Cooling { until: NOW.plus(seconds * 1000), why: "429".into() }
}

fn exhausted(seconds: i64) -> Status {
    Status::Exhausted { until: NOW.plus(seconds * 1000), window: "primary".into() }
}

fn needs_login() -> Status {
    Status::NeedsLogin { why: "revoked".into() }
}

#[rstest]
// (in flight, used %, last used) of a and b.
#[case((0, 0.0, 0), (0, 0.0, 0), "a")]
#[case((1, 0.0, 0), (0, 90.0, 9), "b")]
#[case((0, 20.0, 0), (0, 10.0, 9), "b")]
#[case((0, 19.9, 5), (0, 10.0, 9), "a")]
#[case((0, 12.0, 9), (0, 15.0, 5), "b")]
#[case((2, 0.0, 7), (2, 0.0, 7), "a")]
fn the_least_used_serves(#[case] a: (u32, f64, i64), #[case] b: (u32, f64, i64), #[case] chosen: &str) {
    let accounts = [account("a", Status::Active, a.1), account("b", Status::Active, b.1)];
    let load = |account, load: (u32, f64, i64)| Candidate {
        in_flight: load.0,
        last_used: Millis(load.2),
        ..candidate(account)
    };
    let mut candidates = [load(&accounts[0], a), load(&accounts[1], b)];
    assert_eq!(pick(&candidates, &Ask::default(), NOW), ready(chosen));
    candidates.reverse();
    assert_eq!(pick(&candidates, &Ask::default(), NOW), ready(chosen), "the order of candidates does not matter");
}

/// Windows of an account: share used, hours to the reset.
fn windows(primary: (f64, i64), secondary: (f64, i64)) -> Quota {
    let window = |(used_percent, hours): (f64, i64)| Window {
        used_percent,
        minutes: None,
        resets_at: Some(NOW.plus(hours * 3_600_000)),
    };
    Quota { primary: Some(window(primary)), secondary: Some(window(secondary)), ..Quota::default() }
}

#[rstest]
// Requests in flight and minutes since the last use, of a and b.
#[case(Strategy::RoundRobin, (5, 9), (0, 3), "a")]
#[case(Strategy::RoundRobin, (0, 3), (0, 3), "a")]
#[case(Strategy::Sticky, (0, 9), (5, 3), "b")]
#[case(Strategy::Sticky, (0, 3), (0, 9), "a")]
#[case(Strategy::LeastUsed, (5, 9), (0, 3), "b")]
fn strategies_look_at_the_past(
    #[case] strategy: Strategy,
    #[case] a: (u32, i64),
    #[case] b: (u32, i64),
    #[case] chosen: &str,
) {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    let past = |account, (in_flight, minutes): (u32, i64)| Candidate {
        in_flight,
        last_used: NOW.plus(-minutes * 60_000),
        ..candidate(account)
    };
    let candidates = [past(&accounts[0], a), past(&accounts[1], b)];
    assert_eq!(pick(&candidates, &Ask { strategy, ..Ask::default() }, NOW), ready(chosen));
}

#[rstest]
// The same left, but a's is lost sooner.
#[case(windows((0.0, 5), (50.0, 24)), windows((0.0, 5), (50.0, 96)), "a")]
// The same time, but more left.
#[case(windows((0.0, 5), (90.0, 48)), windows((0.0, 5), (20.0, 48)), "b")]
// The tightest window counts: a has hardly anything left for five hours.
#[case(windows((99.0, 5), (0.0, 48)), windows((50.0, 5), (50.0, 48)), "b")]
// Nothing is known of a.
#[case(Quota::default(), windows((0.0, 5), (0.0, 24)), "a")]
// A window that has reset is whole again.
#[case(windows((100.0, -1), (10.0, 24)), windows((10.0, 4), (80.0, 24)), "a")]
fn quota_that_would_be_lost_is_used_first(#[case] a: Quota, #[case] b: Quota, #[case] chosen: &str) {
    let mut accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    (accounts[0].quota, accounts[1].quota) = (a, b);
    let mut candidates = accounts.each_ref().map(candidate);
    let ask = Ask { strategy: Strategy::QuotaAware, ..Ask::default() };
    assert_eq!(pick(&candidates, &ask, NOW), ready(chosen));
    candidates.reverse();
    assert_eq!(pick(&candidates, &ask, NOW), ready(chosen));
}

#[test]
fn accounts_alike_share_what_is_quota_aware() {
    let mut accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    (accounts[0].quota, accounts[1].quota) = (windows((11.0, 4), (20.0, 50)), windows((10.0, 4), (20.0, 50)));
    let ask = Ask { strategy: Strategy::QuotaAware, ..Ask::default() };
    let candidates = [Candidate { in_flight: 1, ..candidate(&accounts[0]) }, candidate(&accounts[1])];
    assert_eq!(pick(&candidates, &ask, NOW), ready("b"));
    let candidates = [candidate(&accounts[0]), Candidate { in_flight: 1, ..candidate(&accounts[1]) }];
    assert_eq!(pick(&candidates, &ask, NOW), ready("a"));
}

#[test]
fn an_earlier_tier_serves_while_it_has_a_place() {
    let mut accounts = ["a", "b", "c"].map(|id| account(id, Status::Active, 0.0));
    for (account, plan) in accounts.iter_mut().zip(["free", "PRO", "plus"]) {
        account.plan = plan.into();
    }
    let tiers = ["pro".to_owned(), "plus".to_owned()];
    let ask = Ask { tiers: &tiers, max_concurrent: 1, ..Ask::default() };
    let mut candidates = accounts.each_ref().map(candidate);
    for (index, id) in [(1, "b"), (2, "c"), (0, "a")] {
        assert_eq!(pick(&candidates, &ask, NOW), ready(id));
        candidates[index].in_flight = 1;
    }
    // Without tiers, and for a conversation that has an account, the plan does not count.
    let candidates = accounts.each_ref().map(candidate);
    assert_eq!(pick(&candidates, &Ask { tiers: &[], ..ask }, NOW), ready("a"));
    let owner = AccountId("c".into());
    assert_eq!(pick(&candidates, &Ask { prefer: Some(&owner), ..ask }, NOW), ready("c"));
}

#[test]
fn strategies_have_one_name_each() {
    for (name, strategy) in Strategy::ALL {
        assert_eq!(Strategy::named(name), Some(strategy));
        assert_eq!(serde_json::to_value(strategy).unwrap(), name);
    }
    assert_eq!(Strategy::named("LeastUsed"), None);
}

#[rstest]
#[case(Status::Active, true, "a")]
#[case(cooling(-1), true, "a")]
#[case(exhausted(0), true, "a")]
#[case(Status::Active, false, "b")]
#[case(cooling(60), true, "b")]
#[case(exhausted(60), true, "b")]
#[case(needs_login(), true, "b")]
#[case(Status::Blocked { why: "banned".into() }, true, "b")]
#[case(Status::Disabled, true, "b")]
fn only_the_usable_serve(#[case] status: Status, #[case] lists_model: bool, #[case] chosen: &str) {
    let accounts = [account("a", status, 0.0), account("b", Status::Active, 50.0)];
    let candidates = [Candidate { lists_model, ..candidate(&accounts[0]) }, candidate(&accounts[1])];
    assert_eq!(pick(&candidates, &Ask::default(), NOW), ready(chosen));
}

#[test]
fn the_owner_is_preferred_and_the_tried_are_not() {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 90.0)];
    let candidates = accounts.each_ref().map(candidate);
    let (a, b) = (AccountId("a".into()), AccountId("b".into()));
    let ask = Ask { prefer: Some(&b), ..Ask::default() };
    assert_eq!(pick(&candidates, &ask, NOW), ready("b"));
    let tried = [b.clone()];
    assert_eq!(pick(&candidates, &Ask { tried: &tried, ..ask }, NOW), ready("a"));
    let tried = [a, b.clone()];
    let none = pick(&candidates, &Ask { tried: &tried, ..ask }, NOW).unwrap_err();
    assert!(none.reasons.iter().all(|(_, why)| *why == Reason::Tried));
    let last = Failure::new(Kind::Upstream, "502 twice");
    assert_eq!(none.failure(Some(&last), NOW), last);
}

#[test]
fn busy_accounts_make_a_queue_and_the_queue_ends() {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    let busy = |account, in_flight, waiting| Candidate { in_flight, waiting, ..candidate(account) };
    let b = AccountId("b".into());
    let ask = Ask { max_concurrent: 2, ..Ask::default() };
    let queue = |id: &str| Ok(Pick::Queue(AccountId(id.into())));

    let free = [busy(&accounts[0], 2, 0), busy(&accounts[1], 1, 5)];
    assert_eq!(pick(&free, &ask, NOW), ready("b"));
    let full = [busy(&accounts[0], 2, 3), busy(&accounts[1], 2, 4)];
    assert_eq!(pick(&full, &ask, NOW), queue("a"));
    // The owner is worth waiting for, but not longer than its queue is.
    assert_eq!(pick(&full, &Ask { prefer: Some(&b), ..ask }, NOW), queue("b"));
    assert_eq!(pick(&free[..1], &Ask { prefer: Some(&b), ..ask }, NOW), queue("a"));
    let long = [busy(&accounts[0], 2, limits::QUEUE), busy(&accounts[1], 2, limits::QUEUE - 1)];
    assert_eq!(pick(&long, &ask, NOW), queue("b"));
    let over = pick(&long[..1], &ask, NOW).unwrap_err();
    assert_eq!(over.reasons[0].1, Reason::Full);
    let failure = over.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::RateLimited, Some(1)));
    // Without a limit nobody waits.
    assert_eq!(pick(&long, &Ask::default(), NOW), ready("a"));
}

#[rstest]
#[case(&[], Kind::NoAccount, None, "polygate login")]
#[case(&[needs_login(), needs_login()], Kind::NoAccount, None, "needs a new login: revoked (2 accounts)")]
#[case(&[Status::Disabled], Kind::NoAccount, None, "switched off")]
#[case(&[Status::Blocked { why: "banned".into() }, needs_login()], Kind::NoAccount, None, "banned")]
#[case(&[cooling(30), cooling(60)], Kind::RateLimited, Some(30), "cooling down for 30 s")]
#[case(&[exhausted(7200), exhausted(60)], Kind::Exhausted, Some(60), "used up")]
#[case(&[exhausted(7200), cooling(30)], Kind::Exhausted, Some(30), "429 (1 account)")]
#[case(&[needs_login(), exhausted(90)], Kind::Exhausted, Some(90), "needs a new login")]
fn without_an_account_the_reason_decides(
    #[case] statuses: &[Status],
    #[case] kind: Kind,
    #[case] retry_after: Option<u64>,
    #[case] says: &str,
) {
    let accounts: Vec<_> = statuses.iter().map(|status| account("a", status.clone(), 0.0)).collect();
    let candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let none = pick(&candidates, &Ask::default(), NOW).unwrap_err();
    assert_eq!(none.reasons.len(), statuses.len());
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (kind, retry_after), "{}", failure.message);
    assert!(failure.message.contains(says), "{}", failure.message);
    let resets_at = retry_after.map(|after| u64::try_from(NOW.seconds()).unwrap() + after);
    assert_eq!(failure.resets_at, resets_at.filter(|_| kind == Kind::Exhausted));
}

#[test]
fn a_model_that_nobody_lists_is_not_found() {
    let accounts = [account("a", Status::Active, 0.0), account("b", exhausted(60), 0.0)];
    let candidates = accounts.each_ref().map(|account| Candidate { lists_model: false, ..candidate(account) });
    let ask = Ask { model: "gpt-x", ..Ask::default() };
    let none = pick(&candidates, &ask, NOW).unwrap_err();
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::ModelNotFound, Some("model_not_found")));
    assert!(failure.message.contains("gpt-x"));
    // After a try the upstream's own words are better.
    let last = Failure::new(Kind::ModelNotFound, "said upstream");
    assert_eq!(none.failure(Some(&last), NOW), last);
    // One that lists it but rests counts more than those that do not list it.
    let mixed = [candidates[0], candidate(&accounts[1])];
    assert_eq!(pick(&mixed, &ask, NOW).unwrap_err().failure(None, NOW).kind, Kind::Exhausted);
}

#[test]
fn the_last_limit_is_not_the_pools() {
    let limit = Failure::new(Kind::Exhausted, "b is used up").retry_after(18_000);
    let accounts =
        [account("a", cooling(60), 0.0), account("b", exhausted(18_000), 0.0), account("c", Status::Active, 0.0)];
    let candidates = accounts.each_ref().map(candidate);
    let tell = |failure: &Failure, candidates: &[Candidate<'_>]| {
        concede(failure.clone(), pick(candidates, &Ask::default(), NOW), NOW)
    };
    // A third account is free: its own try is a new request away.
    let told = tell(&limit, &candidates);
    assert_eq!((told.kind, told.retry_after, told.resets_at), (Kind::RateLimited, Some(1), None));
    // None is: the earliest end of all.
    let told = tell(&limit, &candidates[..2]);
    assert_eq!((told.kind, told.retry_after), (Kind::Exhausted, Some(60)));
    // Other failures are nobody's limit.
    let other = Failure::new(Kind::Invalid, "no");
    assert_eq!(tell(&other, &candidates), other);
}

#[test]
fn ten_thousand_accounts_are_one_short_message() {
    let statuses = [cooling(60), exhausted(5), needs_login(), Status::Disabled];
    let accounts: Vec<_> = (0..10_000).map(|n| account(&format!("{n:05}"), statuses[n % 4].clone(), 0.0)).collect();
    let mut candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let failure = pick(&candidates, &Ask::default(), NOW).unwrap_err().failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::Exhausted, Some(5)));
    assert!(failure.message.contains("(2500 accounts)") && failure.message.len() < 300, "{}", failure.message);
    let last = account("zzzzz", Status::Active, 99.0);
    candidates.push(candidate(&last));
    assert_eq!(pick(&candidates, &Ask::default(), NOW), ready("zzzzz"));
}

/// With `quota.skip_exhausted = false`: used-up accounts serve, but only after all others, and cooling ones never.
#[test]
fn used_up_accounts_may_be_tried_last() {
    let accounts = [
        account("a", exhausted(60), 100.0),
        account("b", Status::Active, 99.0),
        account("c", cooling(60), 0.0),
        account("d", needs_login(), 0.0),
    ];
    let candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let tried = ["b".to_owned(), "a".to_owned()].map(AccountId);
    let ask = |count: usize, spent| Ask { tried: &tried[..count], spent, ..Ask::default() };
    assert_eq!(pick(&candidates, &ask(0, true), NOW), ready("b"));
    assert_eq!(pick(&candidates, &ask(1, true), NOW), ready("a"));
    assert!(pick(&candidates, &ask(1, false), NOW).is_err());
    let none = pick(&candidates, &ask(2, true), NOW).unwrap_err();
    let reasons: Vec<_> = none.reasons.iter().map(|(_, why)| why).collect();
    assert!(matches!(reasons[..], [Reason::Tried, Reason::Tried, Reason::Cooling { .. }, Reason::NeedsLogin { .. }]));
}
