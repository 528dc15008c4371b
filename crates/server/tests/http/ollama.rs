//! The Ollama listener: the calls of Ollama's clients, which clients may call, and the listener's addresses.

use offline::{Endpoint, Plan, Rule};
use serde_json::{Value, json};
use server::{ClientKeyStrength, Ollama, Server, Settings};
use tempfile::TempDir;

use crate::gateway::{Gateway, count, engine, ollama, request, store};
use crate::streams;
use crate::wire::{Answer, Wire};

const JSON: &str = "content-type: application/json";

async fn bare() -> Gateway {
    Gateway::listing(|settings| settings.ollama = ollama()).await
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    gateway.ask_ollama(&format!("GET {path}"), &["host: localhost"], b"").await
}

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    gateway.ask_ollama(&format!("POST {path}"), &["host: localhost", JSON], body.to_string().as_bytes()).await
}

fn read(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
}

#[tokio::test]
async fn clients_find_what_they_look_for() {
    let gateway = bare().await;
    let root = get(&gateway, "/").await;
    assert_eq!((root.status, root.text().as_str()), (200, "Ollama is running"));
    let mut wire = Wire::open(gateway.ollama).await;
    wire.send(request("HEAD /", &["host: localhost"], b"")).await;
    assert_eq!(wire.bare_answer().await.unwrap().status, 200);
    assert_eq!(read(&get(&gateway, "/api/version").await), json!({"version": "0.18.3"}));
    let tags = read(&get(&gateway, "/api/tags").await);
    let ps = read(&get(&gateway, "/api/ps").await);
    let (first, running) = (&tags["models"][0], &ps["models"][0]);
    assert_eq!((&first["name"], &first["digest"]), (&first["model"], &running["digest"]));
    assert!(first["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{first}");
    assert!(first["details"]["families"].is_array() && first["size"].is_u64() && first["modified_at"].is_string());
    assert_eq!(running["context_length"], 272_000);
    assert_eq!(tags["models"].as_array().map(Vec::len), ps["models"].as_array().map(Vec::len));
}

/// The system S0 reported 400,000 for a model of 272,000.
#[tokio::test]
async fn a_model_is_shown_with_its_true_context() {
    let gateway = bare().await;
    for body in [
        json!({"model": "gpt-6-sol"}),
        json!({"name": "gpt-6-sol", "verbose": true}),
        json!({"model": "gpt-6-sol:latest"}),
    ] {
        let shown = read(&post(&gateway, "/api/show", &body).await);
        let family = shown["model_info"]["general.architecture"].as_str().unwrap();
        assert_eq!(shown["model_info"][format!("{family}.context_length")], 272_000, "{shown}");
        assert_eq!(shown["capabilities"], json!(["completion", "tools", "vision", "thinking"]));
        assert!(shown["details"]["family"].is_string());
    }
    for (body, status) in
        [(json!({"model": "none"}), 404), (json!({"model": ""}), 404), (json!({}), 400), (json!([]), 400)]
    {
        let refused = post(&gateway, "/api/show", &body).await;
        assert!(refused.status == status && refused.text().starts_with("{\"error\":\""), "{body}: {}", refused.text());
    }
    let blind = Gateway::with(|settings| settings.ollama = Ollama { disable_vision: true, ..ollama() }).await;
    let shown = read(&post(&blind, "/api/show", &json!({"model": "gpt-6-sol"})).await);
    assert_eq!(shown["capabilities"], json!(["completion", "tools", "thinking"]));
}

#[tokio::test]
async fn what_manages_models_is_refused_clearly() {
    let gateway = bare().await;
    for path in ["pull", "push", "create", "copy", "embed", "embeddings", "blobs/sha256:00"] {
        let refused =
            post(&gateway, &format!("/api/{path}"), &json!({"model": "x", "input": "a", "prompt": "a"})).await;
        let status = if path.starts_with("embed") { 404 } else { 400 };
        assert!(refused.status == status && refused.text().starts_with("{\"error\":\""), "{path}: {}", refused.text());
    }
    let refused = post(&gateway, "/api/embed", &json!({"model": "x", "input": []})).await;
    assert_eq!(refused.status, 404, "a load is one of a model that is there");
    let refused = gateway.ask_ollama("DELETE /api/delete", &["host: localhost"], b"").await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn embeddings_come_from_a_relay_that_has_them() {
    let (gateway, backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    let relay = json!({
        "provider": "custom", "baseUrl": format!("{}/relay/chat/v1", backend.auth_url()), "allowPrivate": true,
        "apiKey": "sk-offline-canary-0123456789", "label": "far", "capabilities": ["chat", "embeddings"],
    });
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    let added =
        gateway.ask("POST /auth/api-keys", &["host: localhost", JSON, &admin], relay.to_string().as_bytes()).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let many =
        json!({"model": "text-embedding-3-small:latest", "input": ["a", "b"], "dimensions": 4, "truncate": false});
    let answer = post(&gateway, "/api/embed", &many).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-polygate-notes"), Some("dropped truncate"));
    assert_eq!(backend.record().requests_to(Endpoint::RelayMedia).count(), 1, "the name was chosen before the call");
    let body = read(&answer);
    assert_eq!(body["model"], many["model"]);
    let sizes: Vec<usize> =
        body["embeddings"].as_array().unwrap().iter().map(|vector| vector.as_array().unwrap().len()).collect();
    assert_eq!(sizes, [4, 4], "{body}");
    assert!(body["prompt_eval_count"].as_u64().is_some_and(|count| count > 0) && body["total_duration"].is_u64());
    assert!(answer.header("x-polygate-account").is_some());
    let one =
        read(&post(&gateway, "/api/embeddings", &json!({"model": "text-embedding-3-small", "prompt": "a"})).await);
    assert!(one["embedding"].as_array().is_some_and(|vector| !vector.is_empty()), "{one}");
    let none = read(&post(&gateway, "/api/embed", &json!({"model": "text-embedding-3-small", "input": []})).await);
    assert_eq!(none["embeddings"], json!([]));
    for (body, status) in [(json!({"model": "text-embedding-3-small", "input": 7}), 400), (json!({"input": "a"}), 400)]
    {
        let refused = post(&gateway, "/api/embed", &body).await;
        assert!(refused.status == status && refused.text().starts_with("{\"error\":\""), "{body}: {}", refused.text());
    }
}

#[tokio::test]
async fn a_load_needs_no_account() {
    let gateway = bare().await;
    let loaded = read(&post(&gateway, "/api/generate", &json!({"model": "gpt-6-sol:latest", "stream": false})).await);
    assert_eq!(
        (&loaded["response"], &loaded["done"], &loaded["done_reason"]),
        (&json!(""), &json!(true), &json!("load"))
    );
    let unloaded = json!({"model": "gpt-6-sol", "messages": [], "keep_alive": 0, "stream": false});
    assert_eq!(read(&post(&gateway, "/api/chat", &unloaded).await)["done_reason"], "unload");
    let missing = post(&gateway, "/api/chat", &json!({"model": "none", "messages": [], "stream": false})).await;
    assert_eq!(missing.status, 404);
}

/// A chat streams by default, its model names may have a tag, and its figures are not zero.
#[tokio::test]
async fn a_chat_streams_by_default_and_counts() {
    let (gateway, backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    let mut wire = Wire::open(gateway.ollama).await;
    let body = json!({"model": "gpt-6-sol:latest", "messages": [{"role": "user", "content": "count to 3"}]});
    wire.send(request("POST /api/chat", &["host: localhost", JSON], body.to_string().as_bytes())).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"), "{}", answer.text());
    let text = answer.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert!(lines.len() > 3, "{text}");
    let numbers = ["total_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"];
    assert!(numbers.iter().all(|name| last[name].as_u64().is_some_and(|number| number > 0)), "{last}");
    assert!(last["total_duration"].as_u64() >= last["eval_duration"].as_u64());
    let whole = json!({"model": "gpt-6-sol", "stream": false, "messages": [{"role": "user", "content": "count to 3"}]});
    let whole = read(&post(&gateway, "/api/chat", &whole).await);
    assert!(numbers.iter().all(|name| whole[name].as_u64().is_some_and(|number| number > 0)), "{whole}");
    assert_eq!(backend.record().model_requests().count(), 2);
}

#[tokio::test]
async fn openais_and_anthropics_paths_are_there_without_a_key() {
    let (gateway, _backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    let messages = json!([{"role": "user", "content": "Reply with exactly: yes"}]);
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "gpt-6-sol", "messages": messages})),
        ("/v1/messages", json!({"model": "gpt-6-sol", "max_tokens": 99, "messages": messages})),
        ("/v1/responses", json!({"model": "gpt-6-sol", "input": messages})),
        ("/v1/messages/count_tokens", json!({"model": "gpt-6-sol", "messages": messages})),
    ] {
        let answer = post(&gateway, path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    assert_eq!(get(&gateway, "/v1/models").await.status, 200);
    assert_eq!(read(&get(&gateway, "/v1/models/gpt-6-sol").await)["id"], "gpt-6-sol");
    for path in ["/admin/keys", "/healthz", "/v1beta/models", "/api/tags/x"] {
        assert_eq!(get(&gateway, path).await.status, 404, "{path} is not on this listener");
    }
}

#[tokio::test]
async fn an_admin_token_opens_nothing_here_and_a_wrong_key_does_not_matter() {
    let gateway = bare().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    let tags = async |key: &str| gateway.ask_ollama("GET /api/tags", &["host: localhost", key], b"").await.status;
    assert_eq!(tags(&admin).await, 403);
    assert_eq!(tags("authorization: Bearer ollama").await, 200);
    assert_eq!(tags(&format!("x-api-key: {}", gateway.keys.client)).await, 200);
}

/// A5 on this listener: requests that a web page can send without a preflight reach nothing; a page of this machine may call.
#[tokio::test]
async fn foreign_pages_reach_nothing_and_local_ones_may_ask() {
    let (gateway, backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    let body = br#"{"model":"gpt-6-sol","stream":false,"prompt":"x","messages":[{"role":"user","content":"x"}]}"#;
    for path in ["/api/chat", "/api/generate", "/v1/chat/completions"] {
        for (headers, status) in [
            (&["host: localhost", JSON, "origin: https://evil.com"][..], 403),
            (&["host: localhost", JSON, "origin: null"], 403),
            (&["host: localhost", JSON, "sec-fetch-site: cross-site"], 403),
            (&["host: localhost", JSON, "sec-fetch-site: same-site"], 403),
            (&["host: localhost", "content-type: text/plain", "origin: http://localhost:3000"], 415),
            (&["host: localhost", "content-type: text/plain", "sec-fetch-site: none"], 415),
            (&["host: localhost", "sec-fetch-site: none"], 415),
            (&["host: evil.com", JSON], 421),
            (&["host: evil.com", JSON, "origin: http://evil.com"], 421),
        ] {
            let answer = gateway.ask_ollama(&format!("POST {path}"), headers, body).await;
            assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        }
    }
    // A page may send a form anywhere without a preflight.
    let form = "content-type: multipart/form-data; boundary=b";
    for site in ["origin: https://evil.com", "origin: null", "sec-fetch-site: cross-site"] {
        let answer = gateway.ask_ollama("POST /v1/images/edits", &["host: localhost", form, site], b"--b--").await;
        assert_eq!(answer.status, 403, "{site}: {}", answer.text());
    }
    assert_eq!(backend.record().model_requests().count(), 0);
    let page = "origin: http://localhost:3000";
    let answer = gateway.ask_ollama("POST /api/generate", &["host: localhost", JSON, page], body).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("http://localhost:3000")));
    let preflight = ["host: localhost", page, "access-control-request-method: POST", "sec-fetch-site: same-site"];
    let answer = gateway.ask_ollama("OPTIONS /api/chat", &preflight, b"").await;
    assert_eq!((answer.status, answer.header("access-control-allow-methods")), (204, Some("POST, OPTIONS")));
    let foreign = ["host: localhost", "origin: https://evil.com", "access-control-request-method: POST"];
    assert_eq!(gateway.ask_ollama("OPTIONS /api/chat", &foreign, b"").await.status, 403);
    assert_eq!(gateway.ask("OPTIONS /v1/models", &preflight, b"").await.status, 403, "on the gateway a key is not all");
}

async fn bind(change: impl FnOnce(&mut Settings)) -> Result<Server, String> {
    let home = TempDir::new().unwrap();
    let engine = engine(store(&home).await, "http://127.0.0.1:1").await;
    let mut settings = Settings { port: 0, ollama: ollama(), ..Settings::default() };
    change(&mut settings);
    Server::bind(settings, engine).map_err(|error| error.to_string())
}

fn public() -> Ollama {
    Ollama { hosts: vec!["0.0.0.0".parse().unwrap()], ..ollama() }
}

#[tokio::test]
async fn another_address_than_loopback_needs_a_yes_and_a_key() {
    let refused = bind(|settings| settings.ollama = public()).await.err().unwrap();
    assert!(refused.contains("ollama.allow_remote") && refused.contains("ollama.host"), "{refused}");
    let allowed = Ollama { allow_remote: true, ..public() };
    let refused = bind(|settings| settings.ollama = allowed.clone()).await.err().unwrap();
    assert!(refused.contains("polygate keys create"), "{refused}");
    let gateway =
        Gateway::with(|settings| (settings.ollama, settings.keys) = (allowed, ClientKeyStrength::Generated)).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let tags = async |key: &str| gateway.ask_ollama("GET /api/tags", &["host: 127.0.0.1", key], b"").await;
    assert_eq!(tags("x-none: 1").await.status, 401);
    assert_eq!(tags("authorization: Bearer ollama").await.status, 401);
    assert_eq!(tags(&key).await.status, 200);
    assert_eq!(get(&gateway, "/").await.status, 200);
    assert_eq!(count(&gateway.counters.unauthorized), 2);
}

#[tokio::test]
async fn its_state_is_told_to_admins() {
    let gateway = bare().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.reader);
    let status = async |gateway: &Gateway, admin: &str| {
        read(&gateway.ask("GET /admin/ollama-status", &["host: localhost", admin], b"").await)
    };
    let running = status(&gateway, &admin).await;
    assert_eq!(
        (&running["enabled"], &running["running"], &running["error"]),
        (&json!(true), &json!(true), &Value::Null)
    );
    assert_eq!(running["endpoint"], format!("http://127.0.0.1:{}", gateway.ollama));
    assert!(running["started_at"].is_u64() && running["version"] == "0.18.3");
    let off = Gateway::start().await;
    let state = status(&off, &format!("authorization: Bearer {}", off.keys.reader)).await;
    assert_eq!(
        (&state["enabled"], &state["running"], &state["endpoint"]),
        (&json!(false), &json!(false), &Value::Null)
    );
    // Ollama itself has the port: the gateway still serves, and reports why this listener does not.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let blocked = Gateway::with(|settings| settings.ollama = Ollama { port, ..ollama() }).await;
    let state = status(&blocked, &format!("authorization: Bearer {}", blocked.keys.reader)).await;
    assert_eq!((&state["enabled"], &state["running"]), (&json!(true), &json!(false)));
    assert!(
        state["error"].as_str().is_some_and(|why| why.contains("in use") && why.contains("ollama.port")),
        "{state}"
    );
}

#[tokio::test]
async fn both_listeners_drain_together() {
    let (gateway, backend) = streams::gateway(|settings| settings.ollama = ollama()).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, offline::Wait::Gate("go".to_owned()))));
    let mut wire = Wire::open(gateway.ollama).await;
    let body = json!({"model": "gpt-6-sol", "prompt": "count to 9"});
    wire.send(request("POST /api/generate", &["host: localhost", JSON], body.to_string().as_bytes())).await;
    wire.begun().await;
    gateway.shutdown.cancel();
    backend.release("go");
    let text = wire.answer().await.unwrap().text();
    assert!(text.contains("\"done\":true") && !text.contains("error"), "{text}");
    gateway.stopped().await;
}

