//! The account endpoints and the control over HTTP.

use serde_json::{Value, json};

use super::client::{ask, backend, classic, exchange, get, post, request};

#[tokio::test]
async fn tells_a_client_where_its_workspace_is() {
    let backend = backend().await;
    let account = backend.account("team");
    let body = get(&backend, &account, "/backend-api/wham/accounts/check", &[]).await.json();
    let entry = &body["accounts"][0];
    assert_eq!(entry.as_object().unwrap().len(), 11);
    assert_eq!((&entry["id"], &entry["plan_type"]), (&json!(account.account_id), &json!("team")));
    assert_eq!(entry["workspace_backend_origin"], "NO_CONSTRAINT");
    let body = get(&backend, &account, "/backend-api/wham/profiles/me", &[]).await.json();
    assert_eq!(body["stats"]["daily_usage_buckets"], json!([]));
    let body = get(&backend, &account, "/backend-api/wham/rate-limit-reset-credits", &[]).await.json();
    assert_eq!(body["available_count"], 1);
    assert_eq!(get(&backend, &account, "/backend-api/codex/responses", &[]).await.status, 426);
    assert_eq!(get(&backend, &account, "/backend-api/nothing", &[]).await.status, 404);
}

/// The rules that the crate's documentation shows.
#[test]
fn reads_the_documented_rules() {
    for rule in [
        r#"{"plan": {"status": 503, "body": {"json": {"detail": "no"}}}}"#,
        r#"{"when": {"place": "token", "account": "a"}, "times": 0, "plan": {"before_headers": [{"millis": 200}]}}"#,
        r#"{"when": {"prompt": "count"}, "plan": {"shape": {"stop": {"at": {"byte": 700}, "how": "reset"}}}}"#,
        r#"{"plan": {"shape": {"pauses": [{"after": 1, "wait": {"millis": 360000}}]}}}"#,
    ] {
        let read: crate::Rule = serde_json::from_str(rule).unwrap();
        let again: crate::Rule = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{again:?}"));
    }
}

#[tokio::test]
async fn is_scripted_and_read_over_http() {
    let backend = backend().await;
    let made = post(&backend, "/offline/accounts", &json!({ "plan": "pro" })).await.json();
    let account: crate::FakeAccount = serde_json::from_value(made["account"].clone()).unwrap();
    let file: Value = serde_json::from_str(made["auth_json"].as_str().unwrap()).unwrap();
    assert_eq!(file["tokens"]["account_id"], json!(account.account_id));

    let rules = json!([
        { "when": { "prompt": "HELLO" }, "plan": { "status": 503, "body": { "json": { "detail": "no" } } } },
        { "plan": { "shape": { "stop": { "at": { "event": 2 }, "how": "fin" } } } },
    ]);
    assert_eq!(post(&backend, "/offline/script", &rules).await.json(), json!({ "pending": 2 }));
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert_eq!((reply.status, reply.json()), (503, json!({ "detail": "no" })));
    assert_eq!(ask(&backend, &account, &classic("hello")).await.kinds().len(), 2);
    assert_eq!(post(&backend, "/offline/script", &json!({ "plan": { "nonsense": 1 } })).await.status, 400);

    let change = json!({ "account_id": account.account_id, "revoke_access": "expired" }).to_string();
    let patch = request("PATCH", "/offline/accounts", &[], change.as_bytes());
    assert_eq!(exchange(&backend, &patch).await.json(), json!({ "changed": 1 }));
    assert_eq!(ask(&backend, &account, &classic("hello")).await.status, 401);

    let record = exchange(&backend, &request("GET", "/offline/record", &[], b"")).await.json();
    assert_eq!(record["requests"].as_array().unwrap().len(), 3, "control requests are not recorded");
    assert_eq!(record["requests"][0]["body"]["model"], "gpt-5.5");
    assert_eq!(record["requests"][1]["ending"]["left"], "cut");
    assert!(record["requests"][1]["at"].is_u64() && record["requests"][1]["ending"]["at"].is_u64());
    post(&backend, "/offline/reset", &json!({})).await;
    assert!(backend.record().requests.is_empty());
}
