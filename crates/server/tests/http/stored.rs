//! Stored responses over HTTP: kept, found again, gone on from, cancelled, forgotten.

use std::time::Duration;

use offline::{Plan, Rule, Wait};
use serde_json::{Value, json};

use crate::gateway::{FIXED, Gateway, request};
use crate::socket::words;
use crate::streams::gateway;
use crate::wire::{Answer, Wire};

const SOON: Duration = Duration::from_secs(10);
const MODEL: &str = "gpt-6-sol";

async fn create(gateway: &Gateway, body: Value) -> Value {
    let answer = gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// Sends a request whose answer is a stream.
async fn begin(gateway: &Gateway, body: &Value) -> Wire {
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: application/json", &key];
    let mut wire = Wire::open(gateway.port).await;
    wire.send(request("POST /v1/responses", &headers, body.to_string().as_bytes())).await;
    wire
}

async fn ask(gateway: &Gateway, line: &str, key: &str) -> (u16, Value) {
    let key = format!("authorization: Bearer {key}");
    let answer: Answer = gateway.ask(line, &["host: localhost", &key], b"").await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

async fn own(gateway: &Gateway, line: &str) -> (u16, Value) {
    ask(gateway, line, &gateway.keys.client).await
}

#[tokio::test]
async fn a_response_is_found_again_until_it_is_forgotten() {
    let (gateway, _backend) = gateway(|_| {}).await;
    for store in [json!(true), Value::Null] {
        let made =
            create(&gateway, json!({ "model": MODEL, "input": "Reply with exactly: one", "store": store })).await;
        assert_eq!((&made["store"], &made["previous_response_id"]), (&json!(true), &Value::Null), "{made}");
        let line = format!("/v1/responses/{}", made["id"].as_str().unwrap());
        assert_eq!(own(&gateway, &format!("GET {line}")).await, (200, made.clone()));
        let other = ask(&gateway, &format!("GET {line}"), FIXED).await;
        assert_eq!(other.0, 404, "another key's");
        let id = made["id"].as_str().unwrap();
        let unknown = other.1.to_string().replace(id, "resp_x");
        assert_eq!(own(&gateway, "GET /v1/responses/resp_x").await.1.to_string(), unknown, "the same words");
        assert_eq!(ask(&gateway, &format!("DELETE {line}"), FIXED).await.0, 404);
        assert_eq!(own(&gateway, &format!("GET {line}?stream=true")).await.0, 400);
        let gone = own(&gateway, &format!("DELETE {line}")).await;
        assert_eq!(gone, (200, json!({ "id": made["id"], "object": "response", "deleted": true })));
        assert_eq!(own(&gateway, &format!("GET {line}")).await.0, 404);
        assert_eq!(own(&gateway, &format!("DELETE {line}")).await.0, 404);
    }
    let made = create(&gateway, json!({ "model": MODEL, "input": "Reply with exactly: one", "store": false })).await;
    assert_eq!(made["store"], false);
    assert_eq!(own(&gateway, &format!("GET /v1/responses/{}", made["id"].as_str().unwrap())).await.0, 404);
}

#[tokio::test]
async fn a_request_goes_on_from_a_response() {
    let (gateway, backend) = gateway(|_| {}).await;
    let first = json!({ "model": MODEL, "instructions": "Be brief.", "input": "Reply with exactly: one" });
    let first = create(&gateway, first).await;
    let second = json!({ "model": MODEL, "input": [{ "role": "user", "content": "Reply with exactly: two" }],
        "previous_response_id": first["id"], "stream": true });
    let mut wire = begin(&gateway, &second).await;
    let streamed = wire.answer().await.unwrap().text();
    let events = streamed.lines().filter_map(|line| line.strip_prefix("data: "));
    let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
    let objects: Vec<&Value> =
        events.iter().map(|event| &event["response"]).filter(|object| object.is_object()).collect();
    assert!(objects.len() >= 2);
    for object in &objects {
        assert_eq!((&object["previous_response_id"], &object["store"]), (&first["id"], &json!(true)));
    }
    let last = objects.last().unwrap();
    let record = backend.record();
    let posts: Vec<_> = record.posts().collect();
    let sent = posts[1].json().to_string();
    for text in ["Reply with exactly: one", "\"one\"", "Reply with exactly: two"] {
        assert!(sent.contains(text), "{text} in {sent}");
    }
    assert!(!sent.contains("Be brief."), "instructions are not carried on");
    assert!(!sent.contains("previous_response_id"));
    let session = |at: usize| posts[at].header("session-id").map(str::to_owned);
    assert!(session(0).is_some());
    assert_eq!(session(0), session(1), "the conversation stays the same, and its prompt cache is found");
    assert!(record.offences.is_empty(), "{:?}", record.offences);

    let items = format!("/v1/responses/{}/input_items", last["id"].as_str().unwrap());
    let (status, all) = own(&gateway, &format!("GET {items}?order=asc&include[]=reasoning.encrypted_content")).await;
    assert_eq!((status, &all["object"], &all["has_more"]), (200, &json!("list"), &json!(false)), "{all}");
    let list = all["data"].as_array().unwrap();
    let texts: Vec<_> =
        list.iter().filter(|item| item["type"] == "message").map(|item| &item["content"][0]["text"]).collect();
    assert_eq!(texts, ["Reply with exactly: one", "one", "Reply with exactly: two"]);
    let (_, newest) = own(&gateway, &format!("GET {items}?limit=1")).await;
    assert_eq!((&newest["data"][0], &newest["has_more"]), (list.last().unwrap(), &json!(true)));
    let (_, next) = own(&gateway, &format!("GET {items}?limit=1&after={}", newest["last_id"].as_str().unwrap())).await;
    assert_eq!(next["data"][0], list[list.len() - 2]);
    for query in ["limit=0", "limit=101", "limit=x", "order=up", "after=nobody"] {
        assert_eq!(own(&gateway, &format!("GET {items}?{query}")).await.0, 400, "{query}");
    }
    assert_eq!(ask(&gateway, &format!("GET {items}"), FIXED).await.0, 404);
}

#[tokio::test]
async fn who_goes_on_from_nothing_is_told_so() {
    let (gateway, backend) = gateway(|_| {}).await;
    let made = create(&gateway, json!({ "model": MODEL, "input": "count to 3" })).await;
    let body = json!({ "model": MODEL, "input": "x", "previous_response_id": made["id"] }).to_string();
    let key = format!("authorization: Bearer {FIXED}");
    let headers = ["host: localhost", "content-type: application/json", &key];
    let foreign = gateway.ask("POST /v1/responses", &headers, body.as_bytes()).await;
    let text = foreign.text().replace(made["id"].as_str().unwrap(), "resp_x");
    let unknown = create(&gateway, json!({ "model": MODEL, "input": "x", "previous_response_id": "resp_x" })).await;
    assert_eq!((foreign.status, serde_json::from_str::<Value>(&text).unwrap()), (400, unknown.clone()));
    let error = &unknown["error"];
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("previous_response_not_found"), &json!("previous_response_id"))
    );
    assert_eq!(backend.record().posts().count(), 1);
}

