//! Limits of a model that were learned from a refusal, as every client's lists and errors show them.

use offline::{Plan, Rule};
use serde_json::{Value, json};

use crate::gateway::{Gateway, ollama};
use crate::streams;

const MODEL: &str = "gpt-6-sol";

async fn get(gateway: &Gateway, path: &str, header: &str) -> Value {
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let mut headers = vec!["host: localhost", key.as_str()];
    headers.extend((!header.is_empty()).then_some(header));
    let answer = gateway.ask(&format!("GET {path}"), &headers, b"").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// The model in a list, found by the field that names it.
fn entry(list: &Value, members: &str, name: (&str, &str)) -> Value {
    let all = list[members].as_array().unwrap_or_else(|| panic!("{list}"));
    all.iter().find(|entry| entry[name.0] == name.1).cloned().unwrap_or_else(|| panic!("{list}"))
}

/// The context window in the lists of OpenAI, Anthropic, Google, Codex and Ollama, and of single models.
async fn windows(gateway: &Gateway) -> Vec<Value> {
    let one = |model: &str| format!("/v1/models/{model}");
    let openai = entry(&get(gateway, "/v1/models", "").await, "data", ("id", MODEL));
    let anthropic = entry(&get(gateway, "/v1/models", "anthropic-version: 2023-06-01").await, "data", ("id", MODEL));
    let google = entry(&get(gateway, "/v1beta/models", "").await, "models", ("name", "models/gpt-6-sol"));
    let codex = get(gateway, "/backend-api/codex/models?client_version=0.169.0", "").await;
    let codex = entry(&codex, "models", ("slug", MODEL));
    let body = json!({ "model": MODEL }).to_string();
    let headers = ["host: localhost", "content-type: application/json"];
    let shown = gateway.ask_ollama("POST /api/show", &headers, body.as_bytes()).await;
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    vec![
        openai["context_window"].clone(),
        get(gateway, &one(MODEL), "").await["context_window"].clone(),
        anthropic["max_input_tokens"].clone(),
        google["inputTokenLimit"].clone(),
        codex["context_window"].clone(),
        shown["model_info"]["gpt.context_length"].clone(),
    ]
}

#[tokio::test]
async fn every_list_shows_the_window_that_a_refusal_named() {
    let (gateway, backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    assert!(windows(&gateway).await.iter().all(|window| *window == 272_000));
    let message =
        "This model's maximum context length is 20000 tokens. However, your messages resulted in 22010 tokens.";
    let error = json!({"error": {"code": "context_length_exceeded", "message": message}});
    backend.add_rule(Rule::responses(Plan::json(400, error)));
    let prompt = "x ".repeat(22_000);
    let body =
        json!({"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": prompt}]}).to_string();
    let first = gateway.post("/v1/messages", &[], body.as_bytes()).await;
    assert_eq!(first.status, 400, "{}", first.text());
    assert_eq!(windows(&gateway).await, vec![json!(20_000); 6]);
    // The second request makes no call, and the client learns at which length to compact its conversation.
    let second = gateway.post("/v1/messages", &[], body.as_bytes()).await;
    assert_eq!((second.status, second.header("x-polygate-attempts")), (400, None));
    let reply_text = second.text();
    assert!(reply_text.contains("prompt is too long: 22") && reply_text.contains(" > 20000 maximum"), "{reply_text}");
    let note = "not sent: the upstream has refused more than 20000 tokens";
    assert_eq!(second.header("x-polygate-notes").map(|notes| notes.contains(note)), Some(true));
    assert_eq!(backend.record().model_requests().count(), 1);
}
