//! Quota, reset credits, warnings, forecasts and events over the admin API.

use std::time::Duration;

use offline::{Endpoint, Plan, Quota, Rule, Running, Window};
use serde_json::{Value, json};

use crate::gateway::{Gateway, request};
use crate::streams;
use crate::wire::{Answer, Wire};

struct Bench {
    gateway: Gateway,
    backend: Running,
    /// The account's id here, and at the backend.
    id: String,
    upstream_id: String,
}

impl Bench {
    async fn new() -> Self {
        let (gateway, backend) = streams::gateway(|_| {}).await;
        let mut bench = Self { gateway, backend, id: String::new(), upstream_id: String::new() };
        let accounts = read(&bench.ask("GET /admin/accounts", Value::Null).await);
        accounts["accounts"][0]["id"].as_str().unwrap().clone_into(&mut bench.id);
        bench.ask(&format!("GET /auth/accounts/{}/quota", bench.id), Value::Null).await;
        let record = bench.backend.record();
        bench.upstream_id = record.requests_to(Endpoint::Usage).next().unwrap().account.clone().unwrap();
        bench
    }

    async fn ask(&self, line: &str, body: Value) -> Answer {
        let key = format!("authorization: Bearer {}", self.gateway.keys.admin);
        let headers = ["host: localhost", "content-type: application/json", key.as_str()];
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.gateway.ask(line, &headers, text.as_bytes()).await;
        answer.check();
        answer
    }

    async fn own(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask(&format!("{method} /auth/accounts/{}/{path}", self.id), body).await
    }

    fn used(&self, used_percent: f64) {
        let primary = Some(Window { used_percent, window_minutes: 300, reset_at: 4_102_444_800 });
        self.backend.set_quota(&self.upstream_id, &Quota { primary, ..Quota::default() });
    }
}

fn read(answer: &Answer) -> Value {
    serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("no JSON: {} {}", answer.status, answer.text()))
}

#[tokio::test]
async fn figures_are_asked_for_and_failures_have_their_status() {
    let bench = Bench::new().await;
    let answer = bench.own("GET", "quota", Value::Null).await;
    assert_eq!(answer.status, 200);
    let body = read(&answer);
    assert_eq!((&body["quota"]["plan"], &body["quota"]["reset_credits"]), (&json!("plus"), &json!(1)));
    assert_eq!(body["raw"]["rate_limit"]["primary_window"]["limit_window_seconds"], 18_000);
    assert_eq!(bench.ask("GET /auth/accounts/nobody/quota", Value::Null).await.status, 404);
    // The list has the last known quota, or quota that is fetched now; a failure keeps the known quota.
    bench.used(50.0);
    for (query, used) in [("", 12.0), ("?quota=true", 12.0), ("?quota=fresh", 50.0)] {
        let list = read(&bench.ask(&format!("GET /auth/accounts{query}"), Value::Null).await);
        assert_eq!(list["accounts"][0]["quota"]["primary"]["used_percent"], used, "{query}");
    }
    assert_eq!(bench.ask("GET /auth/accounts?quota=odd", Value::Null).await.status, 400);
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().status(500)));
    let list = read(&bench.ask("GET /auth/accounts?quota=fresh", Value::Null).await);
    let own = &list["accounts"][0];
    assert_eq!(own["quota"]["primary"]["used_percent"], 50.0);
    assert!(own["quotaError"].as_str().unwrap().contains("500"), "{own}");
    bench.backend.add_rule(Rule::at(Endpoint::Usage, Plan::auto().status(500)));
    let failed = bench.own("GET", "quota", Value::Null).await;
    assert_eq!((failed.status, &read(&failed)["error"]["code"]), (502, &json!("upstream_quota")));
    bench.backend.revoke_access(&bench.upstream_id, offline::Revocation::Revoked);
    bench.backend.invalidate_refresh(&bench.upstream_id);
    let lost = bench.own("GET", "quota", Value::Null).await;
    assert_eq!((lost.status, &read(&lost)["error"]["code"]), (409, &json!("account_not_usable")));
    let warnings = read(&bench.ask("GET /auth/quota/warnings", Value::Null).await);
    assert_eq!(warnings["warnings"][0]["kind"], "needs_login", "{warnings}");
}

#[tokio::test]
async fn a_reset_credit_is_consumed_once_in_a_while() {
    let bench = Bench::new().await;
    bench.backend.set_quota(&bench.upstream_id, &Quota::exhausted(Duration::from_hours(1)));
    let list = read(&bench.own("GET", "reset-credits", Value::Null).await);
    assert_eq!((&list["available_count"], &list["credits"][0]["status"]), (&json!(1), &json!("available")));
    assert!(list["next_expires_at"].is_string());
    let odd = bench.own("POST", "reset-credits/consume", json!({"redeem_request_id": "1"})).await;
    assert_eq!(odd.status, 400);
    let odd = bench.own("POST", "reset-credits/consume", json!({"all": true})).await;
    assert_eq!(odd.status, 400);
    let done = bench.own("POST", "reset-credits/consume", Value::Null).await;
    let body = read(&done);
    assert_eq!(
        (done.status, &body["success"], &body["code"], &body["windows"]),
        (200, &json!(true), &json!("reset"), &json!(1))
    );
    assert_eq!((&body["quota"]["primary"]["used_percent"], &body["quota"]["reset_credits"]), (&json!(0.0), &json!(0)));
    let again = bench.own("POST", "reset-credits/consume", json!({})).await;
    assert_eq!((again.status, &read(&again)["error"]["code"]), (429, &json!("cooldown")));
    assert!(again.header("retry-after").is_some());
    assert_eq!(bench.backend.record().requests_to(Endpoint::Credits).count(), 2, "one list, one consumption");
}

#[tokio::test]
async fn warnings_and_forecasts_are_shown() {
    let bench = Bench::new().await;
    let none = read(&bench.ask("GET /auth/quota/warnings", Value::Null).await);
    assert_eq!(none["warnings"], json!([]));
    bench.used(97.0);
    bench.own("GET", "quota", Value::Null).await;
    let warnings = read(&bench.ask("GET /auth/quota/warnings", Value::Null).await);
    let warning = &warnings["warnings"][0];
    assert_eq!(
        (&warning["window"], &warning["threshold"], &warning["urgent"]),
        (&json!("primary"), &json!(95), &json!(true))
    );
    assert!(warning["message"].as_str().unwrap().contains("97 % used") && warnings["updatedAt"].is_string());
    let forecast = read(&bench.ask("GET /admin/forecast", Value::Null).await);
    let own = &forecast["accounts"][0];
    assert_eq!((&own["id"], &own["primary"]), (&json!(bench.id), &json!({"state": "unknown", "why": "figures"})));
    assert_eq!(own["words"][0], "primary: pace not known yet");
}

#[tokio::test]
async fn events_come_as_they_happen_and_end_with_the_server() {
    let bench = Bench::new().await;
    let key = format!("authorization: Bearer {}", bench.gateway.keys.reader);
    let mut wire = Wire::open(bench.gateway.port).await;
    wire.send(request("GET /admin/events", &["host: localhost", &key], b"")).await;
    wire.begun().await;
    bench.used(85.0);
    bench.own("GET", "quota", Value::Null).await;
    wire.until("event: quota\ndata: {\"type\":\"quota\"").await;
    // The drain is two minutes long; the stream does not wait for its end.
    bench.gateway.shutdown.cancel();
    let text = wire.rest().await;
    assert!(text.contains("content-type: text/event-stream"), "{text}");
    assert!(text.contains(": polygate\n\n"), "{text}");
    bench.gateway.stopped().await;
}
