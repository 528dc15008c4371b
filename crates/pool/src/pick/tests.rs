use rstest::rstest;

use super::*;
use crate::AccountLimits;
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
        limits: AccountLimits::default(),
        created: Millis(0),
        version: 1,
        status_rev: 1,
    }
}

fn candidate(account: &Account) -> Candidate<'_> {
    by(account, &SnapshotRules::default())
}

/// A candidate whose card is made by these rules; ids of one letter tell its order.
fn by<'a>(account: &'a Account, rules: &SnapshotRules<'_>) -> Candidate<'a> {
    let order = account.id.0.bytes().fold(0_u32, |order, byte| order.wrapping_mul(31).wrapping_add(u32::from(byte)));
    Candidate {
        account,
        snapshot: Snapshot::of(account, rules, (1, order), NOW),
        in_flight: 0,
        older: 0,
        waiting: 0,
        last_used: Millis(0),
        wait: 0,
        breaker: BreakerState::Sound,
        lists_model: true,
        model_limit: None,
        unavailable: None,
        owner: false,
        tried: false,
    }
}

fn pick(candidates: &[Candidate<'_>], requirements: &Requirements<'_>, now: Millis) -> Result<Pick, NoAccount> {
    super::pick(&[Group::unknown(candidates.iter().copied())], requirements, now)
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
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready(chosen));
    candidates.reverse();
    assert_eq!(
        pick(&candidates, &Requirements::default(), NOW),
        ready(chosen),
        "the order of candidates does not matter"
    );
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
    assert_eq!(pick(&candidates, &Requirements { strategy, ..Requirements::default() }, NOW), ready(chosen));
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
    let rules = SnapshotRules { strategy: Strategy::QuotaAware, tiers: &[] };
    let mut candidates = accounts.each_ref().map(|account| by(account, &rules));
    let requirements = Requirements { strategy: Strategy::QuotaAware, ..Requirements::default() };
    assert_eq!(pick(&candidates, &requirements, NOW), ready(chosen));
    candidates.reverse();
    assert_eq!(pick(&candidates, &requirements, NOW), ready(chosen));
}

#[test]
fn accounts_alike_share_what_is_quota_aware() {
    let mut accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    (accounts[0].quota, accounts[1].quota) = (windows((11.0, 4), (20.0, 50)), windows((10.0, 4), (20.0, 50)));
    let requirements = Requirements { strategy: Strategy::QuotaAware, ..Requirements::default() };
    let rules = SnapshotRules { strategy: Strategy::QuotaAware, tiers: &[] };
    let candidate = |account| by(account, &rules);
    let candidates = [Candidate { in_flight: 1, ..candidate(&accounts[0]) }, candidate(&accounts[1])];
    assert_eq!(pick(&candidates, &requirements, NOW), ready("b"));
    let candidates = [candidate(&accounts[0]), Candidate { in_flight: 1, ..candidate(&accounts[1]) }];
    assert_eq!(pick(&candidates, &requirements, NOW), ready("a"));
}

#[test]
fn an_earlier_tier_serves_while_it_has_a_free_permit() {
    let mut accounts = ["a", "b", "c"].map(|id| account(id, Status::Active, 0.0));
    for (account, plan) in accounts.iter_mut().zip(["free", "PRO", "plus"]) {
        account.plan = plan.into();
    }
    let tiers = ["pro".to_owned(), "plus".to_owned()];
    let requirements = Requirements { max_concurrent: 1, ..Requirements::default() };
    let rules = SnapshotRules { tiers: &tiers, ..SnapshotRules::default() };
    let mut candidates = accounts.each_ref().map(|account| by(account, &rules));
    for (index, id) in [(1, "b"), (2, "c"), (0, "a")] {
        assert_eq!(pick(&candidates, &requirements, NOW), ready(id));
        candidates[index].in_flight = 1;
    }
    // Without tiers, and for a conversation that has an account, the plan does not count.
    let mut candidates = accounts.each_ref().map(candidate);
    assert_eq!(pick(&candidates, &requirements, NOW), ready("a"));
    candidates[2].owner = true;
    assert_eq!(pick(&candidates, &requirements, NOW), ready("c"));
}

