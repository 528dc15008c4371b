//! The commit barrier: nothing leaves before the first real event, or before the time is up.

use std::time::Duration;

use engine::{Reply, ReplyBody};
use futures_util::FutureExt as _;
use offline::{Plan, Rule, Termination};
use proto::Dialect;
use serde_json::json;

use crate::bench::{Bench, Setup, Tap, call, chat, refused, responses, words};

fn hasty() -> Setup {
    Setup::accounts(2).settings(|settings| {
        settings.commit = Duration::from_millis(150);
        settings.heartbeat = Duration::from_millis(50);
    })
}

#[tokio::test]
async fn no_status_before_the_first_real_event() {
    let options = offline::Options { rate_limits_event: true, ..offline::Options::default() };
    let bench = Bench::with(Setup { options, ..Setup::default() }).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(3, "go")));
    let mut run = std::pin::pin!(bench.engine.run(responses("hello")));
    // Figures come with the preamble: it was read.
    let read = |bench: &Bench| bench.engine.accounts().list()[0].quota.primary.is_some();
    tokio::select! {
        _ = run.as_mut() => panic!("answered before anything real came"),
        () = bench.until("the preamble", read) => {}
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(59)).await;
    tokio::time::resume();
    assert!(run.as_mut().now_or_never().is_none(), "answered before anything real came");
    bench.backend.release("go");
    let Ok(Reply { body: ReplyBody::Stream(stream), head }) = run.await else { panic!("no stream") };
    let answer = Tap::from((head, stream)).rest().await;
    assert!(answer.text().find("response.created") < answer.text().find("response.output_text.delta"));
}

/// After the barrier's time a reply is committed whatever came: here not even the upstream's headers.
#[tokio::test]
async fn a_silent_upstream_is_committed_in_time() {
    let bench = Bench::with(hasty()).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().delay("head")));
    let mut tap = bench.open(chat("count to 9")).await;
    tap.see(":").await;
    bench.backend.release("head");
    let answer = tap.rest().await;
    assert_eq!(words(Dialect::Chat, answer.text()).trim(), "1 2 3 4 5 6 7 8 9");
    assert_eq!(bench.posts(), 1);
}

/// Once committed there is no second account, however early the failure is.
#[tokio::test]
async fn a_late_refusal_is_an_error_in_the_stream() {
    let bench = Bench::with(hasty()).await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600).delay("head")));
    let mut tap = bench.open(responses("hello")).await;
    tap.see(":").await;
    bench.backend.release("head");
    let answer = tap.rest().await;
    assert!(answer.text().contains("rate_limit_exceeded"), "the other account is free: {}", answer.text());
    assert!(!answer.text().contains("response.completed"));
    assert_eq!(bench.posts(), 1);
    assert!((0..2).any(|at| bench.status(at) == "exhausted"), "the account is marked all the same");
}

/// A collected reply has a status until its end: a failure behind the barrier is a refusal, and never asked for again.
#[tokio::test]
async fn a_collected_reply_that_breaks_is_refused_and_not_repeated() {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(9, Termination::Reset)));
    let refusal = refused(bench.ask(call(Dialect::Chat, "count to 30", false)).await);
    assert_eq!(Dialect::Chat.error(&refusal.failure).0, 502);
    assert_eq!(bench.posts(), 1);
    let rows = bench.rows(1).await;
    assert_eq!((rows[0].status, rows[0].outcome), (502, store::Outcome::Failed));
}

/// Quota figures count for us; their event, which is about one account, reaches no client.
#[tokio::test]
async fn the_preamble_is_kept_from_clients() {
    let setup = Setup {
        options: offline::Options { rate_limits_event: true, ..offline::Options::default() },
        ..Setup::default()
    };
    let bench = Bench::with(setup).await;
    for codex in [false, true] {
        let mut client_call = responses("hello");
        client_call.client.codex = codex;
        let answer = bench.ask(client_call).await.expect("a reply");
        assert!(!answer.text().contains("codex.rate_limits"), "{}", answer.text());
    }
    assert!(bench.engine.accounts().list()[0].quota.primary.is_some());
}

#[tokio::test]
async fn codex_events_reach_codex_clients_only() {
    let bench = Bench::new().await;
    let frame = "event: response.metadata\ndata: {\"type\":\"response.metadata\",\"headers\":{}}\n\n";
    bench.backend.add_rule(Rule::responses(Plan::auto().extra(4, frame)).always());
    for codex in [false, true] {
        let mut client_call = responses("hello");
        client_call.client.codex = codex;
        let answer = bench.ask(client_call).await.expect("a reply");
        assert_eq!(answer.text().contains("response.metadata"), codex, "{}", answer.text());
    }
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_refused() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let page = Plan::text(200, "<html>welcome</html>").header("content-type", "text/html");
    bench.backend.add_rule(Rule::responses(page));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(refusal.failure.code.as_deref(), Some("upstream_protocol"));
    assert!(!refusal.failure.message.contains("welcome"));
    bench.backend.add_rule(Rule::responses(Plan::json(200, json!({"ok": true}))));
    assert_eq!(Dialect::Chat.error(&refused(bench.ask(chat("hello")).await).failure).0, 502);
    assert_eq!(bench.posts(), 2, "what was sent is not sent again");
    bench.backend.add_rule(Rule::responses(Plan::text(302, "").header("location", "http://127.0.0.1:1/")));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(refusal.failure.code.as_deref(), Some("upstream_redirect"));
}

