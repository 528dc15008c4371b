//! Token refresh against a backend that rotates and detects reuse. Rows S1, S4; S5's order is told by the kill tests.

use std::time::Duration;

use engine::{Clock, Engine, Parts, Settings};
use offline::{NewAccount, Plan, Revocation, Rule, Termination, Wait};
use pool::{Millis, Secret, Status};
use rstest::rstest;
use serde_json::json;
use store::{LeaseOutcome, Store};
use upstream::Timeouts;

use crate::bench::{Bench, PATIENCE, Setup, chat, expired, import, now, refused, upstream, whole};

fn token_posts(bench: &Bench) -> usize {
    bench.backend.record().token_posts().count()
}

async fn stored_refresh(bench: &Bench) -> String {
    let tokens = bench.store.tokens(&bench.ids[0]).await.expect("tokens").expect("the account");
    tokens.refresh.expect("a refresh token").expose().to_owned()
}

/// Row S1.
#[tokio::test]
async fn a_thousand_requests_make_one_refresh() {
    let bench = Bench::with(Setup::expired()).await;
    let mut running = Vec::new();
    for n in 0..1000 {
        let engine = bench.engine.clone();
        running.push(tokio::spawn(
            async move { engine.run(whole(&format!("Reply with exactly: {n}"))).await.map(|_| ()) },
        ));
    }
    for task in running {
        let result = tokio::time::timeout(3 * PATIENCE, task).await.expect("in time").expect("no panic");
        result.expect("served");
    }
    assert_eq!(token_posts(&bench), 1);
    assert_eq!(bench.posts(), 1000);
    bench.innocent();
    let current = bench.backend.current_refresh(&bench.logins[0].account_id);
    assert_eq!(current, [stored_refresh(&bench).await]);
}

/// Two gateways, or a gateway and the command line, on one store.
#[tokio::test]
async fn two_processes_make_one_refresh() {
    let bench = Bench::with(Setup { accounts: vec![expired()], ..Setup::default() }).await;
    let options = store::Options { home: bench.home.path().to_owned(), ..store::Options::default() };
    let store = Store::open(options).await.expect("a second handle");
    let node_upstream = upstream(&bench.backend, Timeouts::default());
    let parts = Parts { store, upstream: node_upstream, settings: Settings::default(), clock: Clock::System };
    let other = Engine::start(parts).await.expect("a second engine");
    let (one, two) = tokio::join!(bench.engine.run(whole("hello")), other.run(whole("hello")));
    assert!(one.is_ok() && two.is_ok(), "{:?} {:?}", one.err(), two.err());
    assert_eq!(token_posts(&bench), 1);
    bench.innocent();
    other.stop().await;
}

/// What ends next does not use a token first: nobody would store what comes of it.
#[tokio::test]
async fn no_refresh_begins_once_the_engine_ends() {
    let bench = Bench::with(Setup::default()).await;
    bench.engine.stop().await;
    assert!(bench.engine.accounts().refresh(&bench.ids[0].0).await.is_err());
    assert_eq!(token_posts(&bench), 0);
}

/// Tokens that are about to end are refreshed without a request.
#[tokio::test]
async fn tokens_are_refreshed_ahead() {
    let soon = NewAccount { expires_in: 200, ..NewAccount::default() };
    let bench = Bench::with(Setup { accounts: vec![soon], ..Setup::default() }).await;
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("the refresh");
    bench
        .until("new tokens", |bench| {
            bench.engine.accounts().list()[0].expires.is_some_and(|end| end > now().plus(3_600_000))
        })
        .await;
    assert_eq!(bench.backend.record().refreshes[0].reason.as_deref(), Some("proactive_expiry"));
    bench.innocent();
}

