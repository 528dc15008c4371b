//! What happens while a reply is under way: limits that its stream tells, accounts that are switched off, and models that an
//! account turns out to lack.

use engine::RoutingQuery;
use offline::{Plan, Termination};
use proto::Dialect;
use serde_json::json;

use super::ten::Rests::{Disabled, Exhausted};
use super::ten::Who::{Pro1, Pro2};
use super::ten::{ALL, Ten};
use crate::bench::{MODEL, responses, words};

/// A stream that says how much of the primary window is used, and that it resets in half an hour.
fn limits(used: u32, reached: bool) -> Plan {
    let window = json!({"used_percent": used, "window_minutes": 300, "reset_after_seconds": 1800});
    let event = json!({"type": "codex.rate_limits", "plan_type": "pro", "rate_limits":
        {"allowed": !reached, "limit_reached": reached, "primary": window, "secondary": null}});
    Plan::auto().extra(3, format!("event: codex.rate_limits\ndata: {event}\n\n"))
}

/// The reply that uses the window up is still whole; its account rests after it.
#[tokio::test]
async fn a_stream_tells_that_its_reply_was_the_last() {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, limits(100, true));
    let answer = ten.send(responses("Reply with exactly: the last")).await.served_by(&[Pro1]);
    assert_eq!(words(Dialect::Responses, answer.text()), "the last");
    ten.stand(&[(Pro1, Exhausted(1800, "primary"))]);
    ten.serves(Pro2).await;
    ten.pass(1802);
    ten.stand(&[]);
    ten.serves(Pro1).await;
}

#[tokio::test]
async fn a_stream_that_tells_of_quota_left_changes_nothing() {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, limits(99, false));
    ten.ask().await.served_by(&[Pro1]);
    ten.stand(&[]);
    assert_eq!(ten.view(Pro1).quota.primary.map(|window| window.used_percent), Some(99.0));
    // The other one has more left.
    ten.serves(Pro2).await;
}

/// After the first byte nobody else is asked; the client hears of it in its stream.
#[tokio::test]
async fn a_limit_in_the_middle_of_a_reply_ends_it() {
    let ten = Ten::new().await;
    let failed =
        Termination::Failed { code: "usage_limit_reached".into(), message: "The usage limit has been reached".into() };
    ten.answer_next(Pro1, Plan::auto().cut_event(9, failed));
    let answer = ten.send(responses("count to 20")).await.served_by(&[Pro1]);
    assert!(answer.text().contains("response.failed"), "{}", answer.text());
    assert!(!answer.text().contains("response.completed"), "{}", answer.text());
    ten.stand(&[(Pro1, Exhausted(60, "usage"))]);
    ten.serves(Pro2).await;
}

/// A running reply continues; the next request goes elsewhere.
#[tokio::test]
async fn a_switched_off_account_ends_its_reply_and_begins_no_other() {
    let ten = Ten::new().await;
    ten.answer_next(Pro1, Plan::auto().pause(6, "go"));
    let tap = ten.bench.open(responses("count to 9")).await;
    let id = [ten.id(Pro1).to_owned()];
    ten.bench.engine.accounts().switch(&id, false).await.expect("switched off");
    ten.stand(&[(Pro1, Disabled)]);
    ten.serves(Pro2).await;
    ten.bench.backend.release("go");
    let answer = tap.rest().await;
    assert_eq!(words(Dialect::Responses, answer.text()), "1 2 3 4 5 6 7 8 9");
    ten.stand(&[(Pro1, Disabled)]);
    ten.bench.engine.accounts().switch(&id, true).await.expect("switched on");
    ten.stand(&[]);
    ten.pass(1);
    ten.serves(Pro1).await;
}

/// The account keeps its good standing; it is left out for this model alone, as long as its list lacks it.
#[tokio::test]
async fn a_model_that_an_account_lacks_is_left_out_of_it() {
    let ten = Ten::new().await;
    ten.bench.until("all lists", |_| ALL.iter().all(|who| ten.view(*who).models > 0)).await;
    let slugs: Vec<_> = ten.bench.engine.models().catalog().into_iter().map(|model| model.slug).collect();
    let other = slugs.iter().find(|slug| *slug != MODEL).expect("another model").as_str();
    ten.bench.backend.set_models(ten.login(Pro1), &[other]);
    ten.ask().await.served_by(&[Pro1, Pro2]);
    assert_eq!((ten.view(Pro1).status, ten.bench.engine.ready().reasons.len()), ("active", 0));
    let candidate = ten.candidate(Pro1);
    assert_eq!((candidate.standing, candidate.why.as_str()), ("no_model", "does not list this model"));
    ten.serves(Pro2).await;
    // For any other model it is as good as ever; its answer tells of a new list.
    let inquiry = RoutingQuery { model: Some(other), ..RoutingQuery::default() };
    assert_eq!(ten.bench.engine.routing().explain(inquiry).expect("explained").chosen.as_deref(), Some(ten.id(Pro1)));
    ten.bench.until("the short list", |_| ten.view(Pro1).models == 1).await;
    let all: Vec<_> = slugs.iter().map(String::as_str).collect();
    ten.bench.backend.set_models(ten.login(Pro1), &all);
    let mut client_call = responses("Reply with exactly: pong");
    client_call.request.model = Some(other.to_owned());
    ten.send(client_call).await.served_by(&[Pro1]);
    ten.bench.until("the long list", |_| ten.view(Pro1).models > 1).await;
    assert_eq!(ten.candidate(Pro1).standing, "serves");
}