/// Two accounts, of which the first is used up at once and the second only says so when `head` is released.
async fn late_limits(setup: Setup) -> Bench {
    let bench = Bench::with(setup).await;
    let first = usize::from(bench.ids[0] > bench.ids[1]);
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)).account(&bench.logins[first].account_id).always());
    let late = Plan::usage_limit(7200).delay("head");
    bench.backend.add_rule(Rule::responses(late).account(&bench.logins[1 - first].account_id).always());
    bench
}

/// What one account lacks, others may have: the failure that comes after the commit is told in the words of the whole pool.
#[tokio::test]
async fn a_late_limit_in_a_stream_carries_the_earliest_reset_of_all() {
    let bench = late_limits(hasty()).await;
    // The reply is there before the backend has answered: it was committed.
    let tap = bench.open(responses("hello")).await;
    assert_eq!(bench.posts(), 2);
    bench.backend.release("head");
    let answer = tap.rest().await;
    let message = "usage_limit_reached\",\"message\":\"primary quota used up, resets in 10 min";
    assert!(answer.text().contains(message), "{}", answer.text());
}

/// A collected reply shows no commit: only the runtime's clock tells that its barrier was passed.
#[tokio::test]
async fn a_late_limit_of_a_collected_reply_carries_the_earliest_reset_of_all() {
    let bench = late_limits(Setup::accounts(2)).await;
    let (engine, client_call) = (bench.engine.clone(), call(Dialect::Responses, "hello", false));
    let run = tokio::spawn(async move { engine.run(client_call).await.map(|_| "served") });
    bench.until("the second call", |bench| bench.posts() == 2).await;
    tokio::time::pause();
    tokio::time::advance(pool::limits::COMMIT).await;
    tokio::time::resume();
    bench.backend.release("head");
    let refusal = run.await.expect("no panic").expect_err("refused");
    let wait = refusal.failure.retry_after.expect("Retry-After");
    assert!((500..=600).contains(&wait), "{wait}");
}

/// A limit inside a stream that has begun.
#[tokio::test]
async fn a_limit_midway_carries_the_earliest_reset_of_all() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let other = usize::from(bench.ids[0] < bench.ids[1]);
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)).account(&bench.logins[1 - other].account_id));
    let out = Termination::Failed { code: "usage_limit_reached".into(), message: "out".into() };
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(9, out)).account(&bench.logins[other].account_id));
    let refusal = refused(bench.ask(call(Dialect::Chat, "count to 30", false)).await);
    assert!((1..=600).contains(&refusal.failure.retry_after.expect("Retry-After")), "{refusal}");
    assert_eq!(bench.status(other), "exhausted");
}

/// A model that turns out to be missing after the commit is left out of the account's list all the same.
#[tokio::test]
async fn a_late_missing_model_is_remembered() {
    let bench = Bench::with(hasty()).await;
    let slug = crate::bench::MODEL;
    let no = format!("The '{slug}' model is not supported when using Codex with a ChatGPT account.");
    bench.backend.add_rule(Rule::responses(Plan::json(400, json!({"detail": no})).delay("head")));
    let mut tap = bench.open(responses("hello")).await;
    tap.see(":").await;
    bench.backend.release("head");
    let answer = tap.rest().await;
    let lacking = answer.head.account.expect("an account");
    for n in 0..3 {
        let answer = bench.ask(chat(&format!("again {n}"))).await.expect("the other serves");
        assert_eq!(answer.head.attempts, 1, "nobody asks the account that lacks it");
        assert_ne!(answer.head.account, Some(lacking.clone()));
    }
}

/// A refresh that takes longer than the barrier holds says nothing about the account.
#[tokio::test]
async fn a_slow_refresh_does_not_rest_the_account() {
    let setup = Setup::expired().settings(|settings| settings.commit = Duration::from_millis(150));
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::token(Plan::auto().delay("token")));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(refusal.failure.kind, proto::Kind::Timeout, "{refusal}");
    assert_eq!((bench.status(0), bench.posts()), ("active", 0));
    bench.backend.release("token");
    bench.until("new tokens", |bench| bench.backend.record().refreshes.len() == 1).await;
    bench.ask(chat("hello")).await.expect("served with the new tokens");
}