#[test]
fn what_the_owner_set_counts_before_everything_else() {
    let mut accounts = ["a", "b", "c"].map(|id| account(id, Status::Active, 0.0));
    accounts[0].plan = "pro".into();
    accounts[1].limits.priority = -1;
    accounts[1].limits.max_concurrent = Some(2);
    accounts[2].limits = AccountLimits { max_concurrent: Some(0), priority: 7 };
    let tiers = ["pro".to_owned()];
    let rules = SnapshotRules { tiers: &tiers, ..SnapshotRules::default() };
    let mut candidates = accounts.each_ref().map(|account| by(account, &rules));
    // One at a time where the owner of the account has not said anything else.
    let requirements = Requirements { max_concurrent: 1, ..Requirements::default() };
    for (index, id) in [(1, "b"), (1, "b"), (0, "a"), (2, "c"), (2, "c"), (2, "c")] {
        assert_eq!(pick(&candidates, &requirements, NOW), ready(id));
        candidates[index].in_flight += 1;
    }
}

#[rstest]
#[case(0, 5, "a")]
#[case(5, 0, "b")]
#[case(30_000, 30_001, "a")]
fn a_start_that_is_nearer_comes_first(#[case] a: u64, #[case] b: u64, #[case] chosen: &str) {
    let accounts = ["a", "b"].map(|id| account(id, Status::Active, 0.0));
    let candidates =
        [Candidate { wait: a, ..candidate(&accounts[0]) }, Candidate { wait: b, ..candidate(&accounts[1]) }];
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready(chosen));
    // The owner is worth a short wait, and nobody one that is longer than a queue's.
    let owned = [Candidate { owner: true, ..candidates[0] }, candidates[1]];
    assert_eq!(pick(&owned, &Requirements::default(), NOW), ready("a"));
    let never = [Candidate { wait: 30_001, ..candidates[0] }];
    assert_eq!(pick(&never, &Requirements::default(), NOW).unwrap_err().reasons[0].1, Reason::Full);
}

#[test]
fn what_fails_is_left_alone_and_tried_by_one() {
    let accounts = ["a", "b"].map(|id| account(id, Status::Active, 0.0));
    let mut candidates = accounts.each_ref().map(candidate);
    let until = NOW.plus(2500);
    candidates[0].breaker = BreakerState::Broken(until);
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready("b"));
    let none = pick(&candidates[..1], &Requirements::default(), NOW).unwrap_err();
    assert_eq!(none.reasons[0].1, Reason::Failing { until });
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::Overloaded, Some(3)), "{}", failure.message);
    candidates[0].breaker = BreakerState::Probe;
    assert_eq!(pick(&candidates[..1], &Requirements::default(), NOW), ready("a"));
    // Streams that began before the failures are not waited for, but fill the places that its owner gave it.
    (candidates[0].in_flight, candidates[0].older) = (3, 3);
    assert_eq!(pick(&candidates[..1], &Requirements::default(), NOW), ready("a"));
    let queue = Ok(Pick::Queue(AccountId("a".into())));
    assert_eq!(pick(&candidates[..1], &Requirements { max_concurrent: 3, ..Requirements::default() }, NOW), queue);
    candidates[0].older = 2;
    assert_eq!(pick(&candidates[..1], &Requirements::default(), NOW), queue);
}

