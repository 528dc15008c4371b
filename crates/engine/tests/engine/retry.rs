//! The retry table at work: who is asked again, who never, and what it does to accounts. Rows F15, F16.

use std::collections::HashSet;

use offline::{Idle, Plan, Revocation, Rule, Termination};
use proto::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::bench::{Answer, Bench, Setup, chat, events, refused, responses, whole, words};

/// The accounts that the backend was asked with, in order.
fn accounts(bench: &Bench) -> Vec<usize> {
    let record = bench.backend.record();
    let account_index = |request: &offline::RecordedRequest| {
        let account = request.account.as_deref().expect("an account");
        bench.logins.iter().position(|login| login.account_id == account).expect("one of ours")
    };
    record.model_requests().map(account_index).collect()
}

/// One failing answer, then the other account serves.
async fn other_account(plan: Plan) -> (Bench, Answer, usize) {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.add_rule(Rule::responses(plan));
    let answer = bench.ask(responses("Reply with exactly: here")).await.expect("a reply");
    assert_eq!(words(Dialect::Responses, answer.text()), "here");
    let created = events(answer.text()).iter().filter(|event| event["type"] == "response.created").count();
    assert_eq!(created, 1, "one stream only: {}", answer.text());
    assert_eq!(answer.head.attempts, 2);
    let order = accounts(&bench);
    assert_eq!(order.len(), 2);
    assert_ne!(order[0], order[1]);
    let record = bench.backend.record();
    let ids: HashSet<_> = record.model_requests().map(|request| request.header("x-client-request-id")).collect();
    assert!(ids.len() == 1 && !ids.contains(&None), "one request: {ids:?}");
    bench.innocent();
    let first = order[0];
    (bench, answer, first)
}

#[rstest]
#[case::usage_limit(Plan::usage_limit(3600), "exhausted")]
#[case::rate_limit(Plan::json(429, json!({"detail": "Too Many Requests"})), "cooling")]
#[case::forbidden(Plan::json(403, json!({"detail": "Forbidden"})), "cooling")]
#[case::workspace(Plan::json(402, json!({"detail": {"code": "deactivated_workspace"}})), "blocked")]
#[case::challenge(Plan::text(404, ""), "cooling")]
#[case::internal(Plan::json(500, json!({"error": {"message": "oops"}})), "active")]
#[case::bad_gateway(Plan::text(502, "<html>bad</html>"), "active")]
#[case::overloaded(Plan::json(503, json!({"error": {"code": "server_is_overloaded", "message": "busy"}})), "active")]
#[case::gateway_timeout(Plan::text(504, ""), "active")]
#[case::early_failure(
    Plan::auto().cut_event(1, Termination::Failed { code: "usage_limit_reached".into(), message: "out".into() }), "exhausted"
)]
#[tokio::test]
async fn another_account_serves(#[case] plan: Plan, #[case] status: &str) {
    let (bench, _, first) = other_account(plan).await;
    assert_eq!(bench.status(first), status);
    assert_eq!(bench.status(1 - first), "active");
    let rows = bench.rows(1).await;
    assert_eq!((rows.len(), rows[0].attempts, rows[0].status), (1, 2, 200));
}

#[rstest]
#[case::bad_request(Plan::json(400, json!({"detail": "Unsupported parameter: seed"})), 400)]
#[case::too_large(Plan::json(413, json!({"detail": "too large"})), 413)]
#[case::context(Plan::json(400, json!({"error": {"code": "context_length_exceeded", "message": "too long"}})), 400)]
#[case::no_status(Plan::auto().cut_wire(0, Termination::Reset), 502)]
#[case::half_a_head(Plan::auto().cut_wire(12, Termination::Fin), 502)]
#[case::after_created(Plan::auto().cut_event(1, Termination::Reset), 502)]
#[tokio::test]
async fn nobody_is_asked_again(#[case] plan: Plan, #[case] status: u16) {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.add_rule(Rule::responses(plan));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(Dialect::Chat.error(&refusal.failure).0, status, "{refusal}");
    assert_eq!(refusal.head.attempts, 1);
    assert_eq!(bench.posts(), 1);
    assert_eq!((bench.status(0), bench.status(1)), ("active", "active"));
}

