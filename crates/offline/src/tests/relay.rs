//! The public APIs over TCP connections.

use serde_json::{Value, json};

use super::client::{Reply, backend, exchange, request};
use crate::{Endpoint, Plan, Rule, Running, Termination, Violation};

const KEY: &str = "sk-offline-test";

/// One request with the key in the header that the API requires.
async fn call(backend: &Running, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {KEY}");
    let mut headers = vec![("content-type", "application/json")];
    match path.split('/').nth(2) {
        Some("messages") => headers.extend([("x-api-key", KEY), ("anthropic-version", "2023-06-01")]),
        Some("gemini") => headers.push(("x-goog-api-key", KEY)),
        _ => headers.push(("authorization", bearer.as_str())),
    }
    let (method, body) = if body.is_null() { ("GET", String::new()) } else { ("POST", body.to_string()) };
    exchange(backend, &request(method, path, &headers, body.as_bytes())).await
}

/// One API: its endpoint and paths, a body for a prompt, and the text of a reply.
struct Face {
    place: Endpoint,
    path: &'static str,
    streamed: &'static str,
    body: fn(&str) -> Value,
    text: fn(&Value) -> Option<&str>,
    delta: fn(&Value) -> Option<&str>,
    /// A text that the stream's end contains.
    end: &'static str,
}

const FACES: [Face; 4] = [
    Face {
        place: Endpoint::ChatRelay,
        path: "/relay/chat/v1/chat/completions",
        streamed: "/relay/chat/v1/chat/completions",
        body: |prompt| json!({ "model": "gpt-4.1-mini", "messages": [{ "role": "user", "content": prompt }] }),
        text: |body| body["choices"][0]["message"]["content"].as_str(),
        delta: |event| event["choices"][0]["delta"]["content"].as_str(),
        end: "data: [DONE]\n\n",
    },
    Face {
        place: Endpoint::ResponsesRelay,
        path: "/relay/responses/v1/responses",
        streamed: "/relay/responses/v1/responses",
        body: |prompt| json!({ "model": "gpt-4.1", "input": prompt }),
        text: |body| body["output"][0]["content"][0]["text"].as_str(),
        delta: |event| event["delta"].as_str(),
        end: "event: response.completed\n",
    },
    Face {
        place: Endpoint::MessagesRelay,
        path: "/relay/messages/v1/messages",
        streamed: "/relay/messages/v1/messages",
        body: |prompt| json!({ "model": "claude-haiku-5", "max_tokens": 1000, "messages": [{ "role": "user", "content": prompt }] }),
        text: |body| body["content"][0]["text"].as_str(),
        delta: |event| event["delta"]["text"].as_str(),
        end: "event: message_stop\n",
    },
    Face {
        place: Endpoint::GeminiRelay,
        path: "/relay/gemini/v1beta/models/gemini-3.8-flash:generateContent",
        streamed: "/relay/gemini/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        body: |prompt| json!({ "contents": [{ "role": "user", "parts": [{ "text": prompt }] }] }),
        text: |body| body["candidates"][0]["content"]["parts"][0]["text"].as_str(),
        delta: |event| event["candidates"][0]["content"]["parts"][0]["text"].as_str(),
        end: "\"finishReason\":\"STOP\"",
    },
];

impl Face {
    fn stream(&self, prompt: &str) -> Value {
        let mut body = (self.body)(prompt);
        if self.place != Endpoint::GeminiRelay {
            body["stream"] = json!(true);
        }
        body
    }

    /// The text of a stream; the last line of a Chat stream is not JSON.
    fn reply_text(&self, reply: &Reply) -> String {
        let text = reply.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        let events: Vec<Value> = data.map(|data| serde_json::from_str(data).unwrap()).collect();
        events.iter().filter_map(|event| (self.delta)(event)).collect()
    }
}