#[rstest]
#[case(Strategy::LeastUsed, None, i64::MAX)]
#[case(Strategy::LeastUsed, Some(90), 90_000)]
#[case(Strategy::QuotaAware, None, 30_000)]
#[case(Strategy::QuotaAware, Some(90), 30_000)]
#[case(Strategy::QuotaAware, Some(9), 9000)]
fn a_snapshot_is_valid_until_its_facts_change(
    #[case] strategy: Strategy,
    #[case] reset: Option<i64>,
    #[case] until: i64,
) {
    let mut account = account("a", Status::Active, 40.0);
    account.quota.primary.as_mut().unwrap().resets_at = reset.map(|seconds| NOW.plus(seconds * 1000));
    let snapshot = Snapshot::of(&account, &SnapshotRules { strategy, tiers: &[] }, (1, 0), NOW);
    assert_eq!(snapshot.until(), if until == i64::MAX { Millis(until) } else { NOW.plus(until) });
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
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready(chosen));
}

#[test]
fn the_owner_is_preferred_and_the_tried_are_not() {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 90.0)];
    let mut candidates = accounts.each_ref().map(candidate);
    candidates[1].owner = true;
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready("b"));
    candidates[1].tried = true;
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready("a"));
    candidates[0].tried = true;
    let none = pick(&candidates, &Requirements::default(), NOW).unwrap_err();
    assert!(none.reasons.iter().all(|(_, why)| *why == Reason::Tried));
    let last = Failure::new(Kind::Upstream, "502 twice");
    assert_eq!(none.failure(Some(&last), NOW), last);
}

#[test]
fn busy_accounts_make_a_queue_and_the_queue_ends() {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 0.0)];
    let busy = |account, in_flight, waiting| Candidate { in_flight, waiting, ..candidate(account) };
    let requirements = Requirements { max_concurrent: 2, ..Requirements::default() };
    let queue = |id: &str| Ok(Pick::Queue(AccountId(id.into())));

    let free = [busy(&accounts[0], 2, 0), busy(&accounts[1], 1, 5)];
    assert_eq!(pick(&free, &requirements, NOW), ready("b"));
    let full = [busy(&accounts[0], 2, 3), busy(&accounts[1], 2, 4)];
    assert_eq!(pick(&full, &requirements, NOW), queue("a"));
    // The owner is worth waiting for, but not longer than its queue is.
    assert_eq!(pick(&[full[0], Candidate { owner: true, ..full[1] }], &requirements, NOW), queue("b"));
    assert_eq!(pick(&free[..1], &requirements, NOW), queue("a"));
    let long = [busy(&accounts[0], 2, limits::QUEUE), busy(&accounts[1], 2, limits::QUEUE - 1)];
    assert_eq!(pick(&long, &requirements, NOW), queue("b"));
    let over = pick(&long[..1], &requirements, NOW).unwrap_err();
    assert_eq!(over.reasons[0].1, Reason::Full);
    let failure = over.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::RateLimited, Some(1)));
    // Without a limit nobody waits.
    assert_eq!(pick(&long, &Requirements::default(), NOW), ready("a"));
}

#[rstest]
#[case(&[], Kind::NoAccount, None, "polygate login")]
#[case(&[needs_login(), needs_login()], Kind::NoAccount, None, "needs a new login: revoked (2 accounts)")]
#[case(&[Status::Disabled], Kind::NoAccount, None, "switched off")]
#[case(&[Status::Disabled, Status::Disabled], Kind::NoAccount, None, "; run `polygate accounts enable`")]
#[case(&[Status::Disabled, Status::Blocked { why: "banned".into() }], Kind::NoAccount, None, "; run `polygate accounts enable`")]
#[case(&[Status::Disabled, needs_login()], Kind::NoAccount, None, "; run `polygate login`")]
#[case(&[Status::Blocked { why: "banned".into() }, needs_login()], Kind::NoAccount, None, "banned")]
#[case(&[cooling(30), cooling(60)], Kind::RateLimited, Some(30), "cooling down for 30 s")]
#[case(&[exhausted(7200), exhausted(60)], Kind::Exhausted, Some(60), "used up, resets in 1 min 0 s (2 accounts)")]
// What ends first: a client that takes a used-up quota for the end must not hear of it when 30 s heal it.
#[case(&[exhausted(7200), cooling(30)], Kind::RateLimited, Some(30), "429 (1 account)")]
#[case(&[exhausted(60), cooling(90)], Kind::Exhausted, Some(60), "429 (1 account)")]
#[case(&[needs_login(), exhausted(90)], Kind::Exhausted, Some(90), "needs a new login")]
fn without_an_account_the_reason_decides(
    #[case] statuses: &[Status],
    #[case] kind: Kind,
    #[case] retry_after: Option<u64>,
    #[case] expected: &str,
) {
    let accounts: Vec<_> = statuses.iter().map(|status| account("a", status.clone(), 0.0)).collect();
    let candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let none = pick(&candidates, &Requirements::default(), NOW).unwrap_err();
    assert_eq!(none.reasons.len(), statuses.len());
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (kind, retry_after), "{}", failure.message);
    assert!(failure.message.contains(expected), "{}", failure.message);
    let resets_at = retry_after.map(|after| u64::try_from(NOW.seconds()).unwrap() + after);
    assert_eq!(failure.resets_at, resets_at.filter(|_| kind == Kind::Exhausted));
}