/// Row F16: after output has begun there is one end and no second call.
#[rstest]
#[case::first_delta("count to 20", 5, Termination::Reset)]
#[case::half_way("count to 20", 12, Termination::Fin)]
#[case::failed("count to 20", 9, Termination::Failed { code: "server_error".into(), message: "broke".into() })]
#[case::half_a_call("weather in Kyiv", 4, Termination::Reset)]
#[tokio::test]
async fn output_is_never_asked_for_twice(#[case] prompt: &str, #[case] after: u32, #[case] how: Termination) {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().cut_event(after, how)));
    let mut client_call = responses(prompt);
    if prompt.starts_with("weather") {
        let tools =
            json!([{"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}]);
        let body = json!({"model": crate::bench::MODEL, "stream": true, "input": prompt, "tools": tools});
        client_call = crate::bench::from(Dialect::Responses, &body);
    }
    let answer = bench.ask(client_call).await.expect("a stream");
    assert!(!answer.text().contains("response.completed"), "{}", answer.text());
    assert!(answer.text().contains("response.failed"), "{}", answer.text());
    assert_eq!(bench.posts(), 1);
}

#[tokio::test]
async fn two_calls_are_the_most() {
    let bench = Bench::with(Setup::accounts(4)).await;
    bench.backend.add_rule(Rule::responses(Plan::json(500, json!({"error": {"message": "oops"}}))).always());
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(Dialect::Chat.error(&refusal.failure).0, 502, "{refusal}");
    assert_eq!(bench.posts(), 2);
}

#[tokio::test]
async fn one_account_is_asked_twice_when_there_is_no_other() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::json(503, json!({"error": {"message": "oops"}}))));
    bench.ask(chat("hello")).await.expect("served by the same account");
    assert_eq!(bench.posts(), 2);
}

#[tokio::test]
async fn a_401_refreshes_and_repeats_once() {
    let bench = Bench::new().await;
    bench.backend.revoke_access(&bench.logins[0].account_id, Revocation::Invalidated);
    bench.ask(chat("hello")).await.expect("served with new tokens");
    let record = bench.backend.record();
    assert_eq!(record.refreshes.len(), 1);
    assert_eq!(record.refreshes[0].reason.as_deref(), Some("unauthorized_recovery"));
    assert_eq!(bench.posts(), 2);
    bench.innocent();
}

/// A login that is refused twice is over; the next account serves, outside the cap on calls.
#[tokio::test]
async fn a_second_401_ends_the_login() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let first = &bench.logins[0].account_id;
    let second = &bench.logins[1].account_id;
    let no = json!({"detail": "Unauthorized"});
    bench.backend.add_rule(Rule::responses(Plan::json(401, no)).account(first).always());
    bench.backend.add_rule(Rule::responses(Plan::json(500, json!({"error": {"message": "oops"}}))).account(second));
    bench.ask(whole("hello")).await.expect("served by the other");
    assert_eq!(accounts(&bench), [0, 0, 1, 1], "two calls count, the refused login's do not");
    assert_eq!((bench.status(0), bench.status(1)), ("needs_login", "active"));
}

/// A 401 is no try: the second account gets new tokens too, and when these are refused a third account serves.
#[rstest]
#[case::healed(1, &[0, 1, 1], "active")]
#[case::over(2, &[0, 1, 1, 2], "needs_login")]
#[tokio::test]
async fn a_401_of_the_second_call_is_outside_the_cap(
    #[case] refusals: u32,
    #[case] order: &[usize],
    #[case] status: &str,
) {
    let bench = Bench::with(Setup::accounts(3)).await;
    // The oldest first.
    let mut oldest: Vec<usize> = (0..3).collect();
    oldest.sort_by_key(|at| &bench.ids[*at]);
    let (first, second) = (&bench.logins[oldest[0]].account_id, &bench.logins[oldest[1]].account_id);
    bench.backend.add_rule(Rule::responses(Plan::json(500, json!({"error": {"message": "oops"}}))).account(first));
    bench
        .backend
        .add_rule(Rule::responses(Plan::json(401, json!({"detail": "Unauthorized"}))).account(second).times(refusals));
    let answer = bench.ask(chat("hello")).await.expect("served");
    let expected: Vec<_> = order.iter().map(|at| oldest[*at]).collect();
    assert_eq!((accounts(&bench), answer.head.attempts as usize), (expected, order.len()));
    assert_eq!(bench.status(oldest[1]), status);
    assert_eq!(bench.backend.record().refreshes.len(), 1);
    bench.innocent();
}