/// Row S4, the answers after which only a person can help.
#[rstest]
#[case::invalid_grant(400, json!({"error": "invalid_grant", "error_description": "gone"}))]
#[case::expired(401, json!({"error": {"code": "refresh_token_expired", "message": "gone"}}))]
#[case::reused(401, json!({"error": {"code": "refresh_token_reused", "message": "gone"}}))]
#[case::invalidated(401, json!({"error": {"code": "refresh_token_invalidated", "message": "gone"}}))]
#[tokio::test]
async fn a_dead_login_is_said_so(#[case] status: u16, #[case] body: serde_json::Value) {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    bench.backend.add_rule(Rule::token(Plan::json(status, body)).always());
    let login = bench.backend.add_account(expired());
    let id = import(&bench.store, &login).await;
    bench
        .until("the verdict", |bench| {
            bench.engine.accounts().list().first().is_some_and(|view| view.status == "needs_login")
        })
        .await;
    assert_eq!(token_posts(&bench), 1, "said once, believed");
    refused(bench.ask(chat("hello")).await);
    assert_eq!(token_posts(&bench), 1);
    let accounts = bench.store.accounts().await.expect("accounts");
    let stored = accounts.iter().find(|account| account.id == id).expect("the account");
    assert_eq!(stored.status.as_str(), "needs_login");
    // Signing in again heals it.
    bench.backend.reset();
    import(
        &bench.store,
        &bench.backend.add_account(NewAccount {
            account_id: Some(login.account_id.clone()),
            user: Some(login.user.clone()),
            ..NewAccount::default()
        }),
    )
    .await;
    bench.until("the new login", |bench| bench.status_of(&id) == "active").await;
    bench.ask(chat("hello")).await.expect("a reply");
}

/// A refresh token that is void says nothing of the access token: it serves until it ends or is refused, and its owner is told at once.
#[tokio::test]
async fn a_lost_login_serves_until_its_token_is_refused() {
    let bench = Bench::new().await;
    let dead = json!({"error": {"code": "refresh_token_reused", "message": "gone"}});
    bench.backend.add_rule(Rule::token(Plan::json(401, dead)).always());
    assert!(bench.engine.accounts().refresh(&bench.ids[0].0).await.is_err());
    let view = bench.engine.accounts().list().remove(0);
    assert_eq!(view.status, "expiring");
    assert!(view.why.is_some_and(|why| why.contains("needs a new login") && why.contains("serves for")));
    let stored = bench.store.accounts().await.expect("accounts").remove(0);
    assert_eq!(stored.status.as_str(), "expiring");
    bench.ask(chat("hello")).await.expect("its access token serves");
    assert_eq!(token_posts(&bench), 1, "nothing is refreshed any more");
    assert!(bench.engine.ready().ok);

    bench.backend.revoke_access(&bench.logins[0].account_id, Revocation::Invalidated);
    refused(bench.ask(chat("hello")).await);
    assert_eq!(bench.engine.accounts().list()[0].status, "needs_login");
    assert_eq!(token_posts(&bench), 1);
}

/// A request that was under way when the login ended does not use the dead token again.
#[tokio::test]
async fn a_dead_token_is_used_once() {
    let bench = Bench::new().await;
    let no = || Plan::json(401, json!({"detail": "Unauthorized"}));
    bench.backend.add_rule(Rule::responses(no().delay("late")));
    bench.backend.add_rule(Rule::responses(no()));
    bench.backend.add_rule(Rule::token(Plan::json(400, json!({"error": "invalid_grant"}))).always());
    let late = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.run(whole("late")).await.map(|_| ()) }
    });
    bench.backend.wait_until(PATIENCE, |record| record.model_requests().count() == 1).await.expect("the first call");
    refused(bench.ask(chat("hello")).await);
    assert_eq!((bench.status(0), token_posts(&bench)), ("needs_login", 1));
    bench.backend.release("late");
    assert!(late.await.expect("no panic").is_err());
    assert_eq!(token_posts(&bench), 1);
}