#[test]
fn a_model_that_nobody_lists_is_not_found() {
    let accounts = [account("a", Status::Active, 0.0), account("b", exhausted(60), 0.0)];
    let candidates = accounts.each_ref().map(|account| Candidate { lists_model: false, ..candidate(account) });
    let requirements = Requirements { model: "gpt-x", ..Requirements::default() };
    let none = pick(&candidates, &requirements, NOW).unwrap_err();
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.code.as_deref()), (Kind::ModelNotFound, Some("model_not_found")));
    assert!(failure.message.contains("gpt-x"));
    // After a try the upstream's own words are better.
    let last = Failure::new(Kind::ModelNotFound, "said upstream");
    assert_eq!(none.failure(Some(&last), NOW), last);
    // One that lists it but rests counts more than those that do not list it.
    let mixed = [candidates[0], candidate(&accounts[1])];
    assert_eq!(pick(&mixed, &requirements, NOW).unwrap_err().failure(None, NOW).kind, Kind::Exhausted);
}

#[test]
fn the_last_limit_is_not_the_pools() {
    let limit = Failure::new(Kind::Exhausted, "b is used up").retry_after(18_000);
    let accounts =
        [account("a", cooling(60), 0.0), account("b", exhausted(18_000), 0.0), account("c", Status::Active, 0.0)];
    let candidates = accounts.each_ref().map(candidate);
    let pool_failure = |failure: &Failure, candidates: &[Candidate<'_>]| {
        final_failure(failure.clone(), pick(candidates, &Requirements::default(), NOW), NOW)
    };
    // A third account is free: its own try is a new request away.
    let failure = pool_failure(&limit, &candidates);
    assert_eq!((failure.kind, failure.retry_after, failure.resets_at), (Kind::RateLimited, Some(1), None));
    // None is: the earliest end of all.
    let failure = pool_failure(&limit, &candidates[..2]);
    assert_eq!((failure.kind, failure.retry_after), (Kind::RateLimited, Some(60)));
    // Other failures are nobody's limit.
    let other = Failure::new(Kind::Invalid, "no");
    assert_eq!(pool_failure(&other, &candidates), other);
}

#[test]
fn ten_thousand_accounts_are_one_short_message() {
    let statuses = [cooling(60), exhausted(5), needs_login(), Status::Disabled];
    let accounts: Vec<_> = (0..10_000).map(|n| account(&format!("{n:05}"), statuses[n % 4].clone(), 0.0)).collect();
    let mut candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let failure = pick(&candidates, &Requirements::default(), NOW).unwrap_err().failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::Exhausted, Some(5)));
    assert!(failure.message.contains("(2500 accounts)") && failure.message.len() < 300, "{}", failure.message);
    let last = account("zzzzz", Status::Active, 99.0);
    candidates.push(candidate(&last));
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready("zzzzz"));
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
    let mut candidates = accounts.each_ref().map(candidate);
    let (any, sound) = (Requirements { allow_exhausted: true, ..Requirements::default() }, Requirements::default());
    candidates[0].owner = true;
    assert_eq!(pick(&candidates, &any, NOW), ready("b"), "not even for its own conversation");
    candidates[1].tried = true;
    assert_eq!(pick(&candidates, &any, NOW), ready("a"));
    assert!(pick(&candidates, &sound, NOW).is_err());
    candidates[0].tried = true;
    let none = pick(&candidates, &any, NOW).unwrap_err();
    let reasons: Vec<_> = none.reasons.iter().map(|(_, why)| why).collect();
    assert!(matches!(reasons[..], [Reason::Tried, Reason::Tried, Reason::Cooling { .. }, Reason::NeedsLogin { .. }]));
}

