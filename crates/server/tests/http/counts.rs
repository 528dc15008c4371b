//! Counting tokens in Anthropic's and Google's formats.

use serde_json::Value;

use crate::gateway::Gateway;

async fn count(gateway: &Gateway, path: &str, body: &str) -> u64 {
    let answer = gateway.post(path, &[], body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["input_tokens"].as_u64().or(body["totalTokens"].as_u64()).unwrap_or_else(|| panic!("{body}"))
}

#[tokio::test]
async fn messages_are_counted() {
    let gateway = Gateway::start().await;
    let path = "/v1/messages/count_tokens";
    let bare = r#"{"model":"gpt-6-sol","messages":[{"role":"user","content":"Hello, how are you?"}]}"#;
    let few = count(&gateway, path, bare).await;
    assert!((6..20).contains(&few), "{few}");
    let beta = count(&gateway, "/v1/messages/count_tokens?beta=true", bare).await;
    assert_eq!(beta, few);
    let more = r#"{"model":"gpt-6-sol","system":"You are terse.","tools":[{"name":"f","description":"Does it","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}],"messages":[{"role":"user","content":[{"type":"text","text":"Hello, how are you?"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}]}]}"#;
    assert!(count(&gateway, path, more).await > few + 700, "a picture, a tool and a system prompt");
    for (body, status) in [
        (r#"{"model":"none","messages":[{"role":"user","content":"x"}]}"#, 404),
        (r#"{"model":"gpt-6-sol"}"#, 400),
        ("{", 400),
    ] {
        let refused = gateway.post(path, &[], body.as_bytes()).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.text());
        assert!(refused.text().starts_with("{\"type\":\"error\""), "{}", refused.text());
        assert!(refused.header("request-id").is_some());
    }
}

#[tokio::test]
async fn contents_are_counted() {
    let gateway = Gateway::start().await;
    let contents = r#""contents":[{"role":"user","parts":[{"text":"Hello, how are you?"}]}]"#;
    let plain = format!("{{{contents}}}");
    let few = count(&gateway, "/v1beta/models/gpt-6-sol:countTokens", &plain).await;
    assert!((6..20).contains(&few), "{few}");
    let carried = format!(
        r#"{{"generateContentRequest":{{"model":"models/gpt-6-sol",{contents},"systemInstruction":{{"parts":[{{"text":"Be terse."}}]}}}}}}"#
    );
    assert!(count(&gateway, "/v1/models/gpt-6-sol:countTokens", &carried).await > few);
    assert_eq!(count(&gateway, "/gemini/v1beta/models/models/gpt-6-sol:countTokens", &plain).await, few);
    let refused = gateway.post("/v1beta/models/none:countTokens", &[], plain.as_bytes()).await;
    assert!(refused.status == 404 && refused.text().contains("NOT_FOUND"), "{}", refused.text());
    let unknown = gateway.post("/v1beta/models/gpt-6-sol:embedContent", &[], plain.as_bytes()).await;
    assert!(unknown.status == 404 && unknown.text().contains("embedContent"), "{}", unknown.text());
    let odd = gateway.post("/v1beta/models/gpt-6-sol:streamGenerateContent?alt=proto", &[], plain.as_bytes()).await;
    assert!(odd.status == 400 && odd.text().contains("INVALID_ARGUMENT"), "{}", odd.text());
}
