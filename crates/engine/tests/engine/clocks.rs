//! Wrong clocks and sleeping machines: no storm of refreshes, no login ended, and the next request is served. Rows F36, F37, S21.

use std::time::Duration;

use engine::{Clock, Engine, Parts, Settings};
use offline::{NewAccount, Plan, Rule};
use pool::{Secret, Status};
use rstest::rstest;
use store::TokenOrigin;
use upstream::Timeouts;

use crate::bench::{Bench, PATIENCE, Setup, chat, expired, import, now, upstream, whole};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const DAY: i64 = 86_400_000;

/// How often each login was refreshed, in the logins' order.
fn refreshes(bench: &Bench) -> Vec<usize> {
    let record = bench.backend.record();
    let of = |id: &str| record.refreshes.iter().filter(|refresh| refresh.account.as_deref() == Some(id)).count();
    bench.logins.iter().map(|login| of(&login.account_id)).collect()
}

/// Row F36: eight hours of sleep. Every connection is dead and nothing says so, every token has ended.
#[tokio::test]
async fn after_a_sleep_the_next_request_is_served_and_refreshes_are_spread() {
    let six_hours = NewAccount { expires_in: 6 * 3600, ..NewAccount::default() };
    let bench = Bench::with(Setup { accounts: vec![six_hours; 8], ..Setup::default() }).await;
    bench.ask(whole("hello")).await.expect("a reply");
    let lists =
        |record: &offline::Record| record.requests_to(offline::Endpoint::Models).count() >= 8 && record.open == 0;
    bench.backend.wait_until(PATIENCE, lists).await.expect("the model lists");

    bench.backend.freeze_connections();
    bench.pass(8 * HOUR);
    bench.ask(whole("good morning")).await.expect("served on a new connection");
    let all = |record: &offline::Record| record.token_posts().count() >= 8;
    bench.backend.wait_until(2 * PATIENCE, all).await.expect("every account is refreshed");
    assert_eq!(refreshes(&bench), [1; 8], "each one once");
    let record = bench.backend.record();
    let times: Vec<Duration> = record.token_posts().map(|post| post.at).collect();
    let spread =
        times.iter().max().zip(times.iter().min()).map_or(Duration::ZERO, |(last, first)| last.saturating_sub(*first));
    assert!(spread >= Duration::from_secs(10), "all within {spread:?}");
    bench.innocent();
}

/// Row F37: the clock is set to something else while a stream runs, and back again.
#[rstest]
#[case::a_day_ahead(DAY)]
#[case::a_day_behind(-DAY)]
#[case::ten_years_ahead(3652 * DAY)]
#[case::ten_years_behind(-3652 * DAY)]
#[case::two_hours_behind(-DAY / 12)]
#[tokio::test]
async fn a_wrong_clock_makes_no_storm(#[case] by: i64) {
    // Less than a day is left of the tokens: a clock that is believed would end them all.
    let account = NewAccount { expires_in: 20 * 3600, ..NewAccount::default() };
    let bench = Bench::with(Setup { accounts: vec![account; 3], ..Setup::default() }).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(4, "go on")).prompt("slow"));
    let mut stream = bench.open(chat("slow")).await;
    stream.next().await.expect("a beginning");
    for shift in [by, -by, by] {
        bench.clock.set(bench.clock.now().plus(shift));
        for n in 0..12 {
            bench.ask(whole(&format!("Reply with exactly: {n}"))).await.expect("served");
        }
    }
    bench.backend.release("go on");
    stream.rest().await;
    let most = refreshes(&bench).into_iter().max();
    assert!(most <= Some(1), "at most one in five minutes: {:?}", refreshes(&bench));
    assert!(bench.engine.accounts().list().iter().all(|view| view.status == "active"));
    bench.innocent();
}

