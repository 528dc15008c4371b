//! The endpoints beside the model requests: compaction in one answer, search, images, feeds, and background requests.

use serde_json::{Value, json};

use super::client::{Reply, ask, backend, classic, exchange, get, request};
use crate::{FakeAccount, Running, Versions};

async fn send(backend: &Running, account: &FakeAccount, path: &str, body: &Value) -> Reply {
    let bearer = format!("Bearer {}", account.access);
    let headers = [
        ("authorization", bearer.as_str()),
        ("chatgpt-account-id", account.account_id.as_str()),
        ("content-type", "application/json"),
    ];
    let path = format!("/backend-api/codex/{path}");
    exchange(backend, &request("POST", &path, &headers, body.to_string().as_bytes())).await
}

#[tokio::test]
async fn compacts_in_one_answer() {
    let backend = backend().await;
    let account = backend.account("plus");
    let input = json!([
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Remember the fox." }] },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I do." }] },
    ]);
    let body = json!({ "model": "gpt-5.5", "instructions": "Be short.", "input": input, "tools": [] });
    let reply = send(&backend, &account, "responses/compact", &body).await;
    assert_eq!((reply.status, &reply.json()["object"]), (200, &json!("response.compaction")));
    let output = reply.json()["output"].clone();
    assert_eq!((&output[0], &output[1]["type"]), (&input[0], &json!("compaction")));

    let mut next = classic("Reply with exactly: on");
    next["input"].as_array_mut().unwrap().splice(0..0, output.as_array().unwrap().clone());
    assert_eq!(ask(&backend, &account, &next).await.reply_text(), "on");
    let other = backend.account("plus");
    assert_eq!(ask(&backend, &other, &next).await.json()["error"]["code"], "invalid_encrypted_content");

    let wrong = json!({ "model": "gpt-5.5", "input": input, "stream": true });
    let reply = send(&backend, &account, "responses/compact", &wrong).await;
    assert_eq!((reply.status, reply.json()), (400, json!({ "detail": "Unsupported parameter: stream" })));
}

#[tokio::test]
async fn a_trigger_is_the_last_item() {
    let backend = backend().await;
    let account = backend.account("plus");
    let mut body = classic("hello");
    body["input"].as_array_mut().unwrap().insert(0, json!({ "type": "compaction_trigger" }));
    assert_eq!(ask(&backend, &account, &body).await.status, 400);
    body["input"].as_array_mut().unwrap().rotate_left(1);
    let items = ask(&backend, &account, &body).await.items();
    assert_eq!((items.len(), &items[0]["type"]), (1, &json!("compaction")));
}

#[tokio::test]
async fn searches() {
    let backend = backend().await;
    let account = backend.account("plus");
    for body in [
        json!({ "id": "session", "model": "gpt-5.5", "commands": { "search_query": [{ "q": "foxes" }] } }),
        json!({ "query": "foxes" }),
        json!({ "queries": ["foxes"] }),
    ] {
        let reply = send(&backend, &account, "alpha/search", &body).await.json();
        assert_eq!(reply["results"][0]["snippet"], "About foxes.");
        assert!(reply["output"].as_str().unwrap().contains("foxes"));
    }
    assert_eq!(send(&backend, &account, "alpha/search", &json!({ "id": "session" })).await.status, 400);
}

#[tokio::test]
async fn draws_and_edits_as_the_image_endpoints_do() {
    let backend = backend().await;
    let (account, free) = (backend.account("plus"), backend.account("free"));
    let body = json!({ "prompt": "a red circle", "background": "opaque", "model": "gpt-image-2", "quality": "auto",
        "size": "1024x1536" });
    let reply = send(&backend, &account, "images/generations", &body).await.json();
    assert_eq!((&reply["size"], &reply["quality"]), (&json!("1024x1536"), &json!("low")));
    assert!(reply["data"][0]["b64_json"].is_string() && reply["usage"]["total_tokens"] == 24);
    assert_eq!(send(&backend, &free, "images/generations", &body).await.status, 403);

    let mut edit = body.clone();
    assert_eq!(send(&backend, &account, "images/edits", &edit).await.status, 400, "there is no image");
    edit["images"] = json!([{ "image_url": "data:image/png;base64,AAAA" }]);
    assert_eq!(send(&backend, &account, "images/edits", &edit).await.status, 200);
    assert_eq!(send(&backend, &account, "images/generations", &edit).await.status, 400);
    for (name, value) in [("n", json!(2)), ("mask", json!({})), ("style", json!("vivid")), ("model", json!("dall-e-3"))]
    {
        let mut wrong = body.clone();
        wrong[name] = value;
        assert_eq!(send(&backend, &account, "images/generations", &wrong).await.status, 400, "{name}");
    }
}

#[tokio::test]
async fn publishes_versions() {
    let backend = backend().await;
    let read = async |path: &str| exchange(&backend, &request("GET", path, &[], b"")).await;
    let latest = read("/feed/repos/openai/codex/releases/latest").await.json();
    assert_eq!(latest, json!({ "tag_name": "rust-v0.169.0", "name": "0.169.0", "prerelease": false, "assets": [] }));
    let versions = Versions { cli: "0.170.1".to_owned(), app: "27.101.5".to_owned(), build: "5000".to_owned() };
    backend.publish(versions);
    assert!(backend.cli_feed().ends_with("/feed/repos/openai/codex/releases/latest"));
    assert_eq!(read("/feed/repos/openai/codex/releases/latest").await.json()["tag_name"], "rust-v0.170.1");
    let appcast = read("/feed/appcast.xml").await;
    assert_eq!(appcast.header("content-type"), Some("application/xml"));
    assert!(appcast.text().contains("<sparkle:shortVersionString>27.101.5</sparkle:shortVersionString>"));
}

#[tokio::test]
async fn answers_noise_quietly() {
    let backend = backend().await;
    let account = backend.account("plus");
    for path in ["wham/settings/user", "wham/workspace-messages", "wham/security-setup", "ps/plugins/list"] {
        let reply = get(&backend, &account, &format!("/backend-api/{path}"), &[]).await;
        assert_eq!(reply.status, 200, "{path}");
    }
    assert_eq!(send(&backend, &account, "analytics-events/events", &json!({ "events": [] })).await.status, 200);
    assert_eq!(send(&backend, &account, "nowhere", &json!({})).await.status, 404);
}
