//! Figures asked for in the background and on demand, reset credits, and what accounts that are used up do.

use std::time::Duration;

use engine::{Clock, Engine, Parts, QuotaError, Settings};
use offline::{Endpoint, NewAccount, Options, Plan, Quota, Revocation, Rule};
use pool::quota::credits::Redeemed;
use rstest::rstest;
use upstream::Timeouts;

use crate::bench::{Bench, PATIENCE, Setup, chat, refused, upstream};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Accounts whose figures are asked for when they are a minute old. The clock is the test's: looks come every 10 ms.
fn polled(accounts: usize, options: Options) -> Setup {
    let setup = Setup { options, ..Setup::accounts(accounts) };
    setup.settings(|settings| settings.quota_every = Duration::from_millis(40))
}

fn usages(bench: &Bench) -> usize {
    bench.backend.record().requests_to(Endpoint::Usage).count()
}

async fn exhaust(bench: &Bench, at: usize) {
    bench.backend.set_quota(&bench.logins[at].account_id, &Quota::exhausted(HOUR));
    bench.ask(chat("hello")).await.expect_err("used up");
    bench.until("the mark", |bench| bench.status(at) == "exhausted").await;
}

/// Moves the clock until something holds.
async fn pass(bench: &Bench, what: &str, holds: impl Fn(&Bench) -> bool) {
    bench
        .until(what, |bench| {
            bench.clock.advance(Duration::from_millis(20));
            holds(bench)
        })
        .await;
}

#[tokio::test]
async fn every_account_is_asked_two_at_a_time() {
    let options = Options { max_usage_requests: Some(2), ..Options::default() };
    let bench = Bench::with(polled(6, options)).await;
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().delay("go")).always());
    // From here on everybody is due; the backend judges how many are asked at a time.
    pass(&bench, "a look", |bench| usages(bench) > 0).await;
    bench.clock.advance(HOUR);
    bench.backend.release("go");
    let known = |bench: &Bench| bench.engine.accounts().list().iter().filter(|view| view.quota.updated.0 > 0).count();
    pass(&bench, "all figures", |bench| known(bench) == 6).await;
    let view = &bench.engine.accounts().list()[0];
    assert_eq!(view.quota.primary.expect("a window").minutes, Some(300));
    assert_eq!((view.quota.reset_credits, view.quota.plan.as_deref()), (Some(1), Some("plus")));
    bench.innocent();
}

/// One answer that is late holds up nobody else: the others are asked again and again meanwhile.
#[tokio::test]
async fn a_late_answer_holds_up_nobody_else() {
    let options = Options { max_usage_requests: Some(2), ..Options::default() };
    let bench = Bench::with(polled(3, options)).await;
    let late = Rule::at(Endpoint::Usage, Plan::auto().delay("go")).account(&bench.logins[0].account_id);
    bench.backend.add_rule(late.always());
    let of = |bench: &Bench, at: usize| {
        let record = bench.backend.record();
        record
            .requests_to(Endpoint::Usage)
            .filter(|request| request.account.as_ref() == Some(&bench.logins[at].account_id))
            .count()
    };
    pass(&bench, "the late one's look", |bench| of(bench, 0) == 1).await;
    let before = [of(&bench, 1), of(&bench, 2)];
    pass(&bench, "two more of each", |bench| (1..3).all(|at| of(bench, at) >= before[at - 1] + 2)).await;
    assert_eq!(of(&bench, 0), 1, "asked once while it owes an answer");
    bench.backend.release("go");
    pass(&bench, "its figures", |bench| bench.engine.accounts().list()[0].quota.updated.0 > 0).await;
    bench.innocent();
}

/// A window may be reset early, by the provider or by a credit: nobody waits for its time then.
#[tokio::test]
async fn an_early_reset_heals_a_used_up_account() {
    let bench = Bench::with(polled(1, Options::default())).await;
    exhaust(&bench, 0).await;
    let before = usages(&bench);
    pass(&bench, "another look", |bench| usages(bench) > before).await;
    assert_eq!(bench.status(0), "exhausted");
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota::default());
    pass(&bench, "its health", |bench| bench.status(0) == "active").await;
    bench.ask(chat("hello")).await.expect("a reply");
}

#[tokio::test]
async fn nobody_asks_for_who_is_lost_or_when_it_is_off() {
    let bench = Bench::with(polled(2, Options::default())).await;
    bench.backend.revoke_access(&bench.logins[0].account_id, Revocation::Revoked);
    bench.backend.invalidate_refresh(&bench.logins[0].account_id);
    pass(&bench, "the end of its login", |bench| bench.status(0) == "needs_login").await;
    let of = |bench: &Bench, at: usize| {
        let record = bench.backend.record();
        record
            .requests_to(Endpoint::Usage)
            .filter(|request| request.account.as_ref() == Some(&bench.logins[at].account_id))
            .count()
    };
    let (lost, good) = (of(&bench, 0), of(&bench, 1));
    pass(&bench, "the other's figures", |bench| of(bench, 1) >= good + 3).await;
    assert_eq!(of(&bench, 0), lost);
    let off = Bench::with(Setup::accounts(1)).await;
    off.clock.advance(HOUR);
    off.ask(chat("hello")).await.expect("a reply");
    assert_eq!(usages(&off), 0);
}

