//! Path variants, odd methods and request ids: routed exactly or not at all.

use crate::gateway::Gateway;

#[tokio::test]
async fn variants_of_a_path_reach_nothing() {
    let gateway = Gateway::start().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    for path in [
        "//admin/keys",
        "/admin//keys",
        "/admin/keys/",
        "/admin/keys;x",
        "/admin/keys%20",
        "/admin%2fkeys",
        "/%61dmin/keys",
        "/./admin/keys",
        "/v1/../admin/keys",
        "/v1/%2e%2e/admin/keys",
        "/v1/models/..%2f..%2fadmin%2fkeys",
        "/v1/models/..;/admin/keys",
        "/ADMIN/keys",
        "/admin/Keys",
        "/admin\\keys",
        "/admin./keys",
        "/admin/keys.",
        "/admin/keys//x",
        "/v1/models//",
        "/V1/models",
        "/v1/chat/completions/",
        "/v1/chat/completions%00",
    ] {
        for method in ["GET", "POST", "DELETE", "HEAD", "OPTIONS"] {
            if method == "HEAD" {
                continue;
            }
            let answer = gateway.ask(&format!("{method} {path}"), &["host: localhost", &admin], b"").await;
            assert!(matches!(answer.status, 404 | 405), "{method} {path} -> {} {}", answer.status, answer.text());
        }
    }
    let query = gateway.ask("GET /admin/keys?x=/v1/models", &["host: localhost", &admin], b"").await;
    assert_eq!(query.status, 200, "a query is no part of the path");
}

#[tokio::test]
async fn odd_methods_are_405() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    for line in [
        "TRACE /v1/models", "OPTIONS *", "TRACE /", "OPTIONS /v1/models", "BREW /v1/models", "PUT /v1/models",
        "CONNECT localhost",
    ] {
        let answer = gateway.ask(line, &["host: localhost", &key], b"").await;
        assert_eq!(answer.status, 405, "{line}: {}", answer.text());
    }
    let answer = gateway.ask("PUT /admin/keys", &["host: localhost"], b"").await;
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    assert_eq!(gateway.ask("CONNECT evil.com:443", &["host: localhost"], b"").await.status, 421);
}

#[tokio::test]
async fn request_ids_are_kept_when_they_are_harmless() {
    let gateway = Gateway::start().await;
    let id = async |header: &str| {
        let answer = gateway.ask("GET /healthz", &["host: localhost", header], b"").await;
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("x-request-id: req_1.a-B").await, "req_1.a-B");
    assert_eq!(id("x-correlation-id: c-1").await, "c-1");
    assert_eq!(id(&format!("x-request-id: {}", "a".repeat(128))).await.len(), 128);
    for bad in ["<script>", "a b", "\u{e9}", "../x", "a%0d%0ab", "", &"a".repeat(129)] {
        let id = id(&format!("x-request-id: {bad}")).await;
        assert_eq!(id.len(), 36, "{bad} -> {id}");
    }
    let unread = gateway.ask("GET /healthz", &["host: localhost", "traceparent: <x>\"'"], b"").await;
    assert_eq!(unread.status, 200);
}