/// The limit of one model: other models are not touched by it.
#[test]
fn a_used_up_limit_of_a_model_is_that_models() {
    let accounts = [account("a", Status::Active, 0.0), account("b", Status::Active, 90.0)];
    let mut candidates = accounts.each_ref().map(candidate);
    candidates[0].model_limit = Some((NOW.plus(60_000), "codex_x"));
    assert_eq!(pick(&candidates, &Requirements::default(), NOW), ready("b"));
    let none = pick(&candidates[..1], &Requirements::default(), NOW).unwrap_err();
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::Exhausted, Some(60)));
    assert!(failure.message.contains("codex_x quota used up"), "{}", failure.message);
    let any = Requirements { allow_exhausted: true, ..Requirements::default() };
    assert_eq!(pick(&candidates, &any, NOW), ready("b"), "the others first");
    assert_eq!(pick(&candidates[..1], &any, NOW), ready("a"));
}

/// If a route opens again before anything else ends, the failure names that time.
#[test]
fn a_route_that_comes_back_counts_too() {
    let down = |after| Reason::NoEgress { until: Some(NOW.plus(after)), why: "proxy A is down".into() };
    let exhausted = Reason::Exhausted { until: NOW.plus(60_000), window: "primary".into() };
    let failure = |reasons: &[Reason]| {
        let reasons = reasons.iter().map(|why| (AccountId("a".into()), why.clone())).collect();
        let failure = NoAccount { model: "m".into(), reasons, kind: CandidateKind::Accounts }.failure(None, NOW);
        (failure.kind, failure.retry_after)
    };
    assert_eq!(failure(&[exhausted.clone(), down(5000)]), (Kind::NoAccount, Some(5)));
    assert_eq!(failure(&[exhausted, down(90_000)]), (Kind::Exhausted, Some(60)));
}

/// Everything about a candidate that the choice looks at, from a seed.
fn any() -> impl proptest::strategy::Strategy<Value = (Account, [u32; 6])> {
    use proptest::prelude::*;
    let status = prop_oneof![
        4 => Just(Status::Active),
        1 => Just(cooling(60)),
        1 => Just(exhausted(60)),
        1 => Just(needs_login()),
        1 => Just(Status::Disabled),
    ];
    let limits = (proptest::option::of(0..3_u32), -1..2_i32);
    (status, 0..101_u32, limits, 0..3_usize, proptest::array::uniform6(0..4_u32)).prop_map(
        |(status, used, (max_concurrent, priority), plan, numbers)| {
            let mut account = account("", status, f64::from(used));
            account.limits = AccountLimits { max_concurrent, priority };
            account.plan = ["pro", "plus", "free"][plan].into();
            (account, numbers)
        },
    )
}