#[tokio::test]
async fn figures_are_asked_for_on_demand() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let id = &bench.ids[0].0;
    let measured = bench.engine.quotas().measure(id).await.expect("figures");
    assert_eq!(measured.quota.primary.map(|window| window.used_percent), Some(12.0));
    assert!(measured.raw.get().contains("rate_limit_reset_credits"));
    assert_eq!(bench.engine.accounts().list()[0].quota, measured.quota);
    assert_eq!(bench.engine.quotas().measure("nobody").await.unwrap_err(), QuotaError::Unknown);
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().status(500)));
    assert_eq!(bench.engine.quotas().measure(id).await.unwrap_err(), QuotaError::Refused(500));
    // A limit on such calls is none on model calls.
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().status(429)));
    assert_eq!(bench.engine.quotas().measure(id).await.unwrap_err(), QuotaError::Refused(429));
    assert_eq!(bench.status(0), "active");
    // A refused token is refreshed once.
    bench.backend.expire_access(&bench.logins[0].account_id);
    bench.engine.quotas().measure(id).await.expect("figures, after a refresh");
    assert_eq!(bench.backend.record().token_posts().count(), 1);
    bench.backend.revoke_access(&bench.logins[0].account_id, Revocation::Revoked);
    bench.backend.invalidate_refresh(&bench.logins[0].account_id);
    assert!(matches!(bench.engine.quotas().measure(id).await.unwrap_err(), QuotaError::NotUsable(_)));
    assert_eq!(bench.status(0), "needs_login");
    assert!(matches!(bench.engine.quotas().measure(id).await.unwrap_err(), QuotaError::NotUsable(_)));
    bench.innocent();
}

#[tokio::test]
async fn a_reset_credit_brings_an_account_back() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let id = &bench.ids[0].0;
    let nothing = bench.engine.quotas().consume_credit(id, None).await.expect("an outcome");
    assert_eq!(nothing.outcome, Redeemed::NothingToReset);
    assert_eq!(bench.engine.quotas().consume_credit(id, None).await.unwrap_err(), QuotaError::TooSoon(30));
    exhaust(&bench, 0).await;
    bench.clock.advance(MINUTE);
    assert_eq!(bench.engine.quotas().reset_credits(id).await.expect("a list").available_count, 1);
    let consumed = bench.engine.quotas().consume_credit(id, None).await.expect("an outcome");
    assert_eq!(consumed.outcome, Redeemed::Reset { windows: 1 });
    assert_eq!((consumed.quota.primary.expect("a window").used_percent, consumed.quota.reset_credits), (0.0, Some(0)));
    assert_eq!(bench.status(0), "active");
    bench.ask(chat("hello")).await.expect("a reply");
    // The same request consumes nothing more.
    bench.clock.advance(MINUTE);
    let again = bench.engine.quotas().consume_credit(id, Some(&consumed.redeem_request_id)).await.expect("an outcome");
    assert_eq!(again.outcome, Redeemed::AlreadyRedeemed);
    bench.clock.advance(MINUTE);
    assert_eq!(bench.engine.quotas().consume_credit(id, Some("1")).await.unwrap_err(), QuotaError::RequestId);
    // What became of a try that broke off can be asked with its id.
    bench.backend.add_rule(Rule::at(Endpoint::Credits, Plan::reset()));
    let error = bench.engine.quotas().consume_credit(id, None).await.unwrap_err().to_string();
    assert!(error.contains("redeem_request_id"), "{error}");
    // Nobody need remember it: the next try has the same.
    bench.clock.advance(MINUTE);
    let next = bench.engine.quotas().consume_credit(id, None).await.expect("an outcome");
    assert!(error.ends_with(&next.redeem_request_id), "{error}");
    bench.clock.advance(MINUTE);
    let last = bench.engine.quotas().consume_credit(id, None).await.expect("an outcome");
    assert_ne!(last.redeem_request_id, next.redeem_request_id);
}

/// Two clicks on two nodes, or a click and a command.
#[tokio::test]
async fn a_credit_is_consumed_by_one_of_two_nodes() {
    let bench = Bench::with(Setup::accounts(1)).await;
    let id = &bench.ids[0].0;
    let other = bench.beside().await;
    let (first, second) =
        tokio::join!(bench.engine.quotas().consume_credit(id, None), other.quotas().consume_credit(id, None));
    let (done, refused) = if first.is_ok() { (first, second) } else { (second, first) };
    assert_eq!(done.expect("an outcome").outcome, Redeemed::NothingToReset);
    assert_eq!(refused.unwrap_err(), QuotaError::TooSoon(30));
    other.stop().await;
}