#[tokio::test]
async fn a_running_response_is_seen_and_cancelled() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.script(Rule::responses(Plan::auto().pause(8, Wait::Forever)));
    let mut wire = begin(&gateway, &json!({ "model": MODEL, "input": "count to 9", "stream": true })).await;
    wire.until("response.created").await;
    wire.until("\"id\":\"resp_").await;
    let id = wire.after("\"id\":\"");
    let line = format!("/v1/responses/{id}");
    assert_eq!(own(&gateway, &format!("GET {line}")).await.1["status"], "in_progress");
    assert_eq!(ask(&gateway, &format!("POST {line}/cancel"), FIXED).await.0, 404);
    let (status, cancelled) = own(&gateway, &format!("POST {line}/cancel")).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    let text = wire.answer().await.unwrap().text();
    assert!(text.contains(r#""status":"cancelled""#), "{text}");
    backend.wait_until(SOON, |record| record.posts().all(|post| post.ending.is_some())).await.unwrap();
    assert_eq!(own(&gateway, &format!("GET {line}")).await.1["status"], "cancelled");
    assert_eq!(own(&gateway, &format!("POST {line}/cancel")).await.0, 200, "twice is no mistake");
    let made = create(&gateway, json!({ "model": MODEL, "input": "Reply with exactly: one" })).await;
    assert_eq!(words(&made), "one");
    let (status, late) = own(&gateway, &format!("POST /v1/responses/{}/cancel", made["id"].as_str().unwrap())).await;
    assert_eq!((status, &late["error"]["type"]), (400, &json!("invalid_request_error")), "{late}");
    assert_eq!(own(&gateway, "POST /v1/responses/resp_x/cancel").await.0, 404);
}

#[tokio::test]
async fn a_response_whose_client_left_is_not_kept() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.script(Rule::responses(Plan::auto().pause(8, Wait::Forever)));
    let mut wire = begin(&gateway, &json!({ "model": MODEL, "input": "count to 9", "stream": true })).await;
    wire.until("\"id\":\"resp_").await;
    let line = format!("GET /v1/responses/{}", wire.after("\"id\":\""));
    assert_eq!(own(&gateway, &line).await.0, 200);
    drop(wire);
    backend.wait_until(SOON, |record| record.posts().all(|post| post.ending.is_some())).await.unwrap();
    assert_eq!(own(&gateway, &line).await.0, 404);
}
