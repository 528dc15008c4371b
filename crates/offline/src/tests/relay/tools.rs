//! Tools, thinking, structured output, and the relay endpoints without a chat model.

use serde_json::{Value, json};

use super::super::client::{backend, exchange, request};
use super::{FACES, KEY, call};

fn parameters() -> Value {
    json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] })
}

const ASK: &str = "What is the weather in both Rome and Oslo?";

#[tokio::test]
async fn chat_calls_tools_and_hears_their_results() {
    let backend = backend().await;
    let mut body = (FACES[0].body)(ASK);
    body["model"] = json!("deepseek-r2");
    body["tools"] = json!([{ "type": "function", "function": { "name": "get_weather", "parameters": parameters() } }]);
    let reply = call(&backend, FACES[0].path, &body).await.json();
    let message = &reply["choices"][0]["message"];
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    assert!(message["reasoning_content"].as_str().unwrap().contains("Reading"));
    let calls = message["tool_calls"].as_array().unwrap();
    assert_eq!(calls[1]["function"]["arguments"], r#"{"city":"Oslo"}"#);
    let mut messages = vec![body["messages"][0].clone(), message.clone()];
    messages.extend(calls.iter().map(|call| json!({ "role": "tool", "tool_call_id": call["id"], "content": "rain" })));
    body["messages"] = json!(messages);
    let reply = call(&backend, FACES[0].path, &body).await.json();
    assert_eq!((FACES[0].text)(&reply), Some("The tool answered: rain; rain"));

    body["messages"] = json!([{ "role": "user", "content": ASK }]);
    body["stream"] = json!(true);
    let text = call(&backend, FACES[0].path, &body).await.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let deltas: Vec<Value> = data
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["choices"][0]["delta"]["tool_calls"][0].clone())
        .filter(|call| call["index"] == 1)
        .collect();
    assert!(deltas[0]["id"].is_string() && deltas[0]["function"]["arguments"] == "");
    let arguments: String = deltas.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, r#"{"city":"Oslo"}"#);
}

#[tokio::test]
async fn messages_sign_their_thoughts() {
    let backend = backend().await;
    let mut body = (FACES[2].body)(ASK);
    body["tools"] = json!([{ "name": "get_weather", "input_schema": parameters() }]);
    body["thinking"] = json!({ "type": "enabled", "budget_tokens": 1024 });
    body["max_tokens"] = json!(4000);
    let reply = call(&backend, FACES[2].path, &body).await.json();
    let content = reply["content"].as_array().unwrap();
    let kinds: Vec<&str> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!((&kinds[..], &reply["stop_reason"]), (&["thinking", "tool_use", "tool_use"][..], &json!("tool_use")));
    let mut messages = vec![body["messages"][0].clone(), json!({ "role": "assistant", "content": content })];
    let results: Vec<Value> = content[1..]
        .iter()
        .map(|block| json!({ "type": "tool_result", "tool_use_id": block["id"], "content": "fog", "is_error": true }))
        .collect();
    messages.push(json!({ "role": "user", "content": results }));
    body["messages"] = json!(messages);
    let reply = call(&backend, FACES[2].path, &body).await;
    assert!(reply.text().contains("an error: fog; an error: fog"), "{}", reply.text());
    body["messages"][1]["content"][0]["signature"] = json!("c29tZWJvZHkgZWxzZQ==");
    assert_eq!(call(&backend, FACES[2].path, &body).await.status, 400);

    body["messages"] = json!([{ "role": "user", "content": "a redacted thought" }]);
    body["stream"] = json!(true);
    let events = call(&backend, FACES[2].path, &body).await.events();
    assert_eq!(events[1]["content_block"]["type"], "redacted_thinking");
}

#[tokio::test]
async fn messages_search_with_citations() {
    let backend = backend().await;
    let mut body = (FACES[2].body)("search for foxes");
    body["tools"] = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
    body["stream"] = json!(true);
    let events = call(&backend, FACES[2].path, &body).await.events();
    let starts: Vec<&str> = events.iter().filter_map(|event| event["content_block"]["type"].as_str()).collect();
    assert_eq!(starts, ["server_tool_use", "web_search_tool_result", "text"]);
    assert!(events.iter().any(|event| event["delta"]["type"] == "citations_delta"));
}