/// An error of the backend or of a proxy before it says nothing about the credit; a refusal says that it is still there.
#[rstest]
#[case::refused(404, false)]
#[case::limited(429, false)]
#[case::timed_out(408, true)]
#[case::failed(500, true)]
#[case::gateway(502, true)]
#[case::gateway_timed_out(504, true)]
#[tokio::test]
async fn a_status_tells_whether_a_try_may_have_worked(#[case] status: u16, #[case] open: bool) {
    let bench = Bench::with(Setup::accounts(1)).await;
    let id = &bench.ids[0].0;
    bench.backend.add_rule(Rule::at(Endpoint::Credits, Plan::auto().status(status)));
    let error = bench.engine.quotas().consume_credit(id, None).await.unwrap_err();
    assert_eq!(error == QuotaError::Refused(status), !open, "{error}");
    bench.clock.advance(MINUTE);
    let next = bench.engine.quotas().consume_credit(id, None).await.expect("an outcome").redeem_request_id;
    let record = bench.backend.record();
    let sent =
        record.requests_to(Endpoint::Credits).map(|request| String::from_utf8_lossy(&request.body).contains(&next));
    assert_eq!(sent.collect::<Vec<_>>(), [open, true]);
}

#[tokio::test]
async fn used_up_accounts_are_tried_where_their_owner_wants_it() {
    let bench = Bench::with(Setup::accounts(1)).await;
    exhaust(&bench, 0).await;
    let posts = bench.posts();
    refused(bench.ask(chat("hello")).await);
    assert_eq!(bench.posts(), posts, "left alone");
    let bench = Bench::with(Setup::accounts(2).settings(|settings| settings.skip_exhausted = false)).await;
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota::exhausted(HOUR));
    for _ in 0..4 {
        bench.ask(chat("hello")).await.expect("served by the other");
    }
    bench.backend.set_quota(&bench.logins[1].account_id, &Quota::exhausted(HOUR));
    let kind = refused(bench.ask(chat("hello")).await).failure.kind;
    assert_eq!(kind, proto::Kind::Exhausted, "those that may be tried are nobody to hope for");
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota::default());
    bench.ask(chat("hello")).await.expect("served although it was used up");
}

/// A command beside a running gateway: it does nothing by itself, and the gateway takes over what it learned.
#[tokio::test]
async fn an_idle_engine_asks_and_a_running_one_notices() {
    let bench = Bench::with(Setup::accounts(1)).await;
    exhaust(&bench, 0).await;
    bench.backend.set_quota(&bench.logins[0].account_id, &Quota::default());
    // What a start asks for comes first.
    bench
        .until("the account check", |bench| bench.backend.record().requests_to(Endpoint::AccountsCheck).count() == 1)
        .await;
    let before = bench.backend.record().total;
    let clock = Clock::manual(bench.clock.now().plus(60_000));
    let (store, upstream) = (bench.store.clone(), upstream(&bench.backend, Timeouts::default()));
    let idle =
        Engine::for_command(Parts { store, upstream, settings: Settings::default(), clock }).await.expect("it opens");
    idle.quotas().measure(&bench.ids[0].0).await.expect("figures");
    idle.stop().await;
    assert_eq!(bench.backend.record().total, before + 1, "one look and nothing else");
    let learned = |bench: &Bench| {
        bench.engine.accounts().list()[0].quota.primary.is_some_and(|window| window.used_percent < 50.0)
    };
    bench.until("what was learned", learned).await;
}

#[tokio::test]
async fn a_failing_backend_is_asked_less_often() {
    let bench = Bench::with(polled(1, Options::default())).await;
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().status(503)).always());
    pass(&bench, "failures", |bench| usages(bench) == 4).await;
    // After four failures the pause is eight intervals: 40 ms * 8, less 20 %.
    let at = bench.clock.now();
    pass(&bench, "the next look", |bench| usages(bench) == 5).await;
    assert!(at.until(bench.clock.now()) >= 200, "{}", at.until(bench.clock.now()));
    assert_eq!(bench.status(0), "active");
    tokio::time::timeout(PATIENCE, bench.engine.stop()).await.expect("it stops at once");
}

#[tokio::test]
async fn accounts_of_different_plans_are_all_asked() {
    let plans = ["free", "plus", "team"].map(|plan| NewAccount { plan: plan.into(), ..NewAccount::default() });
    let bench = Bench::with(Setup { accounts: plans.to_vec(), ..polled(0, Options::default()) }).await;
    let plans = |bench: &Bench| -> Vec<String> {
        bench.engine.accounts().list().into_iter().filter_map(|view| view.quota.plan).collect()
    };
    pass(&bench, "every plan", |bench| plans(bench) == ["free", "plus", "team"]).await;
}
