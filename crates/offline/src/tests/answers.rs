//! The answers to prompts.

use serde_json::{Value, json};

use super::client::{ask, backend, classic, get, lite};
use crate::{Offline, Options};

fn weather() -> Value {
    json!([{ "type": "function", "name": "get_weather", "description": "Weather", "strict": false, "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"], "additionalProperties": false } }])
}

#[tokio::test]
async fn echoes_exactly_in_order() {
    let backend = backend().await;
    let account = backend.account("plus");
    let reply = ask(&backend, &account, &classic("Reply with exactly: pong pong")).await;
    assert_eq!((reply.status, reply.reply_text().as_str(), reply.whole), (200, "pong pong", true));
    let expected = [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.delta", "response.output_text.done",
        "response.content_part.done", "response.output_item.done", "response.completed",
    ];
    assert_eq!(reply.kinds(), expected);
    let events = reply.events();
    let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    let done = &events[9]["response"];
    assert_eq!((&done["status"], &done["output"]), (&json!("completed"), &json!([])));
    assert_eq!(done["id"], events[0]["response"]["id"]);
    assert!(done["usage"]["total_tokens"].as_u64().unwrap() > 0);
    for name in ["x-request-id", "x-models-etag", "openai-model", "x-codex-turn-state", "x-codex-primary-used-percent"]
    {
        assert!(reply.header(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn counts_one_token_per_delta() {
    let backend = backend().await;
    let account = backend.account("plus");
    let reply = ask(&backend, &account, &classic("Please count to 5000.")).await;
    let expected: Vec<String> = (1..=5000).map(|number: u32| number.to_string()).collect();
    assert_eq!(reply.reply_text(), expected.join(" "));
    let deltas = reply.kinds().iter().filter(|kind| *kind == "response.output_text.delta").count();
    assert_eq!(deltas, 5000);
}

#[tokio::test]
async fn calls_offered_tools() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("What is the weather in Paris and London, both in parallel?");
    body["tools"] = weather();
    let items = ask(&backend, &account, &body).await.items();
    let arguments: Vec<&str> = items.iter().map(|item| item["arguments"].as_str().unwrap()).collect();
    assert_eq!(items.len(), 2);
    assert!(arguments.iter().all(|text| serde_json::from_str::<Value>(text).unwrap()["city"].is_string()));
    assert_ne!(items[0]["call_id"], items[1]["call_id"]);

    body["input"].as_array_mut().unwrap().extend(items.iter().cloned());
    for item in &items {
        let output = json!({ "type": "function_call_output", "call_id": item["call_id"], "output": "21 degrees" });
        body["input"].as_array_mut().unwrap().push(output);
    }
    assert!(ask(&backend, &account, &body).await.reply_text().contains("21 degrees; 21 degrees"));
}

#[tokio::test]
async fn calls_tools_of_lite_requests_in_their_namespace() {
    let backend = backend().await;
    let account = backend.account("plus");
    let reply = ask(&backend, &account, &lite("Weather in Oslo?", &weather())).await;
    let items = reply.items();
    let call = items.last().unwrap();
    assert_eq!((&call["namespace"], &call["name"]), (&json!("functions"), &json!("get_weather")));
    assert_eq!(call["arguments"], r#"{"city":"Oslo"}"#);
}

#[tokio::test]
async fn runs_commands_through_the_codex_tools() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("run: echo hi");
    body["tools"] = json!([{ "type": "function", "name": "exec_command", "strict": false, "parameters": {
        "type": "object", "properties": { "cmd": { "type": "string" } }, "required": ["cmd"] } }]);
    assert_eq!(ask(&backend, &account, &body).await.items()[0]["arguments"], r#"{"cmd":"echo hi"}"#);

    let code = json!([{ "type": "custom", "name": "exec", "description": "Run code" }]);
    let reply = ask(&backend, &account, &lite("run: echo hi", &code)).await;
    let items = reply.items();
    let call = items.last().unwrap();
    assert_eq!(call["type"], "custom_tool_call");
    assert!(call["input"].as_str().unwrap().contains(r#"tools.exec_command({"cmd":"echo hi"})"#));
    let deltas: String = reply
        .events()
        .iter()
        .filter(|event| event["type"] == "response.custom_tool_call_input.delta")
        .map(|event| event["delta"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(call["input"], json!(deltas));
}

#[tokio::test]
async fn reasons_draws_searches_and_sees() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("hello");
    body["reasoning"] = json!({ "effort": "high", "summary": "auto" });
    body["include"] = json!(["reasoning.encrypted_content"]);
    let reply = ask(&backend, &account, &body).await;
    assert_eq!(reply.items()[0]["type"], "reasoning");
    assert!(reply.items()[0]["encrypted_content"].as_str().unwrap().starts_with("gAAAAAB"));
    assert!(reply.kinds().contains(&"response.reasoning_summary_text.delta".to_owned()));

    let mut body = classic("draw a fox");
    body["tools"] = json!([{ "type": "image_generation" }]);
    assert_eq!(ask(&backend, &account, &body).await.items()[0]["type"], "image_generation_call");
    let free = backend.account("free");
    assert_eq!(ask(&backend, &free, &body).await.items()[0]["type"], "message", "free plans have no image tool");

    let mut body = classic("search for foxes");
    body["tools"] = json!([{ "type": "web_search" }]);
    let items = ask(&backend, &account, &body).await.items();
    assert_eq!(items[0]["action"]["type"], "search");
    let part = &items[1]["content"][0];
    let (note, text) = (&part["annotations"][0], part["text"].as_str().unwrap());
    let range = |key: &str| usize::try_from(note[key].as_u64().unwrap()).unwrap();
    assert!(text[range("start_index")..range("end_index")].contains("example.com"));

    let mut body = classic("what is this?");
    let image = json!({ "type": "input_image", "image_url": "data:image/png;base64,AAAAAAAA" });
    body["input"][0]["content"].as_array_mut().unwrap().push(image);
    assert!(ask(&backend, &account, &body).await.reply_text().contains("an image of 6 bytes"));
}

#[tokio::test]
async fn compacts_when_told() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("hello");
    body["input"].as_array_mut().unwrap().push(json!({ "type": "compaction_trigger" }));
    let items = ask(&backend, &account, &body).await.items();
    assert_eq!((items.len(), &items[0]["type"]), (1, &json!("compaction")));
    let mut next = classic("and now?");
    next["input"].as_array_mut().unwrap().insert(0, items[0].clone());
    assert_eq!(ask(&backend, &account, &next).await.status, 200);
}

#[tokio::test]
async fn fits_the_schema() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("Describe a person");
    body["text"] = json!({ "format": { "type": "json_schema", "name": "person", "strict": true, "schema": {
        "type": "object",
        "properties": { "name": { "type": "string" }, "age": { "type": "integer", "minimum": 1 } },
        "required": ["name", "age"], "additionalProperties": false } } });
    let value: Value = serde_json::from_str(&ask(&backend, &account, &body).await.reply_text()).unwrap();
    assert!(value["name"].is_string() && value["age"].as_i64().unwrap() >= 1);
}

#[tokio::test]
async fn counts_cached_tokens_under_one_key() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("hello");
    body["prompt_cache_key"] = json!("one");
    body["instructions"] = json!("long ".repeat(2_000));
    let cached = |reply: super::client::Reply| {
        reply.events().last().unwrap()["response"]["usage"]["input_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(ask(&backend, &account, &body).await), 0);
    assert!(cached(ask(&backend, &account, &body).await) >= 1_024);
    body["prompt_cache_key"] = json!("two");
    assert_eq!(cached(ask(&backend, &account, &body).await), 0);
}

#[tokio::test]
async fn fills_the_completed_output_when_told() {
    let backend = Offline::start(Options { completed_output: true, rate_limits_event: true, ..Options::default() })
        .await
        .unwrap();
    let account = backend.account("plus");
    let reply = ask(&backend, &account, &classic("hello")).await;
    assert_eq!(reply.kinds()[0], "codex.rate_limits");
    assert_eq!(reply.events().last().unwrap()["response"]["output"], json!(reply.items()));
}

#[tokio::test]
async fn lists_models_with_an_etag() {
    let backend = backend().await;
    let account = backend.account("plus");
    let path = "/backend-api/codex/models?client_version=0.169.0";
    let reply = get(&backend, &account, path, &[]).await;
    let models = reply.json()["models"].clone();
    assert_eq!(models.as_array().unwrap().len(), 12);
    let classic: Vec<&Value> =
        models.as_array().unwrap().iter().filter(|model| model["use_responses_lite"] == false).collect();
    assert_eq!(classic.len(), 1);
    assert_eq!(classic[0]["slug"], "gpt-5.5");
    let etag = reply.header("etag").unwrap().to_owned();
    assert_eq!(get(&backend, &account, path, &[("if-none-match", &etag)]).await.status, 304);
    backend.set_models(&account.account_id, &["gpt-5.5"]);
    let reply = get(&backend, &account, path, &[("if-none-match", &etag)]).await;
    assert_eq!((reply.status, reply.json()["models"].as_array().unwrap().len()), (200, 1));
    assert_eq!(get(&backend, &account, "/backend-api/codex/models", &[]).await.status, 400);
}