/// Row S4, the answers that may pass: a pause, longer each time, and never a verdict on the account. While a request waits an
/// endpoint in trouble is asked a few times more.
#[rstest]
#[case::page(Plan::text(403, "<html>no</html>"), 1)]
#[case::limited(Plan::json(429, json!({"error": "slow down"})), 1)]
#[case::broken(Plan::text(500, "oops"), 4)]
#[case::unavailable(Plan::text(503, ""), 4)]
#[case::wants_time(Plan::text(503, "").header("retry-after", "30"), 1)]
#[case::no_answer(Plan::text(500, "").cut_wire(0, Termination::Reset), 1)]
#[tokio::test]
async fn a_token_endpoint_in_trouble_is_given_time(#[case] plan: Plan, #[case] waited: u32) {
    let mut setup = Setup { accounts: vec![], ..Setup::default() };
    setup.settings.refresh_retries = [Duration::from_millis(1); 3];
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::token(plan).times(1 + waited));
    let id = import(&bench.store, &bench.backend.add_account(expired())).await;
    bench
        .until("the failure", |bench| {
            bench.engine.accounts().list().first().is_some_and(|view| view.status == "cooling")
        })
        .await;
    assert_eq!(token_posts(&bench), 1);
    refused(bench.ask(chat("hello")).await);
    assert_eq!(token_posts(&bench), 1, "not before the pause is over");
    bench.clock.advance(Duration::from_secs(75));
    refused(bench.ask(chat("hello")).await);
    assert_eq!(token_posts(&bench), 1 + waited as usize);
    bench.clock.advance(Duration::from_secs(75));
    refused(bench.ask(chat("hello")).await);
    assert_eq!(token_posts(&bench), 1 + waited as usize, "the second pause is two minutes");
    bench.clock.advance(Duration::from_secs(75));
    bench.ask(chat("hello")).await.expect("the endpoint is back");
    assert_eq!(bench.status_of(&id), "active");
    bench.innocent();
}

/// Row S4: an answer that was lost after the token was used up.
#[rstest]
#[case::timeout(Plan::auto().with_effects().delay(Wait::Forever))]
#[case::cut(Plan::auto().with_effects().cut_byte(5, Termination::Reset))]
#[case::junk(Plan::text(200, "junk").with_effects())]
#[tokio::test]
async fn a_lost_answer_costs_one_more_use_and_then_says_so(#[case] plan: Plan) {
    let timeouts = Timeouts { token: Duration::from_millis(300), ..Timeouts::default() };
    let bench = Bench::with(Setup { accounts: vec![], timeouts, ..Setup::default() }).await;
    bench.backend.add_rule(Rule::token(plan));
    import(&bench.store, &bench.backend.add_account(expired())).await;
    bench
        .until("the failure", |bench| {
            bench.engine.accounts().list().first().is_some_and(|view| view.status == "cooling")
        })
        .await;
    bench.clock.advance(Duration::from_secs(75));
    refused(bench.ask(chat("hello")).await);
    let stored = bench.store.accounts().await.expect("accounts").remove(0);
    let Status::NeedsLogin { why } = stored.status else { panic!("{:?}", stored.status) };
    assert!(why.contains("a refresh of ours was cut off"), "{why}");
    let uses = bench.backend.record().refreshes.len();
    assert!(uses <= 2, "{uses} uses");
}

/// A refresh token may stay the same.
#[tokio::test]
async fn an_answer_without_a_new_refresh_token_keeps_the_old() {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    let login = bench.backend.add_account(expired());
    let same = NewAccount {
        account_id: Some(login.account_id.clone()),
        user: Some(login.user.clone()),
        ..NewAccount::default()
    };
    let fresh = bench.backend.add_account(same);
    bench.backend.add_rule(Rule::token(Plan::json(200, json!({"access_token": fresh.access}))));
    let id = import(&bench.store, &login).await;
    bench.until("the account", |bench| !bench.engine.accounts().list().is_empty()).await;
    bench.ask(chat("hello")).await.expect("a reply");
    let tokens = bench.store.tokens(&id).await.expect("tokens").expect("the account");
    assert_eq!(tokens.access, Secret::from(fresh.access.as_str()));
    assert_eq!(tokens.refresh, Some(Secret::from(login.refresh.as_str())));
}