/// Row F37: ends of tokens are judged by the backend's clock. Ours is two hours behind.
#[tokio::test]
async fn tokens_end_by_the_backend_s_clock() {
    let hour = NewAccount { expires_in: 3600, ..NewAccount::default() };
    let bench = Bench::with(Setup { accounts: vec![hour], ..Setup::default() }).await;
    bench.clock.set(now().plus(-DAY / 12));
    // Its answer tells what time it is.
    bench.ask(whole("hello")).await.expect("a reply");
    assert_eq!(refreshes(&bench), [0]);
    bench.pass(56 * MINUTE);
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("refreshed in time");
    assert_eq!(bench.backend.record().refreshes[0].reason.as_deref(), Some("proactive_expiry"));
    bench.innocent();
}

/// A login without a refresh token cannot be got back: no clock of ours says that it has ended.
#[tokio::test]
async fn a_wrong_clock_ends_no_login() {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    let login = bench.backend.account("plus");
    let id = import(&bench.store, &login).await;
    let account = bench.store.accounts().await.expect("accounts").remove(0);
    let mut tokens = bench.store.tokens(&id).await.expect("tokens").expect("the account");
    tokens.refresh = None;
    let new = store::NewAccount {
        label: String::new(),
        email: account.email,
        plan: account.plan,
        upstream_id: account.upstream_id,
        user: account.user,
        fedramp: false,
        tokens,
        origin: TokenOrigin::Login,
        egress: None,
        status: pool::Status::Active,
    };
    bench.store.remove_accounts(std::slice::from_ref(&id)).await.expect("removed");
    let id = bench.store.put_account(new, now()).await.expect("stored").id;
    bench.until("the account", |bench| bench.status_of(&id) == "active").await;
    bench.clock.set(now().plus(3652 * DAY));
    bench.ask(whole("hello")).await.expect("served");
    bench.backend.expire_access(&login.account_id);
    assert!(bench.ask(whole("hello")).await.is_err(), "the backend says that it has ended");
    assert_eq!(bench.status_of(&id), "needs_login");
}

/// A pause that a clock made longer, by being set back, is over.
#[tokio::test]
async fn a_clock_that_is_set_back_does_not_prolong_a_pause() {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    bench.backend.add_rule(Rule::token(Plan::text(503, "")));
    let soon = NewAccount { expires_in: 200, ..NewAccount::default() };
    let id = import(&bench.store, &bench.backend.add_account(soon)).await;
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("the first try");
    bench.engine.accounts().refresh(&id.0).await.expect_err("the first try failed, and a pause is on");
    bench.clock.set(now().plus(-DAY / 12));
    // The first answer tells what time it is.
    bench.ask(whole("hello")).await.expect("the token is still good");
    bench.ask(whole("hello")).await.expect("the token is still good");
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 2).await.expect("the next try");
}

/// Row S21: a node stands still with the answer of the token endpoint in its hands. Another takes over after a minute and can only ask for
/// a login; the late tokens follow what is stored, so they are stored and end that.
#[tokio::test]
async fn a_late_commit_ends_the_wish_for_a_login() {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    bench.backend.add_rule(Rule::token(Plan::auto().with_effects().delay("late")));
    let login = bench.backend.add_account(expired());
    let id = import(&bench.store, &login).await;
    bench
        .backend
        .wait_until(PATIENCE, |record| record.token_posts().count() == 1)
        .await
        .expect("the first node's call");
    let options = store::Options { home: bench.home.path().to_owned(), ..store::Options::default() };
    let store = store::Store::open(options).await.expect("a second handle");
    let clock = Clock::manual(bench.clock.now().plus(61_000));
    let node_upstream = upstream(&bench.backend, Timeouts::default());
    let other = Engine::start(Parts { store, upstream: node_upstream, settings: Settings::default(), clock })
        .await
        .expect("a node");
    assert!(other.run(whole("hello")).await.is_err(), "its one try says that the token was used");
    bench.backend.release("late");
    bench.ask(whole("hello")).await.expect("the late tokens serve");
    assert_eq!(bench.backend.record().refreshes.len(), 2, "one extra use");
    let stored = bench.store.tokens(&id).await.expect("tokens").expect("the account");
    assert_ne!(stored.refresh, Some(Secret::from(login.refresh.as_str())), "the late tokens are taken");
    let accounts = bench.store.accounts().await.expect("accounts");
    assert_eq!(accounts[0].status, Status::Active);
    other.stop().await;
}