proptest::proptest! {
    /// The dry run and the choice never disagree.
    #[test]
    fn what_is_explained_is_what_is_picked(
        mut accounts in proptest::collection::vec(any(), 0..12),
        strategy in 0..4_usize,
        max_concurrent in 0..3_u32,
        allow_exhausted in proptest::bool::ANY,
    ) {
        for (at, (account, _)) in accounts.iter_mut().enumerate() {
            account.id = AccountId(format!("{}", char::from(b'a' + u8::try_from(at).unwrap())));
        }
        let strategy = Strategy::ALL[strategy].1;
        let tiers = ["pro".to_owned(), "plus".to_owned()];
        let rules = SnapshotRules { strategy, tiers: &tiers };
        let candidates: Vec<_> = accounts.iter().map(|(account, [in_flight, waiting, used, wait, trust, bits])| Candidate {
            in_flight: *in_flight,
            waiting: if *waiting == 3 { limits::QUEUE } else { *waiting },
            last_used: if *used == 0 { Millis(0) } else { NOW.plus(-i64::from(*used)) },
            wait: if *wait == 3 { 40_000 } else { u64::from(*wait) },
            breaker: [BreakerState::Sound, BreakerState::Sound, BreakerState::Probe, BreakerState::Broken(NOW.plus(9))][*trust as usize],
            lists_model: *bits != 3,
            owner: *bits == 2,
            tried: *bits == 1,
            ..by(account, &rules)
        }).collect();
        let requirements = Requirements { max_concurrent, strategy, allow_exhausted, ..Requirements::default() };
        let explained = explain(candidates.iter().copied(), &requirements, NOW);
        proptest::prop_assert_eq!(explained.len(), candidates.len());
        match pick(&candidates, &requirements, NOW) {
            Ok(Pick::Ready(id)) => {
                proptest::prop_assert!(matches!(&explained[0], (first, Ranking::Serves(_)) if **first == id));
            }
            Ok(Pick::Queue(id)) => {
                proptest::prop_assert!(matches!(&explained[0], (first, Ranking::Queues(_)) if **first == id));
            }
            Err(none) => {
                let reasons: Vec<_> = explained.iter().map(|(id, ranking)| match ranking {
                    Ranking::Out(reason) => ((*id).clone(), reason.clone()),
                    Ranking::Serves(_) | Ranking::Queues(_) => panic!("somebody could serve"),
                }).collect();
                proptest::prop_assert_eq!(reasons, none.reasons);
            }
        }
    }
}

