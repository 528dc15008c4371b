//! Stored responses over HTTP: stored, retrieved, continued, cancelled, deleted.

use std::time::Duration;

use offline::{Plan, Rule, Wait};
use rstest::rstest;
use serde_json::{Value, json};

use crate::gateway::{FIXED, Gateway, request};
use crate::socket::{Socket, words};
use crate::streams::gateway;
use crate::wire::{Answer, Wire};

const SOON: Duration = Duration::from_secs(10);
const MODEL: &str = "gpt-6-sol";

async fn create(gateway: &Gateway, body: Value) -> Value {
    let answer = gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// Sends a request whose response is a stream.
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
    let posts: Vec<_> = record.model_requests().collect();
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

/// The query is checked first, so an invalid query is refused even for a response that does not exist.
#[rstest]
#[case("limit=0", "limit")]
#[case("limit=101", "limit")]
#[case("limit=x", "limit")]
#[case("limit=", "limit")]
#[case("limit=1&limit=2", "limit")]
#[case("order=up", "order")]
#[case("after=", "after")]
#[case("after=a&after=b", "after")]
#[case("after=%ff", "after")]
#[case("include=everything", "include")]
#[case("include[]=reasoning.encrypted_content&include[]=", "include")]
#[tokio::test]
async fn a_query_that_asks_for_nonsense_is_refused_by_name(#[case] query: &str, #[case] param: &str) {
    let (gateway, _backend) = gateway(|_| {}).await;
    let (status, refused) = own(&gateway, &format!("GET /v1/responses/resp_x/input_items?{query}")).await;
    assert_eq!(status, 400, "{refused}");
    let error = &refused["error"];
    assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!("invalid_value")), "{error}");
    assert!(error["message"].as_str().unwrap().contains(&format!("'{param}'")), "{error}");
}

#[tokio::test]
async fn a_conversation_is_kept_up_to_its_bound() {
    const MOST: usize = 8 << 20;
    let (gateway, _backend) = gateway(|_| {}).await;
    let ask = async |size: usize, previous: &Value| {
        let input =
            json!([{ "role": "user", "content": "x".repeat(size) }, { "role": "user", "content": "count to 3" }]);
        let body = json!({ "model": MODEL, "input": input, "previous_response_id": previous });
        let answer = gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let notes = answer.header("x-polygate-notes").unwrap_or_default().to_owned();
        let made: Value = serde_json::from_slice(&answer.body).unwrap();
        let line = format!("/v1/responses/{}", made["id"].as_str().unwrap());
        let known = own(&gateway, &format!("GET {line}")).await.0 == 200;
        assert_eq!((made["store"] == true, notes.contains("not stored")), (known, !known), "{notes}");
        (made["id"].clone(), known)
    };
    let (large, known) = ask(MOST - (64 << 10), &Value::Null).await;
    assert!(known);
    let items = format!("/v1/responses/{}/input_items?order=asc&limit=1", large.as_str().unwrap());
    let (_, page) = own(&gateway, &format!("GET {items}")).await;
    assert_eq!(page["data"][0]["content"][0]["text"].as_str().map(str::len), Some(MOST - (64 << 10)));
    assert!(!ask(64 << 10, &large).await.1, "the conversation would be too long");
    assert!(ask(1, &large).await.1, "a short turn fits");
    assert!(!ask(MOST, &Value::Null).await.1, "too long alone");
}

#[tokio::test]
async fn a_conversation_that_is_gone_on_from_is_charged_as_its_body_would_be() {
    let (gateway, backend) = gateway(|settings| settings.limits.buffered = 2 << 20).await;
    let long = json!({ "model": MODEL, "input": [{ "role": "user", "content": "x".repeat(700 << 10) },
        { "role": "user", "content": "count to 3" }] });
    let first = create(&gateway, long).await;
    assert_eq!(first["store"], true, "{first}");
    backend.add_rule(Rule::responses(Plan::auto().delay(Wait::Gate("go".to_owned()))));
    let next = json!({ "model": MODEL, "input": "count to 4", "previous_response_id": first["id"], "stream": true });
    let mut running = begin(&gateway, &next).await;
    backend.wait_until(SOON, |record| record.model_requests().count() == 2).await.unwrap();
    let answer = gateway.post("/v1/responses", &[], next.to_string().as_bytes()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
    let mut socket = open(&gateway).await;
    let refused = socket.ask(next.clone()).await;
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!(503), &json!("overloaded")), "{refused}");
    let alone = create(&gateway, json!({ "model": MODEL, "input": "Reply with exactly: one" })).await;
    assert_eq!(words(&alone), "one", "what goes on from nothing is short");
    backend.release("go");
    assert_eq!(running.answer().await.unwrap().status, 200);
    assert_eq!(socket.ask(next).await["type"], "response.completed");
}

#[tokio::test]
async fn a_conversation_has_no_more_items_than_a_request() {
    let (gateway, backend) = gateway(|_| {}).await;
    let items = |count: usize| vec![json!({ "role": "user", "content": "x" }); count];
    let announced = json!({ "model": MODEL, "input": items(60_000), "generate": false });
    let first = create(&gateway, announced).await;
    assert_eq!(first["store"], true, "{first}");
    for (count, status) in [(40_001, 400), (40_000, 200)] {
        let next =
            json!({ "model": MODEL, "input": items(count), "previous_response_id": first["id"], "generate": false });
        let answer = gateway.post("/v1/responses", &[], next.to_string().as_bytes()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 400 {
            let error: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(error["error"]["param"], "input", "{error}");
        }
    }
    assert_eq!(backend.record().model_requests().count(), 0);
}

async fn open(gateway: &Gateway) -> Socket {
    let key = format!("Bearer {}", gateway.keys.client);
    Socket::open(gateway.port, &[("authorization", &key)]).await.unwrap()
}

#[tokio::test]
async fn an_unknown_previous_response_is_refused() {
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
    assert_eq!(backend.record().model_requests().count(), 1);
}

#[tokio::test]
async fn a_running_response_is_seen_and_cancelled() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(8, Wait::Forever)));
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
    backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
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
    backend.add_rule(Rule::responses(Plan::auto().pause(8, Wait::Forever)));
    let mut wire = begin(&gateway, &json!({ "model": MODEL, "input": "count to 9", "stream": true })).await;
    wire.until("\"id\":\"resp_").await;
    let line = format!("GET /v1/responses/{}", wire.after("\"id\":\""));
    assert_eq!(own(&gateway, &line).await.0, 200);
    drop(wire);
    backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
    assert_eq!(own(&gateway, &line).await.0, 404);
}
