//! Usage, reset credits, violations of the usage poll rate, and the receivers of the owner's alerts.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Reply, ask, backend, classic, exchange, get, post, request};
use crate::Endpoint::{Hook, Ntfy};
use crate::{FakeAccount, Metered, Offline, Options, Quota, Running, Violation, Window};

const USAGE: &str = "/backend-api/wham/usage";
const CONSUME: &str = "/backend-api/wham/rate-limit-reset-credits/consume";

async fn consume(backend: &Running, account: &FakeAccount, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", account.access);
    let headers = [
        ("authorization", bearer.as_str()),
        ("chatgpt-account-id", account.account_id.as_str()),
        ("content-type", "application/json"),
    ];
    exchange(backend, &request("POST", CONSUME, &headers, body.to_string().as_bytes())).await
}

fn redeem(id: u32) -> Value {
    json!({ "redeem_request_id": format!("11111111-1111-4111-8111-{id:012}") })
}

#[tokio::test]
async fn a_reset_credit_opens_the_windows_once() {
    let backend = backend().await;
    let account = backend.account("plus");
    assert_eq!(
        consume(&backend, &account, &redeem(1)).await.json(),
        json!({ "code": "nothing_to_reset", "windows_reset": 0 })
    );
    backend.set_quota(&account.account_id, &Quota::exhausted(Duration::from_hours(1)));
    assert_eq!(ask(&backend, &account, &classic("hello")).await.status, 429);
    assert_eq!(get(&backend, &account, USAGE, &[]).await.json()["rate_limit"]["allowed"], false);
    assert_eq!(consume(&backend, &account, &redeem(1)).await.json(), json!({ "code": "reset", "windows_reset": 1 }));
    assert_eq!(ask(&backend, &account, &classic("hello")).await.status, 200);
    let usage = get(&backend, &account, USAGE, &[]).await.json();
    assert_eq!(usage["rate_limit"]["primary_window"]["used_percent"], 0);
    assert_eq!(usage["rate_limit_reset_credits"]["available_count"], 0);
    // A repeat of the same request spends nothing; another request finds no credit.
    let again = consume(&backend, &account, &redeem(1)).await.json();
    assert_eq!(again, json!({ "code": "already_redeemed", "windows_reset": 0 }));
    assert_eq!(consume(&backend, &account, &redeem(2)).await.json()["code"], "no_credit");
}

#[tokio::test]
async fn consuming_takes_the_form_of_the_capture_only() {
    let backend = backend().await;
    let account = backend.account("plus");
    for body in [
        json!({}),
        json!({ "redeem_request_id": "1" }),
        json!({ "redeem_request_id": redeem(1)["redeem_request_id"], "more": 1 }),
    ] {
        assert_eq!(consume(&backend, &account, &body).await.status, 422, "{body}");
    }
    assert_eq!(post(&backend, CONSUME, &redeem(1)).await.status, 401);
}

#[tokio::test]
async fn limits_of_single_features_are_in_usage() {
    let backend = backend().await;
    let account = backend.account("plus");
    let primary = Window { used_percent: 100.0, window_minutes: 300, reset_at: 4_102_444_800 };
    let metered = Metered { name: "Spark".into(), feature: "codex_bengalfox".into(), primary };
    backend.set_quota(&account.account_id, &Quota { metered: vec![metered], ..Quota::default() });
    let usage = get(&backend, &account, USAGE, &[]).await.json();
    let limit = &usage["additional_rate_limits"][0];
    assert_eq!(
        (&limit["metered_feature"], &limit["rate_limit"]["allowed"]),
        (&json!("codex_bengalfox"), &json!(false))
    );
    assert_eq!(limit["rate_limit"]["primary_window"]["limit_window_seconds"], 18_000);
    assert_eq!(usage["rate_limit"]["allowed"], true);
}

#[tokio::test]
async fn usage_requests_too_soon_are_violations() {
    let backend =
        Offline::start(Options { usage_gap: Some(Duration::from_mins(1)), ..Options::default() }).await.unwrap();
    let (one, other) = (backend.account("plus"), backend.account("plus"));
    for account in [&one, &other] {
        get(&backend, account, USAGE, &[]).await;
    }
    assert_eq!(backend.record().offences, []);
    get(&backend, &one, USAGE, &[]).await;
    let offences = backend.record().offences;
    assert_eq!(offences, [Violation::UsageRush { request: 3, account: one.account_id }]);
}

#[tokio::test]
async fn an_owners_messages_are_taken_and_kept() {
    let backend = backend().await;
    assert_eq!(post(&backend, "/hook/one", &json!({ "a": 1 })).await.status, 204);
    assert_eq!(post(&backend, "/hook/one", &json!([1])).await.status, 400);
    let publish = |priority| request("POST", "/ntfy/topic", &[("title", "t"), ("priority", priority)], b"text");
    assert_eq!(exchange(&backend, &publish("5")).await.json()["message"], "text");
    assert_eq!(exchange(&backend, &publish("9")).await.status, 400);
    let record = backend.record();
    let seen: Vec<_> = record.requests.iter().map(|seen| (seen.place, seen.status)).collect();
    assert_eq!(seen, [(Hook, Some(204)), (Hook, Some(400)), (Ntfy, Some(200)), (Ntfy, Some(400))]);
}