#[tokio::test]
async fn all_logins_over_is_503_with_a_hint() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::json(401, json!({"detail": "Unauthorized"}))).always());
    refused(bench.ask(chat("hello")).await);
    assert_eq!(bench.status(0), "needs_login");
    let refusal = refused(bench.ask(chat("hello")).await);
    let (status, body) = Dialect::Chat.error(&refusal.failure);
    assert_eq!(status, 503);
    assert!(String::from_utf8_lossy(&body).contains("polygate login"));
    let ready = bench.engine.ready();
    assert!(!ready.ok && ready.reasons.len() == 1, "{ready:?}");
}

#[tokio::test]
async fn all_used_up_is_429_with_the_earliest_reset() {
    let bench = Bench::with(Setup::accounts(2)).await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(7200)).account(&bench.logins[0].account_id));
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(600)).account(&bench.logins[1].account_id));
    for _ in 0..2 {
        let refusal = refused(bench.ask(chat("hello")).await);
        assert_eq!(Dialect::Chat.error(&refusal.failure).0, 429, "{refusal}");
    }
    let refusal = refused(bench.ask(chat("hello")).await);
    let wait = refusal.failure.retry_after.expect("Retry-After");
    assert!((500..=600).contains(&wait), "{wait}");
    assert_eq!(bench.posts(), 2, "nobody is asked who is known to be used up");
}

/// Row F14: the answer is about the pool, not about the account that was asked last.
#[tokio::test]
async fn a_429_carries_the_earliest_reset_of_all() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let first = usize::from(bench.ids[0] > bench.ids[1]);
    for (at, seconds) in [(first, 600), (1 - first, 7200)] {
        bench.backend.add_rule(Rule::responses(Plan::usage_limit(seconds)).account(&bench.logins[at].account_id));
    }
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!(accounts(&bench), [first, 1 - first], "the one with the later reset is asked last");
    let wait = refusal.failure.retry_after.expect("Retry-After");
    assert!((500..=600).contains(&wait), "{wait}");
}

/// Two calls are the most, but a third account that is free is no reason to stay away for an hour.
#[tokio::test]
async fn a_429_beside_a_free_account_says_try_again() {
    let bench = Bench::with(Setup::accounts(3)).await;
    bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)).times(2));
    let refusal = refused(bench.ask(chat("hello")).await);
    assert_eq!((refusal.failure.kind, refusal.failure.retry_after), (proto::Kind::RateLimited, Some(1)), "{refusal}");
    bench.ask(chat("hello")).await.expect("served by the third");
}

#[tokio::test]
async fn a_model_that_one_account_lacks_is_another_ones() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let slug = crate::bench::MODEL;
    let no = format!("The '{slug}' model is not supported when using Codex with a ChatGPT account.");
    bench.backend.add_rule(Rule::responses(Plan::json(400, json!({"detail": no}))));
    bench.ask(chat("hello")).await.expect("served by the other");
    let order = accounts(&bench);
    assert_ne!(order[0], order[1]);
    assert_eq!((bench.status(0), bench.status(1)), ("active", "active"));
}

#[tokio::test]
async fn state_that_is_refused_is_left_out_once() {
    let bench = Bench::with(Setup::accounts(2)).await;
    let no = json!({"error": {"code": "invalid_encrypted_content", "message": "The encrypted content could not be verified."}});
    bench.backend.add_rule(Rule::responses(Plan::json(400, no)));
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAA"});
    let user = json!({"type": "message", "role": "user", "content": "Reply with exactly: fine"});
    let body = json!({"model": crate::bench::MODEL, "stream": true, "input": [user, reasoning, user]});
    let answer = bench.ask(crate::bench::from(Dialect::Responses, &body)).await.expect("a reply");
    assert_eq!(words(Dialect::Responses, answer.text()), "fine");
    let order = accounts(&bench);
    assert_eq!(order[0], order[1], "the same account");
    let record = bench.backend.record();
    let inputs: Vec<_> = record
        .model_requests()
        .map(|request| request.json()["input"].to_string().contains("encrypted_content"))
        .collect();
    assert_eq!(inputs, [true, false]);
}

/// A connection that was closed while it lay in the pool, and one that is refused, cost nothing.
#[tokio::test]
async fn what_was_never_sent_is_sent_again() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::auto().idle(Idle::Close)));
    bench.ask(chat("hello")).await.expect("a reply");
    bench.ask(chat("hello")).await.expect("a reply over a new connection");
    assert_eq!(bench.posts(), 2);
    assert_eq!(bench.status(0), "active");
}
