//! Relays that refuse, fail and break off.

use offline::{Endpoint, Plan, Rule, Termination};
use pool::Secret;
use proto::{Dialect, Kind};
use rstest::rstest;
use store::Outcome;

use super::{CHAT, FakeRelay, GEMINI, MESSAGES, RESPONSES, alone, asking, sent, state};
use crate::bench::{Bench, refused, words};

async fn ask(bench: &Bench, fake_relay: &FakeRelay, stream: bool) -> Result<crate::bench::Answer, engine::Refusal> {
    bench.ask(asking(Dialect::Chat, fake_relay.model, "Reply with exactly: pong", stream)).await
}

#[rstest]
#[tokio::test]
async fn a_refused_key_ends_the_relay_until_it_gets_another(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(true, false)] stream: bool,
) {
    let bench = alone().await;
    let mut spec = fake_relay.spec(&bench, "far");
    spec.key = Secret::from("sk-wrong-and-secret-0123456789");
    let id = bench.engine.relays().add(&spec).await.expect("the relay is added").id;
    let refusal = refused(ask(&bench, &fake_relay, stream).await);
    assert_eq!(refusal.failure.kind, Kind::NoAccount, "{}", refusal.failure.message);
    assert!(refusal.failure.message.contains("key is refused"), "{}", refusal.failure.message);
    assert!(!refusal.failure.message.contains("sk-wrong-and"), "{}", refusal.failure.message);
    let view = state(&bench, "far");
    assert_eq!(view.status, "key_refused");
    assert!(view.why.is_some_and(|why| why.contains("key is refused")));
    assert!(!bench.engine.ready().ok);
    // Nothing is sent any more.
    let refusal = refused(ask(&bench, &fake_relay, stream).await);
    assert_eq!(refusal.failure.kind, Kind::NoAccount, "{}", refusal.failure.message);
    assert!(refusal.failure.message.contains("no relay can serve"), "{}", refusal.failure.message);
    assert_eq!(sent(&bench, &fake_relay).len(), 1);
    let key = Some(Secret::from(super::KEY));
    let change = engine::RelayChange { key, ..engine::RelayChange::default() };
    bench.engine.relays().change(&id, change).await.expect("the key is replaced");
    assert_eq!(state(&bench, "far").status, "active");
    ask(&bench, &fake_relay, stream).await.expect("a reply");
}

#[rstest]
#[tokio::test]
async fn a_limit_rests_the_relay_and_the_next_one_serves(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
) {
    let bench = alone().await;
    for name in ["one", "two"] {
        fake_relay.join(&bench, name).await;
    }
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::relay_limit(fake_relay.endpoint, 33)));
    let answer = ask(&bench, &fake_relay, true).await.expect("the other one serves");
    assert_eq!((words(Dialect::Chat, answer.text()).as_str(), answer.head.attempts), ("pong", 2));
    let states: Vec<_> = ["one", "two"].iter().map(|name| state(&bench, name).status).collect();
    assert!(states.contains(&"cooling") && states.contains(&"active"), "{states:?}");
    // Both: the client hears the limit and when it ends.
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::relay_limit(fake_relay.endpoint, 44)));
    let refusal = refused(ask(&bench, &fake_relay, false).await);
    assert_eq!(refusal.failure.kind, Kind::RateLimited);
    assert_eq!(refusal.failure.retry_after, Some(33));
    let refusal = refused(ask(&bench, &fake_relay, false).await);
    assert!(refusal.failure.message.contains("relays"), "{}", refusal.failure.message);
    assert_eq!(sent(&bench, &fake_relay).len(), 3);
    let rows = bench.rows(3).await;
    assert_eq!(rows.iter().map(|row| (row.status, row.attempts)).collect::<Vec<_>>(), [(429, 0), (429, 1), (200, 2)]);
}

#[rstest]
#[tokio::test]
async fn trouble_is_tried_once_more(#[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::relay(fake_relay.endpoint, 500, "boom")));
    let answer = ask(&bench, &fake_relay, false).await.expect("the same one serves");
    assert_eq!(answer.head.attempts, 2);
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::relay(fake_relay.endpoint, 500, "boom")).times(2));
    let refusal = refused(ask(&bench, &fake_relay, true).await);
    assert_eq!(refusal.failure.kind, Kind::Upstream);
    assert_eq!(state(&bench, "far").status, "active", "it did not say how long");
    bench.backend.add_rule(Rule::at(
        fake_relay.endpoint,
        Plan::relay(fake_relay.endpoint, 503, "full").header("retry-after", "9"),
    ));
    refused(ask(&bench, &fake_relay, true).await);
    assert_eq!(state(&bench, "far").status, "cooling");
}

