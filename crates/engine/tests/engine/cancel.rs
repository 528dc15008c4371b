//! Rows F30, F31: a client that leaves stops the upstream within a second, frees its place, costs no account anything.

use std::time::Duration;

use engine::Call;
use offline::{EndKind, Endpoint, NewAccount, Plan, Rule, Wait};
use proto::Dialect;
use rstest::rstest;
use store::Outcome;

use crate::bench::{Bench, PATIENCE, Setup, call, chat, expired, whole};

const SOON: Duration = Duration::from_secs(1);

/// A reply that is cancelled through the API did not come whole.
#[tokio::test]
async fn a_cancelled_reply_is_booked_as_one() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(9, Wait::Forever)));
    let call = call(Dialect::Responses, "count to 30", true);
    let key = call.key.clone();
    let Ok(engine::Reply { body: engine::ReplyBody::Stream(stream), head }) = bench.engine.run(call).await else {
        panic!("a stream")
    };
    let mut tap = crate::bench::Tap::from((head, stream));
    tap.see("response.output_text.delta").await;
    let id = tap.so_far().split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_owned();
    bench.engine.responses().cancel(&key, &id).expect("it runs");
    assert!(tap.rest().await.text().contains(r#""status":"cancelled""#));
    let rows = bench.rows(1).await;
    assert_eq!((rows.len(), rows[0].outcome, rows[0].status), (1, Outcome::Aborted, 200));
    bench.innocent();
}

/// A client that leaves while its request is in the given phase of the backend's answer.
async fn leave(bench: &Bench, call: Call, plan: Plan) {
    bench.backend.add_rule(Rule::responses(plan));
    let running = tokio::spawn({
        let engine = bench.engine.clone();
        async move {
            if let Ok(engine::Reply { body: engine::ReplyBody::Stream(stream), head }) = engine.run(call).await {
                let mut tap = crate::bench::Tap::from((head, stream));
                while tap.next().await.is_some() {}
            }
        }
    });
    bench.backend.wait_until(PATIENCE, |record| record.model_requests().count() == 1).await.expect("the call");
    running.abort();
    assert!(running.await.expect_err("it left").is_cancelled());
}

#[rstest]
#[case::before_headers(Plan::auto().delay(Wait::Forever))]
#[case::before_the_first_event(Plan::auto().pause(0, Wait::Forever))]
#[case::before_the_first_token(Plan::auto().pause(2, Wait::Forever))]
#[case::mid_stream(Plan::auto().pause(9, Wait::Forever))]
#[tokio::test]
async fn leaving_cancels_the_upstream(
    #[case] plan: Plan,
    #[values(Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values(true, false)] stream: bool,
) {
    let bench = Bench::new().await;
    leave(&bench, call(dialect, "count to 30", stream), plan).await;
    let left = bench.backend.now();
    bench
        .backend
        .wait_until(SOON, |record| record.model_requests().all(|request| request.disconnected_at().is_some()))
        .await
        .expect("cancelled");
    let at =
        bench.backend.record().model_requests().find_map(offline::RecordedRequest::disconnected_at).expect("an end");
    assert!(at < left + SOON, "{at:?} after {left:?}");
    let rows = bench.rows(1).await;
    assert_eq!((rows.len(), rows[0].outcome, rows[0].status), (1, Outcome::Aborted, 499));
    assert_eq!(rows[0].account.as_ref(), Some(&bench.ids[0]));
    let views = bench.engine.accounts().list();
    assert_eq!((views[0].in_flight, views[0].status), (0, "active"));
    assert_eq!(bench.posts(), 1);
    bench.innocent();
}

#[tokio::test]
async fn leaving_after_the_end_is_no_abort() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::auto().hold("end")));
    let mut tap = bench.open(chat("hello")).await;
    tap.see("[DONE]").await;
    drop(tap);
    assert_eq!(bench.rows(1).await[0].outcome, Outcome::Completed);
    assert_eq!(bench.engine.accounts().list()[0].in_flight, 0);
    // The upstream body is still read to its end.
    bench.backend.release("end");
    let done = |record: &offline::Record| {
        record.model_requests().all(|request| request.ending.is_some_and(|end| end.left == EndKind::Complete))
    };
    bench.backend.wait_until(SOON, done).await.expect("read to its end");
}