#[tokio::test]
async fn answers_whole_and_in_streams() {
    let backend = backend().await;
    for face in FACES {
        let reply = call(&backend, face.path, &(face.body)("Reply with exactly: pong pong")).await;
        assert_eq!((reply.status, (face.text)(&reply.json())), (200, Some("pong pong")), "{}", reply.text());
        let numbers: Vec<String> = (1..=50).map(|number: u32| number.to_string()).collect();
        let reply = call(&backend, face.streamed, &face.stream("count to 50")).await;
        assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
        assert_eq!(face.reply_text(&reply), numbers.join(" "));
        assert!(reply.text().contains(face.end), "{}", face.path);
    }
    let record = backend.record();
    for face in FACES {
        let seen: Vec<_> = record.requests_to(face.place).collect();
        assert_eq!((seen.len(), seen[1].prompt.as_deref()), (2, Some("count to 50")));
        assert_eq!(seen[0].account.as_deref(), Some(KEY));
    }
    assert!(record.offences.is_empty());
}

#[tokio::test]
async fn counts_alike_whole_and_streamed() {
    let backend = backend().await;
    let usage =
        |body: &Value| ["/usage", "/response/usage", "/usageMetadata"].iter().find_map(|at| body.pointer(at)).cloned();
    for face in FACES {
        let mut body = face.stream("count to 7");
        if face.place == Endpoint::ChatRelay {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let whole = call(&backend, face.path, &(face.body)("count to 7")).await.json();
        let reply = call(&backend, face.streamed, &body).await;
        let text = reply.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        let usages: Vec<Value> = events.filter_map(|event| usage(&event).filter(|usage| !usage.is_null())).collect();
        let last = usages.last().unwrap();
        let output = |usage: &Value| {
            let names = ["completion_tokens", "output_tokens", "candidatesTokenCount"];
            names.iter().find_map(|name| usage[*name].as_u64())
        };
        assert!(output(last).unwrap() >= 7, "{last}");
        assert_eq!(output(last), output(&usage(&whole).unwrap()), "{}", face.path);
    }
}

#[tokio::test]
async fn ends_at_limits_and_stops() {
    let backend = backend().await;
    let cases = [
        (0, json!({ "max_tokens": 3 }), "1 2 3", json!("length")),
        (0, json!({ "stop": [" 4"] }), "1 2 3", json!("stop")),
        (2, json!({ "max_tokens": 3 }), "1 2 3", json!("max_tokens")),
        (2, json!({ "stop_sequences": [" 4"] }), "1 2 3", json!("stop_sequence")),
        (3, json!({ "generationConfig": { "stopSequences": [" 4"] } }), "1 2 3", json!("STOP")),
    ];
    for (at, changes, text, reason) in cases {
        let face = &FACES[at];
        let mut body = (face.body)("count to 50");
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        let reply = call(&backend, face.path, &body).await.json();
        let reasons = ["/choices/0/finish_reason", "/stop_reason", "/candidates/0/finishReason"];
        let found = reasons.iter().find_map(|at| reply.pointer(at)).unwrap();
        assert_eq!(((face.text)(&reply), found), (Some(text), &reason), "{changes}");
    }
    let mut body = (FACES[1].body)("count to 50");
    body["max_output_tokens"] = json!(16);
    let reply = call(&backend, FACES[1].path, &body).await.json();
    assert_eq!(reply["incomplete_details"], json!({ "reason": "max_output_tokens" }));
    assert_eq!((FACES[1].text)(&reply).unwrap().split(' ').count(), 16);
}

#[tokio::test]
async fn refuses_wrong_keys_in_its_own_words() {
    let backend = backend().await;
    let post = |path: &'static str, headers: Vec<(&'static str, &'static str)>| {
        let headers: Vec<_> = headers.into_iter().chain([("content-type", "application/json")]).collect();
        request("POST", path, &headers, b"{}")
    };
    let cases = [
        (post(FACES[0].path, vec![]), 401, "You didn't provide an API key"),
        (post(FACES[0].path, vec![("authorization", "Bearer sk-wrong-and-long")]), 401, "sk-**"),
        (post(FACES[1].path, vec![("authorization", "Bearer sk-wrong-and-long")]), 401, "Incorrect API key"),
        (post(FACES[2].path, vec![("x-api-key", "sk-wrong")]), 401, "invalid x-api-key"),
        (post(FACES[2].path, vec![]), 401, "x-api-key header is required"),
        (post(FACES[2].path, vec![("x-api-key", KEY)]), 400, "anthropic-version: header is required"),
        (post(FACES[3].path, vec![("x-goog-api-key", "sk-wrong")]), 400, "API key not valid"),
        (post(FACES[3].path, vec![]), 403, "unregistered callers"),
        (post("/relay/chat/v1/responses", vec![]), 404, "Invalid URL (POST /v1/responses)"),
        (post("/relay/messages/v1/chat/completions", vec![]), 404, "Not found"),
        (post("/relay/gemini/v1beta/nothing", vec![]), 404, "Error 404"),
    ];
    for (bytes, status, words) in cases {
        let reply = exchange(&backend, &bytes).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        assert!(reply.text().contains(words), "{}", reply.text());
    }
    assert!(backend.record().offences.is_empty());
    let squeezed = [("authorization", "Bearer sk-offline"), ("content-encoding", "zstd")];
    assert_eq!(exchange(&backend, &request("POST", FACES[0].path, &squeezed, b"{}")).await.status, 415);
    assert!(matches!(backend.record().offences[..], [Violation::WrongEncoding { .. }]));
}