#[rstest]
#[case(Termination::Reset)]
#[case(Termination::Fin)]
#[tokio::test]
async fn a_cut_reply_ends_as_a_failure(
    #[case] how: Termination,
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(Dialect::Chat, Dialect::Messages)] dialect: Dialect,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::auto().cut_event(40, how)).times(2));
    let streamed = bench.ask(asking(dialect, fake_relay.model, "count to 50", true)).await.expect("a stream");
    assert!(words(dialect, streamed.text()).starts_with('1'), "{}", streamed.text());
    assert!(streamed.text().contains("error"), "{}", streamed.text());
    assert!(!streamed.text().contains("[DONE]") || dialect == Dialect::Chat, "{}", streamed.text());
    let refusal = refused(bench.ask(asking(dialect, fake_relay.model, "count to 50", false)).await);
    assert_eq!(refusal.failure.kind, Kind::Upstream);
    let rows = bench.rows(2).await;
    assert!(rows.iter().all(|row| row.outcome == Outcome::Failed && row.attempts == 1), "{rows:?}");
    assert_eq!(sent(&bench, &fake_relay).len(), 2, "what may have been read is not sent again");
    assert_eq!(state(&bench, "far").status, "active");
}

/// What the client did wrong is the client's, in its own protocol; a relay's page is nobody's.
#[rstest]
#[tokio::test]
async fn other_refusals_are_passed_on(#[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    bench
        .backend
        .add_rule(Rule::at(fake_relay.endpoint, Plan::relay(fake_relay.endpoint, 400, "temperature: too hot")));
    let refusal = refused(ask(&bench, &fake_relay, true).await);
    assert_eq!(refusal.failure.kind, Kind::Invalid);
    assert!(refusal.failure.message.contains("too hot"), "{}", refusal.failure.message);
    let page = Plan::text(200, "<html>hello</html>").header("content-type", "text/html");
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, page));
    let refusal = refused(ask(&bench, &fake_relay, true).await);
    assert_eq!(refusal.failure.kind, Kind::Upstream);
    assert!(refusal.failure.message.contains("text/html"), "{}", refusal.failure.message);
    assert_eq!(state(&bench, "far").status, "active");
}

#[tokio::test]
async fn a_model_that_it_does_not_have_after_all_is_asked_elsewhere() {
    let bench = alone().await;
    for name in ["one", "two"] {
        CHAT.join(&bench, name).await;
    }
    let missing =
        Plan::json(404, serde_json::json!({"error": {"message": "no such model", "code": "model_not_found"}}));
    bench.backend.add_rule(Rule::at(CHAT.endpoint, missing));
    let answer = ask(&bench, &CHAT, true).await.expect("the other one serves");
    assert_eq!(answer.head.attempts, 2);
    for _ in 0..3 {
        assert_eq!(ask(&bench, &CHAT, true).await.expect("a reply").head.relay, answer.head.relay);
    }
}

/// A list that never comes keeps no model out for good: `ollama pull` may come after the first request.
#[tokio::test]
async fn a_model_that_came_later_is_served() {
    let bench = alone().await;
    CHAT.join(&bench, "far").await;
    let missing =
        Plan::json(404, serde_json::json!({"error": {"message": "no such model", "code": "model_not_found"}}));
    bench.backend.add_rule(Rule::at(CHAT.endpoint, missing));
    assert_eq!(refused(ask(&bench, &CHAT, true).await).failure.kind, Kind::ModelNotFound);
    assert_eq!(sent(&bench, &CHAT).len(), 1);
    bench.clock.advance(pool::limits::MODEL_REST);
    ask(&bench, &CHAT, true).await.expect("a reply");
}