#[tokio::test]
async fn health_says_more_to_holders_of_a_key() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    for (path, anyone, holder) in [
        ("/healthz", r#"{"status":"ok"}"#, "\"version\""),
        ("/health", r#"{"status":"ok","timestamp":"#, "\"authenticated\":false,\"pool\":{\"total\":0"),
        ("/readyz", r#"{"status":"ready","reasons":["no usable account"]}"#, "\"reasons\":["),
        ("/readyz?pool", r#"{"status":"unavailable","reasons":["no usable account"]}"#, "\"reasons\":["),
    ] {
        let (line, status) = (format!("GET {path}"), if path == "/readyz?pool" { 503 } else { 200 });
        let open = gateway.ask(&line, &["host: localhost"], b"").await;
        assert!(open.status == status && open.text().starts_with(anyone), "{path}: {}", open.text());
        assert!(open.body.len() <= 200);
        let known = gateway.ask(&line, &["host: localhost", &key], b"").await;
        assert!(known.status == status && known.text().contains(holder), "{path}: {}", known.text());
    }
}

#[tokio::test]
async fn keys_are_made_listed_and_taken_back() {
    let gateway = Gateway::start().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    let json = "content-type: application/json";
    let headers = ["host: localhost", &admin, json];
    let made = gateway.ask("POST /admin/keys", &headers, br#"{"name":"laptop"}"#).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let key = format!("authorization: Bearer {key}");
    assert_eq!(gateway.ask("GET /v1/models", &["host: localhost", &key], b"").await.status, 200);
    let listed = gateway.ask("GET /admin/keys", &headers, b"").await.text();
    assert!(listed.contains(id) && listed.contains("laptop") && !listed.contains(&key[22..]), "{listed}");
    assert_eq!(gateway.ask(&format!("DELETE /admin/keys/{id}"), &headers, b"").await.status, 204);
    assert_eq!(gateway.ask("GET /v1/models", &["host: localhost", &key], b"").await.status, 401);
    assert_eq!(gateway.ask("DELETE /admin/keys/nobody", &headers, b"").await.status, 404);
    for bad in [
        &b"{}"[..],
        b"[]",
        b"{\"name\":\"\"}",
        b"{\"name\":\"x\",\"kind\":\"admin\"}",
        b"{\"name\":\"a\\u0000\"}",
        b"{",
    ] {
        let refused = gateway.ask("POST /admin/keys", &headers, bad).await;
        assert_eq!(refused.status, 400, "{}", String::from_utf8_lossy(bad));
    }
    let reader = format!("authorization: Bearer {}", gateway.keys.reader);
    let refused = gateway.ask("POST /admin/keys", &["host: localhost", &reader, json], br#"{"name":"x"}"#).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn models_are_listed_in_openais_shape() {
    let gateway = Gateway::listing(|_| {}).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let list = gateway.ask("GET /v1/models", &["host: localhost", &key], b"").await;
    let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
    let first = &list["data"][0];
    assert_eq!((list["object"].as_str(), first["object"].as_str()), (Some("list"), Some("model")));
    assert!(
        first["created"].is_u64()
            && first["context_window"].is_u64()
            && first["supported_reasoning_efforts"].is_array()
    );
    let id = first["id"].as_str().unwrap();
    let one = gateway.ask(&format!("GET /v1/models/{id}"), &["host: localhost", &key], b"").await;
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&one.body).unwrap(), *first);
    let none = gateway.ask("GET /v1/models/no-such-model", &["host: localhost", &key], b"").await;
    assert!(none.status == 404 && none.text().contains("model_not_found"), "{}", none.text());
}

/// For clients that build the path from a base URL without `/v1`, such as dspy's own client.
#[tokio::test]
async fn the_paths_that_clients_ask_for_without_the_version_are_answered() {
    let gateway = Gateway::start().await;
    for path in ["/chat/completions", "/messages", "/messages/count_tokens", "/embeddings", "/responses"] {
        let (with, without) =
            (gateway.post(&format!("/v1{path}"), &[], b"{}").await, gateway.post(path, &[], b"{}").await);
        assert!(!without.text().contains("No such endpoint"), "{path}: {}", without.text());
        assert_eq!((without.status, &without.body), (with.status, &with.body), "{path}");
        assert_eq!(gateway.ask(&format!("POST {path}"), &["host: localhost"], b"{}").await.status, 401, "{path}");
    }
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let models = async |path: &str| gateway.ask(&format!("GET {path}"), &["host: localhost", &key], b"").await.body;
    assert_eq!(models("/models").await, models("/v1/models").await);
}

#[tokio::test]
async fn a_path_that_lacks_its_version_is_told_the_base_url() {
    let gateway = Gateway::start().await;
    let lacking = gateway.post("/audio/speech", &[], b"{}").await;
    assert_eq!(lacking.status, 404);
    assert!(lacking.text().contains("/v1/audio/speech"), "{}", lacking.text());
    let doubled = gateway.post("/v1/v1/chat/completions", &[], b"{}").await;
    assert!(doubled.status == 404 && doubled.text().contains("/v1/chat/completions"), "{}", doubled.text());
    let nothing = gateway.post("/nothing", &[], b"{}").await;
    assert!(nothing.text().contains("No such endpoint") && !nothing.text().contains("/v1"), "{}", nothing.text());
    let hidden = gateway.post("/v1/admin/keys", &[], b"{}").await;
    assert!(!hidden.text().contains("base URL"), "{}", hidden.text());
}