#[test]
fn a_score_describes_what_counts() {
    let accounts = [account("a", Status::Active, 45.0), account("b", Status::Active, 0.0)];
    let mut candidates = accounts.each_ref().map(candidate);
    candidates[0].owner = true;
    (candidates[0].in_flight, candidates[0].last_used) = (2, NOW.plus(-90_000));
    let requirements = Requirements { max_concurrent: 4, ..Requirements::default() };
    let explained = explain(candidates.iter().copied(), &requirements, NOW);
    let words: Vec<_> = explained
        .iter()
        .map(|(_, ranking)| match ranking {
            Ranking::Serves(score) => score.describe(Strategy::LeastUsed, NOW),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        words,
        [
            "served this conversation before, 2 of 4 requests now, 40 % of quota used, last used 1 min 30 s ago",
            "0 of 4 requests now, under 10 % of quota used, not used yet",
        ]
    );
}

/// What sets candidates apart, in few values so that many are alike.
fn anyone() -> impl proptest::strategy::Strategy<Value = (Status, f64, (u32, u32, i64, u64), [bool; 2])> {
    use proptest::prelude::*;
    let status = prop_oneof![
        4 => Just(Status::Active),
        1 => Just(Status::Disabled),
        1 => Just(cooling(30)),
        1 => Just(cooling(-30)),
        1 => Just(exhausted(60)),
        1 => Just(needs_login()),
    ];
    let load = (
        0..4_u32,
        prop_oneof![8 => Just(0_u32), 1 => Just(limits::QUEUE)],
        0..4_i64,
        prop_oneof![Just(0_u64), Just(9)],
    );
    (status, prop_oneof![Just(5.0), Just(55.0)], load, any::<[bool; 2]>())
}

proptest::proptest! {
    /// Groups change nothing but the time that a choice takes.
    #[test]
    fn groups_choose_as_one(
        those in proptest::collection::vec(anyone(), 0..60),
        (size, strategy) in (1..20_usize, 0..4_usize),
        (most, owner, allow_exhausted) in (0..4_u32, 0..80_usize, proptest::prelude::any::<bool>()),
    ) {
        let strategy = Strategy::ALL[strategy].1;
        let rules = SnapshotRules { strategy, ..SnapshotRules::default() };
        let named = |(nth, (status, used, ..)): (usize, &(Status, f64, _, _))| account(&format!("{nth:02}"), status.clone(), *used);
        let accounts: Vec<_> = those.iter().enumerate().map(named).collect();
        let candidate = |(nth, account)| {
            let (_, _, (in_flight, waiting, last_used, wait), [lists_model, tried]) = those[nth];
            let last_used = Millis(last_used);
            let owner = nth == owner;
            Candidate { in_flight, waiting, last_used, wait, lists_model, owner, tried, ..by(account, &rules) }
        };
        let all: Vec<_> = accounts.iter().enumerate().map(candidate).collect();
        let requirements = Requirements { strategy, max_concurrent: most, allow_exhausted, ..Requirements::default() };
        let group = |these: &[Candidate<'_>]| Best::of(these.iter().copied(), strategy);
        let groups: Vec<_> = all
            .chunks(size)
            .map(|these| Group {
                best: group(these),
                owner: these.iter().any(|candidate| candidate.owner),
                candidates: these.iter().copied(),
            })
            .collect();
        proptest::prop_assert_eq!(super::pick(&groups, &requirements, NOW), pick(&all, &requirements, NOW));
    }
}

#[test]
fn a_choice_passes_over_groups_that_cannot_hold_a_better_one() {
    let accounts: Vec<_> = (0..4).map(|nth| account(&nth.to_string(), Status::Active, f64::from(nth) * 20.0)).collect();
    let all: Vec<_> = accounts.iter().map(candidate).collect();
    let looked = std::cell::Cell::new(0);
    let groups: Vec<_> = all
        .chunks(2)
        .rev()
        .map(|these| Group {
            best: Best::of(these.iter().copied(), Strategy::LeastUsed),
            owner: false,
            candidates: these.iter().copied().inspect(|_| looked.set(looked.get() + 1)),
        })
        .collect();
    assert_eq!(super::pick(&groups, &Requirements::default(), NOW), ready("0"));
    assert_eq!(looked.get(), 2);
}

#[rstest]
// Plans of a and b, whether the request draws, and who serves.
#[case("free", "plus", true, Ok("b"))]
#[case("FREE", "plus", true, Ok("b"))]
#[case("free", "plus", false, Ok("a"))]
#[case("", "", true, Ok("a"))]
#[case("new_plan", "free", true, Ok("a"))]
#[case("free", "guest", false, Ok("a"))]
#[case("free", "guest", true, Err(Kind::Forbidden))]
fn who_draws_has_a_plan_for_it(
    #[case] a: &str,
    #[case] b: &str,
    #[case] draws: bool,
    #[case] expected: Result<&str, Kind>,
) {
    let accounts = [("a", a), ("b", b)].map(|(id, plan)| {
        let plan = plan.to_owned();
        Account { plan, ..account(id, Status::Active, 0.0) }
    });
    let candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let picked = pick(&candidates, &Requirements { draws, ..Requirements::default() }, NOW);
    let picked = picked.map_err(|none| none.failure(None, NOW).kind);
    assert_eq!(picked, expected.map(|id| Pick::Ready(AccountId(id.into()))));
}

#[test]
fn a_drawing_account_that_rests_is_waited_for() {
    let accounts = [
        Account { plan: "free".into(), ..account("a", Status::Active, 0.0) },
        Account { plan: "plus".into(), ..account("b", exhausted(60), 0.0) },
    ];
    let candidates: Vec<_> = accounts.iter().map(candidate).collect();
    let none = pick(&candidates, &Requirements { draws: true, ..Requirements::default() }, NOW).unwrap_err();
    let failure = none.failure(None, NOW);
    assert_eq!((failure.kind, failure.retry_after), (Kind::Exhausted, Some(60)));
    assert!(!failure.message.contains("images"), "{}", failure.message);
}