/// A key that may not list is no key that may not serve.
#[tokio::test]
async fn a_refused_list_does_not_end_the_key() {
    let bench = alone().await;
    let mut spec = CHAT.spec(&bench, "far");
    spec.models = Vec::new();
    bench.backend.add_rule(Rule::at(Endpoint::RelayModels, Plan::relay_key(CHAT.endpoint)));
    bench.engine.relays().add(&spec).await.expect("the relay");
    bench
        .until("the list is asked for", |bench| bench.backend.record().requests_to(Endpoint::RelayModels).count() > 0)
        .await;
    let model = format!("far:{}", CHAT.model);
    bench.ask(asking(Dialect::Chat, &model, "hello", true)).await.expect("a reply");
    assert_eq!(state(&bench, "far").status, "active");
}

/// Nobody can test a relay of the file: a change of the file has it asked again.
#[tokio::test]
async fn a_key_of_the_file_that_is_good_again_comes_back() {
    let bench = alone().await;
    let specs = [CHAT.spec(&bench, "far")];
    bench.engine.relays().replace_configured(&specs).await;
    bench.backend.add_rule(Rule::at(CHAT.endpoint, Plan::relay_key(CHAT.endpoint)));
    refused(ask(&bench, &CHAT, true).await);
    assert_eq!(state(&bench, "far").status, "key_refused");
    bench.backend.add_rule(Rule::at(Endpoint::RelayModels, Plan::relay_key(CHAT.endpoint)));
    bench.engine.relays().replace_configured(&specs).await;
    bench
        .until("the list is asked for", |bench| bench.backend.record().requests_to(Endpoint::RelayModels).count() == 1)
        .await;
    assert_eq!(state(&bench, "far").status, "key_refused");
    bench.engine.relays().replace_configured(&specs).await;
    bench.until("the key is good again", |bench| state(bench, "far").status == "active").await;
    ask(&bench, &CHAT, true).await.expect("a reply");
}

/// Keys have all forms, and services repeat the one that they got: nobody hears it, in an answer, a stream or the relay's state.
#[rstest]
#[tokio::test]
async fn a_relay_that_repeats_its_key_is_not_heard(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(400, 401, 403, 429, 500)] status: u16,
    #[values(true, false)] stream: bool,
) {
    const HEX: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let bench = alone().await;
    let mut spec = fake_relay.spec(&bench, "far");
    spec.key = Secret::from(HEX);
    bench.engine.relays().add(&spec).await.expect("the relay is added");
    let message = format!("the key {HEX} of /v1?key={HEX}&x=1 is not good");
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, Plan::relay(fake_relay.endpoint, status, &message)).always());
    let refusal = refused(ask(&bench, &fake_relay, stream).await);
    assert!(!format!("{refusal:?}").contains("4b5a6978"), "{refusal:?}");
    let view = state(&bench, "far");
    assert!(!format!("{view:?}").contains("4b5a6978"), "{view:?}");
    if status == 400 {
        assert!(refusal.failure.message.contains("the key *** of /v1?key=***"), "{}", refusal.failure.message);
    }
}

/// A failure inside a stream is searched for the key that its call was sent with, though the relay has another one by then.
#[rstest]
#[tokio::test]
async fn a_key_is_hidden_in_a_stream_though_it_was_replaced(#[values(true, false)] stream: bool) {
    const HEX: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let bench = alone().await;
    let mut spec = CHAT.spec(&bench, "far");
    spec.key = Secret::from(HEX);
    let id = bench.engine.relays().add(&spec).await.expect("the relay is added").id;
    let event = format!(r#"{{"error":{{"message":"the key {HEX} is over","type":"server_error"}}}}"#);
    let begun = r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"po"}}]}"#;
    let plan = Plan::stream(format!("data: {begun}\n\ndata: {event}\n\n")).pause(1, "rekeyed");
    bench.backend.add_rule(Rule::at(CHAT.endpoint, plan));
    let reply = ask(&bench, &CHAT, stream);
    let rekeyed = async {
        bench.until("it runs", |bench| bench.backend.record().requests_to(CHAT.endpoint).count() == 1).await;
        let key = Some(Secret::from("another-key-of-the-relay"));
        let change = engine::RelayChange { key, ..engine::RelayChange::default() };
        bench.engine.relays().change(&id, change).await.expect("it is changed");
        bench.backend.release("rekeyed");
    };
    let text = match tokio::join!(reply, rekeyed).0 {
        Ok(answer) => answer.text().to_owned(),
        Err(refusal) => format!("{refusal:?}"),
    };
    assert!(text.contains("the key *** is over"), "{text}");
    let view = state(&bench, "far");
    assert!(!format!("{view:?}").contains("4b5a6978"), "{view:?}");
}