/// LiteLLM's provider sends no content type, other programs the type of a form. Only browsers need the rule, and their headers identify
/// them.
#[tokio::test]
async fn a_body_of_any_type_is_read_unless_a_browser_sends_it() {
    let gateway = bare().await;
    let body = br#"{"model": "gpt-6-sol"}"#;
    let ask = async |headers: &[&str]| {
        let headers = [&["host: localhost"], headers].concat();
        gateway.ask_ollama("POST /api/show", &headers, body).await.status
    };
    for kind in ["x-none: 1", "content-type: text/plain", "content-type: application/x-www-form-urlencoded"] {
        assert_eq!(ask(&[kind]).await, 200, "{kind}");
        for page in ["origin: http://localhost:3000", "sec-fetch-site: none", "sec-fetch-mode: no-cors"] {
            assert_eq!(ask(&[kind, page]).await, 415, "{kind} {page}");
            assert_eq!(ask(&[JSON, page]).await, 200, "{page}");
        }
    }
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let own = gateway.ask("POST /v1/responses", &["host: localhost", &key], body).await;
    assert_eq!(own.status, 415, "the gateway's own listener keeps the rule");
}

#[tokio::test]
async fn base_urls_without_the_version_are_answered() {
    let gateway = bare().await;
    for path in ["/chat/completions", "/responses", "/messages", "/messages/count_tokens", "/embeddings"] {
        let with = post(&gateway, &format!("/v1{path}"), &json!({})).await;
        let without = post(&gateway, path, &json!({})).await;
        assert!(!without.text().contains("No such endpoint"), "{path}: {}", without.text());
        assert_eq!((without.status, &without.body), (with.status, &with.body), "{path}");
    }
    assert_eq!(get(&gateway, "/models").await.body, get(&gateway, "/v1/models").await.body);
}