#[tokio::test]
async fn messages_count_what_is_cached() {
    let backend = backend().await;
    let mut body = (FACES[2].body)("hello");
    let text = "long ".repeat(2_000);
    body["system"] = json!([{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }]);
    let first = call(&backend, FACES[2].path, &body).await.json()["usage"].clone();
    let second = call(&backend, FACES[2].path, &body).await.json()["usage"].clone();
    assert!(first["cache_creation_input_tokens"].as_u64() > Some(2_000) && first["cache_read_input_tokens"] == 0);
    assert!(second["cache_read_input_tokens"].as_u64() > Some(2_000), "{second}");
    let counted = call(&backend, "/relay/messages/v1/messages/count_tokens", &body).await.json();
    assert!(counted["input_tokens"].as_u64() > Some(2_000));
}

#[tokio::test]
async fn gemini_signs_its_calls_and_wants_them_back() {
    let backend = backend().await;
    let path = "/relay/gemini/v1beta/models/gemini-3.8-pro:generateContent";
    let mut body = (FACES[3].body)(ASK);
    let upper = json!({ "type": "OBJECT", "properties": { "city": { "type": "STRING" } }, "required": ["city"] });
    body["tools"] = json!([{ "functionDeclarations": [{ "name": "get_weather", "parameters": upper }] }]);
    let reply = call(&backend, path, &body).await.json();
    let content = reply["candidates"][0]["content"].clone();
    assert_eq!(content["parts"][1]["functionCall"]["args"], json!({ "city": "Oslo" }));
    assert!(
        content["parts"][0]["thoughtSignature"].is_string() && content["parts"][1].get("thoughtSignature").is_none()
    );
    let answer = json!({ "functionResponse": { "name": "get_weather", "response": { "result": "snow" } } });
    body["contents"] = json!([body["contents"][0], content, { "role": "user", "parts": [answer, answer] }]);
    let reply = call(&backend, path, &body).await.json();
    assert_eq!((FACES[3].text)(&reply), Some("The tool answered: snow; snow"));
    body["contents"][1]["parts"][0].as_object_mut().unwrap().remove("thoughtSignature");
    assert_eq!(call(&backend, path, &body).await.status, 400);
}

#[tokio::test]
async fn responses_reason_and_take_their_state_back() {
    let backend = backend().await;
    let mut body = json!({ "model": "gpt-5-mini", "input": "hello", "store": false,
        "reasoning": { "effort": "high", "summary": "auto" }, "include": ["reasoning.encrypted_content"] });
    let reply = call(&backend, FACES[1].path, &body).await.json();
    let item = &reply["output"][0];
    assert!(item["type"] == "reasoning" && item["encrypted_content"].is_string());
    assert!(reply["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
    body["input"] = json!([{ "role": "system", "content": "x" }, { "role": "user", "content": "a" }, item, reply["output"][1], { "role": "user", "content": "b" }]);
    let reply = call(&backend, FACES[1].path, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for (key, value, words) in [
        ("max_output_tokens", json!(5), "Expected a value >= 16, but got 5"),
        ("temperature", json!(0.5), "Unsupported parameter: 'temperature'"),
        ("max_tokens", json!(50), "Unknown parameter: 'max_tokens'."),
        ("previous_response_id", json!("resp_1"), "not found"),
        ("model", json!("gpt-4.1"), "Unsupported parameter: 'reasoning.effort'"),
    ] {
        let mut body = body.clone();
        body[key] = value;
        let reply = call(&backend, FACES[1].path, &body).await;
        assert!(reply.status == 400 && reply.text().contains(words), "{}", reply.text());
    }
    let body = json!({ "model": "gpt-4.1", "input": "hello", "include": ["reasoning.encrypted_content"] });
    let reply = call(&backend, FACES[1].path, &body).await;
    assert!(reply.text().contains("Encrypted content is not supported with this model."), "{}", reply.text());
}

#[tokio::test]
async fn responses_remember_what_is_stored() {
    let backend = backend().await;
    let mut body = json!({ "model": "gpt-5-mini", "input": "hello" });
    let reply = call(&backend, FACES[1].path, &body).await.json();
    let references: Vec<Value> = reply["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| json!({ "type": "item_reference", "id": item["id"] }))
        .collect();
    assert_eq!(references.len(), 2);
    let mut input = references.clone();
    input.push(json!({ "role": "user", "content": "and now?" }));
    body["input"] = json!(input);
    assert_eq!(call(&backend, FACES[1].path, &body).await.status, 200);
    input[0] = reply["output"][0].clone();
    body["input"] = json!(input);
    assert_eq!(call(&backend, FACES[1].path, &body).await.status, 200, "an item with its id and no state");
    input[0] = json!({ "type": "item_reference", "id": "rs_1" });
    body["input"] = json!(input);
    assert_eq!(call(&backend, FACES[1].path, &body).await.status, 404);
}

#[tokio::test]
async fn fits_schemas() {
    let backend = backend().await;
    let schema = json!({ "type": "object", "properties": { "name": { "type": "string" }, "age": { "type": "integer" } },
        "required": ["name", "age"], "additionalProperties": false });
    let google = json!({ "type": "OBJECT", "properties": { "name": { "type": "STRING" }, "age": { "type": "INTEGER" } },
        "required": ["name", "age"] });
    let changes = [
        json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "p", "strict": true, "schema": schema } } }),
        json!({ "text": { "format": { "type": "json_schema", "name": "p", "strict": true, "schema": schema } } }),
        json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } }),
        json!({ "generationConfig": { "responseMimeType": "application/json", "responseSchema": google } }),
    ];
    for (face, changes) in FACES.iter().zip(changes) {
        let mut body = (face.body)("Describe a person");
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        let reply = call(&backend, face.path, &body).await;
        let value: Value = serde_json::from_str((face.text)(&reply.json()).unwrap()).unwrap();
        assert!(value["name"].is_string() && value["age"].is_i64(), "{value}");
    }
}