#[tokio::test]
async fn is_scripted_like_the_backend() {
    let backend = backend().await;
    for face in FACES {
        let place = face.place;
        backend.add_rule(Rule::at(place, Plan::relay_limit(place, 7)).account(KEY).prompt("hello"));
        backend.add_rule(Rule::at(place, Plan::relay_key(place)));
        let failed = Termination::Failed { code: "overloaded_error".into(), message: "Overloaded".into() };
        backend.add_rule(Rule::at(place, Plan::auto().cut_event(3, failed)));
        backend.add_rule(Rule::at(place, Plan::auto().cut_event(3, Termination::Reset)));
        let limited = call(&backend, face.path, &(face.body)("hello")).await;
        assert_eq!(limited.status, 429);
        assert!(limited.header("retry-after") == Some("7") || limited.text().contains("\"retryDelay\":\"7s\""));
        assert!(matches!(call(&backend, face.path, &(face.body)("hello")).await.status, 400 | 401));
        let failed = call(&backend, face.streamed, &face.stream("count to 50")).await;
        assert!(failed.whole && failed.text().contains("Overloaded"), "{}", failed.text());
        assert!(call(&backend, face.streamed, &face.stream("count to 50")).await.reset);
        assert!(backend.pending_rules().is_empty());
    }
}

#[tokio::test]
async fn lists_models_in_pages() {
    let backend = backend().await;
    let get = async |path: &str| call(&backend, path, &Value::Null).await;
    let list = get("/relay/chat/v1/models").await.json();
    assert!(list["data"].as_array().unwrap().iter().any(|model| model["id"] == "qwen/qwen3-coder"));
    assert_eq!(get("/relay/chat/v1/models/qwen%2Fqwen3-coder").await.json()["object"], "model");
    assert_eq!(get("/relay/responses/v1/models/nope").await.status, 404);
    let first = get("/relay/messages/v1/models?limit=2").await.json();
    assert_eq!((&first["has_more"], &first["last_id"]), (&json!(true), &json!("claude-sonnet-5-5")));
    let second = get("/relay/messages/v1/models?limit=2&after_id=claude-sonnet-5-5").await.json();
    assert_eq!((&second["has_more"], &second["data"][0]["id"]), (&json!(false), &json!("claude-haiku-5")));
    let first = get("/relay/gemini/v1beta/models?pageSize=3").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = get(&format!("/relay/gemini/v1beta/models?pageSize=3&pageToken={token}")).await.json();
    assert_eq!(second["models"][0]["name"], "models/gemini-embedding-001");
    assert!(second.get("nextPageToken").is_none());
    assert_eq!(get("/relay/gemini/v1/models/gemini-3.8-pro").await.json()["displayName"], "Gemini 3.8 Pro");
}

#[tokio::test]
async fn streams_an_array_when_events_are_not_asked_for() {
    let backend = backend().await;
    let path = "/relay/gemini/v1beta/models/gemini-3.8-flash:streamGenerateContent";
    let reply = call(&backend, path, &(FACES[3].body)("count to 3")).await;
    assert!(reply.header("content-type").unwrap().starts_with("application/json"));
    let chunks = reply.json();
    let texts: String = chunks.as_array().unwrap().iter().filter_map(|chunk| (FACES[3].delta)(chunk)).collect();
    assert_eq!(texts, "1 2 3");
}

mod tools;