/// A reused token ends nothing when somebody has signed in meanwhile.
#[tokio::test]
async fn a_reused_token_is_forgiven_when_the_store_has_another() {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    let no = json!({"error": {"code": "refresh_token_reused", "message": "used"}});
    bench.backend.add_rule(Rule::token(Plan::json(401, no).delay("answer")));
    let login = bench.backend.add_account(expired());
    let id = import(&bench.store, &login).await;
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("the refresh");
    let same = NewAccount {
        account_id: Some(login.account_id.clone()),
        user: Some(login.user.clone()),
        ..NewAccount::default()
    };
    import(&bench.store, &bench.backend.add_account(same)).await;
    bench.backend.release("answer");
    bench.ask(chat("hello")).await.expect("served with the new login");
    assert_eq!(token_posts(&bench), 1);
    assert_eq!(bench.status_of(&id), "active");
}

/// Somebody died between intent and commit: the old token is tried once.
#[rstest]
#[case::unused(false, "active")]
#[case::used(true, "needs_login")]
#[tokio::test]
async fn an_interrupted_refresh_is_tried_once(#[case] used: bool, #[case] status: &str) {
    let bench = Bench::with(Setup { accounts: vec![], ..Setup::default() }).await;
    bench.engine.stop().await;
    let login = bench.backend.add_account(expired());
    let id = import(&bench.store, &login).await;
    let then = Millis(now().0 - 120_000);
    let LeaseOutcome::Granted(ticket) = bench.store.begin_refresh(&id, "dead", then).await.expect("a lease") else {
        panic!("no lease")
    };
    bench.store.write_intent(&ticket, then).await.expect("an intent");
    let node_upstream = upstream(&bench.backend, Timeouts::default());
    if used {
        let refresh = Secret::from(login.refresh.as_str());
        node_upstream.refresh(&refresh, upstream::oauth::RefreshReason::ProactiveExpiry).await.expect("the first use");
    }
    let parts = Parts {
        store: bench.store.clone(),
        upstream: node_upstream,
        settings: Settings::default(),
        clock: Clock::System,
    };
    let engine = Engine::start(parts).await.expect("the next start");
    let served = engine.run(whole("hello")).await.is_ok();
    assert_eq!((engine.accounts().list()[0].status, served), (status, !used));
    let uses = bench.backend.record().refreshes.len();
    assert_eq!(uses, 1 + usize::from(used), "at most one extra use");
    engine.stop().await;
}

/// Two processes wait for the same token: the second one hears from the store what the first one learned.
#[tokio::test]
async fn a_spent_token_is_not_used_by_who_waited_for_the_lease() {
    let bench = Bench::new().await;
    let other = bench.beside().await;
    let reused = json!({"error": {"code": "refresh_token_reused", "message": "used"}});
    bench.backend.add_rule(Rule::token(Plan::json(401, reused).delay("answer")).always());
    let id = bench.ids[0].0.clone();
    let first = tokio::spawn({
        let (engine, id) = (bench.engine.clone(), id.clone());
        async move { engine.accounts().refresh(&id).await.map(|_| ()) }
    });
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("the first call");
    let second = tokio::spawn({
        let other = other.clone();
        async move { other.accounts().refresh(&id).await.map(|_| ()) }
    });
    bench.until("the second waits", |_| other.has_running_work()).await;
    bench.backend.release("answer");
    assert!(first.await.expect("no panic").is_err() && second.await.expect("no panic").is_err());
    assert_eq!(token_posts(&bench), 1);
    assert_eq!(other.accounts().list()[0].status, "expiring");
    other.stop().await;
}

/// What was learned of the old login is not written over a new one that another process stored meanwhile. The engine is an idle one,
/// so that no look at the store comes between.
#[tokio::test]
async fn a_login_stored_meanwhile_outlives_what_was_learned_before() {
    let bench = Bench::new().await;
    bench.engine.stop().await;
    let idle = bench.beside().await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)));
    assert!(idle.run(whole("hello")).await.is_err());
    assert_eq!(idle.accounts().list()[0].status, "exhausted");

    let mut login = bench.logins[0].clone();
    login.refresh = "another".into();
    import(&bench.store, &login).await;
    idle.stop().await;
    assert_eq!(bench.store.accounts().await.expect("accounts")[0].status.as_str(), "active");
    assert_eq!(idle.accounts().list()[0].status, "active", "in memory too");
}