#[tokio::test]
async fn leaving_the_queue_frees_the_turn() {
    let bench = Bench::with(Setup::default().settings(|settings| settings.max_concurrent = 1)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(5, "go")));
    let served = bench.open(chat("count to 9")).await;
    let waiting = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.run(whole("hello")).await.map(|_| ()) }
    });
    bench.until("a request in the queue", |bench| bench.engine.accounts().list()[0].waiting == 1).await;
    waiting.abort();
    assert!(waiting.await.expect_err("it left").is_cancelled());
    assert_eq!(bench.engine.accounts().list()[0].waiting, 0);
    bench.backend.release("go");
    served.rest().await;
    assert_eq!(bench.posts(), 1, "the one that left was never sent");
    let rows = bench.rows(2).await;
    assert_eq!(rows.iter().filter(|row| row.outcome == Outcome::Aborted && row.attempts == 0).count(), 1);
}

/// Row F31: the refresh that a request waited for goes on without it, and its tokens are stored.
#[tokio::test]
async fn leaving_does_not_cancel_a_refresh() {
    let bench = Bench::with(Setup::expired()).await;
    bench.backend.add_rule(Rule::at(Endpoint::Token, Plan::auto().delay("rotate")).always());
    let running = tokio::spawn({
        let engine = bench.engine.clone();
        async move { engine.run(whole("hello")).await.map(|_| ()) }
    });
    bench.backend.wait_until(PATIENCE, |record| record.token_posts().count() == 1).await.expect("the refresh");
    running.abort();
    assert!(running.await.expect_err("it left").is_cancelled());
    bench.backend.release("rotate");
    let current = || bench.backend.current_refresh(&bench.logins[0].account_id);
    bench.until("the rotation", |_| !current().contains(&bench.logins[0].refresh)).await;
    let stored = async {
        loop {
            let tokens = bench.store.tokens(&bench.ids[0]).await.expect("tokens").expect("the account");
            if tokens.refresh.as_ref().is_some_and(|token| current().iter().any(|now| now == token.expose())) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, stored).await.expect("the new token is stored");
    bench.ask(whole("hello")).await.expect("served with the new tokens");
    assert_eq!(bench.backend.record().token_posts().count(), 1);
    bench.innocent();
}

/// Row F33 in short: clients that leave at any moment leave one row each, and no place taken.
#[tokio::test]
async fn many_aborts_balance() {
    let bench = Bench::with(Setup { accounts: vec![NewAccount::default(), expired()], ..Setup::default() }).await;
    let mut running = Vec::new();
    for n in 0..200_u32 {
        let engine = bench.engine.clone();
        let call = call(if n % 2 == 0 { Dialect::Chat } else { Dialect::Responses }, "count to 200", n % 3 != 0);
        running.push(tokio::spawn(async move {
            if let Ok(engine::Reply { body: engine::ReplyBody::Stream(stream), head }) = engine.run(call).await {
                let mut tap = crate::bench::Tap::from((head, stream));
                while tap.next().await.is_some() {}
            }
        }));
        if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
        if let (0, Some(victim)) = (n % 2, running.get(running.len() / 2)) {
            victim.abort();
        }
    }
    for task in running {
        let _ = task.await;
    }
    let rows = bench.rows(150).await;
    let mut ids: Vec<_> = rows.iter().map(|row| &row.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "one row per request");
    assert!(bench.engine.accounts().list().iter().all(|view| view.in_flight == 0 && view.waiting == 0));
    bench.innocent();
}