#[tokio::test]
async fn sees_images() {
    let backend = backend().await;
    let bodies = [
        json!([{ "type": "text", "text": "see" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AAAAAAAA" } }]),
        json!([{ "type": "input_text", "text": "see" }, { "type": "input_image", "image_url": "data:image/png;base64,AAAAAAAA" }]),
        json!([{ "type": "text", "text": "see" }, { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAAAAAAA" } }]),
        json!([{ "text": "see" }, { "inlineData": { "mimeType": "image/png", "data": "AAAAAAAA" } }]),
    ];
    for (face, parts) in FACES.iter().zip(bodies) {
        let mut body = (face.body)("");
        if body["contents"].is_array() {
            body["contents"][0]["parts"] = parts;
        } else if body["messages"].is_array() {
            body["messages"][0]["content"] = parts;
        } else {
            body["input"] = json!([{ "role": "user", "content": parts }]);
        }
        let reply = call(&backend, face.path, &body).await;
        assert!(reply.text().contains("an image of 6 bytes"), "{}", reply.text());
    }
}

#[tokio::test]
async fn embeds_speaks_listens_and_draws() {
    let backend = backend().await;
    let at = |path: &str| format!("/relay/chat/v1/{path}");
    let body = json!({ "model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4 });
    let reply = call(&backend, &at("embeddings"), &body).await.json();
    assert_eq!(reply["data"][1]["embedding"], json!([1.0, 0.0, 0.0, 0.0]));
    let body = json!({ "model": "gpt-4o-mini-tts", "input": "hi", "voice": "alloy" });
    let reply = call(&backend, &at("audio/speech"), &body).await;
    assert_eq!((reply.header("content-type"), reply.body[0]), (Some("audio/mpeg"), 0xff));
    let body = json!({ "model": "gpt-image-1", "prompt": "a fox" });
    assert!(call(&backend, &at("images/generations"), &body).await.json()["data"][0]["b64_json"].is_string());
    assert_eq!(call(&backend, &at("embeddings"), &json!({ "model": "gpt-4.1-mini", "input": "a" })).await.status, 400);

    let form = "--b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
        --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n12345\r\n--b--\r\n";
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    let reply = exchange(&backend, &request("POST", &at("audio/transcriptions"), &headers, form.as_bytes())).await;
    assert_eq!(reply.json()["text"], "I heard 5 bytes.");

    let google = "/relay/gemini/v1beta/models/gemini-embedding-001:embedContent";
    let reply = call(&backend, google, &json!({ "content": { "parts": [{ "text": "a" }] } })).await.json();
    assert_eq!(reply["embedding"]["values"].as_array().unwrap().len(), 8);
}
