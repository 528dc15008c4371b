//! Requests that a web page can send without a preflight: none may reach the engine, on the strictest and on the most open settings.

use crate::gateway::{Gateway, count, request};
use crate::wire::{Answer, Wire};

const BODY: &[u8] = br#"{"model":"gpt-6-sol","input":"burn my quota","messages":[{"role":"user","content":"x"}]}"#;

/// Requests as browsers send them for a page of another origin: method, headers.
const PAGES: [(&str, &[&str]); 13] = [
    (
        "POST",
        &[
            "content-type: text/plain;charset=UTF-8",
            "origin: https://evil.com",
            "sec-fetch-site: cross-site",
            "sec-fetch-mode: no-cors",
        ],
    ),
    (
        "POST",
        &[
            "content-type: application/x-www-form-urlencoded",
            "origin: null",
            "sec-fetch-site: cross-site",
            "sec-fetch-mode: navigate",
        ],
    ),
    (
        "POST",
        &["content-type: multipart/form-data; boundary=x", "origin: https://evil.com", "sec-fetch-site: cross-site"],
    ),
    ("POST", &["content-type: text/plain", "origin: http://localhost:3000", "sec-fetch-site: same-site"]),
    // sendBeacon, a service worker, and JSON from a page whose preflight was somehow passed.
    (
        "POST",
        &[
            "content-type: text/plain", "origin: https://evil.com", "sec-fetch-dest: empty",
            "sec-fetch-site: cross-site",
        ],
    ),
    (
        "POST",
        &[
            "content-type: application/json", "origin: https://evil.com", "sec-fetch-dest: serviceworker",
            "service-worker: script",
        ],
    ),
    ("POST", &["content-type: application/json", "origin: https://evil.com"]),
    // An old browser, which sends no header about the page: only the media type can be checked.
    ("POST", &["content-type: text/plain", "user-agent: Mozilla/5.0"]),
    ("POST", &["content-type: application/x-www-form-urlencoded", "user-agent: Mozilla/5.0"]),
    ("POST", &["user-agent: Mozilla/5.0"]),
    ("GET", &["sec-fetch-site: cross-site", "sec-fetch-dest: image", "sec-fetch-mode: no-cors"]),
    (
        "GET",
        &[
            "sec-fetch-site: cross-site", "sec-fetch-dest: script", "accept: text/event-stream",
            "origin: https://evil.com",
        ],
    ),
    (
        "GET",
        &[
            "upgrade: websocket", "connection: upgrade", "origin: https://evil.com", "sec-fetch-site: cross-site",
            "sec-fetch-mode: websocket",
        ],
    ),
];

async fn visit(gateway: &Gateway, path: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (method, headers) in PAGES {
        let mut headers = headers.to_vec();
        headers.push("host: localhost");
        let body = if method == "POST" { BODY } else { b"" };
        answers.push(gateway.ask(&format!("{method} {path}"), &headers, body).await);
    }
    answers
}

#[tokio::test]
async fn nothing_gets_past_the_guard_even_without_keys() {
    let gateway = Gateway::with(|settings| settings.require_key = false).await;
    for path in ["/v1/chat/completions", "/v1/responses", "/responses", "/v1/responses/review"] {
        for (answer, page) in visit(&gateway, path).await.iter().zip(PAGES) {
            assert!(matches!(answer.status, 403 | 415 | 405), "{page:?} -> {} {}", answer.status, answer.text());
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert!(count(&gateway.counters.origin) > 0 && count(&gateway.counters.content_type) > 0);
}

#[tokio::test]
async fn open_mode_serves_programs() {
    let gateway = Gateway::with(|settings| settings.require_key = false).await;
    for key in ["x-none: 1", "authorization: Bearer sk-dummy"] {
        let headers = ["host: localhost", "content-type: application/json", key];
        assert_eq!(gateway.ask("POST /v1/responses", &headers, BODY).await.status, 503, "it reaches the engine");
    }
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    assert_eq!(gateway.ask("GET /v1/models", &["host: localhost", &admin], b"").await.status, 403);
    assert_eq!(gateway.ask("GET /admin/keys", &["host: localhost"], b"").await.status, 401);
}

#[tokio::test]
async fn preflights_answer_listed_origins_on_the_data_plane_only() {
    let gateway = Gateway::with(|settings| settings.cors_origins = vec!["https://app.example".to_owned()]).await;
    let ask = async |line: &str, origin: &str| {
        let origin = format!("origin: {origin}");
        let headers = ["host: localhost", &origin, "sec-fetch-site: cross-site", "access-control-request-method: POST"];
        gateway.ask(line, &headers, b"").await
    };
    let granted = ask("OPTIONS /v1/responses", "https://app.example").await;
    assert_eq!(granted.status, 204);
    assert_eq!(granted.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(granted.header("access-control-max-age"), Some("600"));
    assert_eq!(granted.header("access-control-allow-credentials"), None);
    assert!(granted.header("access-control-allow-headers").unwrap().contains("authorization"));
    assert!(!granted.head.contains('*'));
    for (line, origin) in [
        ("OPTIONS /v1/responses", "https://evil.com"),
        ("OPTIONS /v1/responses", "null"),
        ("OPTIONS /v1/responses", "http://app.example"),
    ] {
        let denied = ask(line, origin).await;
        assert_eq!((denied.status, denied.header("access-control-allow-origin")), (403, None), "{line} {origin}");
    }
    let admin = ask("OPTIONS /admin/keys", "https://app.example").await;
    assert_eq!((admin.status, admin.header("access-control-allow-origin")), (405, None));
}

#[tokio::test]
async fn listed_pages_may_call_with_a_key_and_read_their_errors() {
    let gateway = Gateway::with(|settings| settings.cors_origins = vec!["https://app.example".to_owned()]).await;
    let page = ["origin: https://app.example", "sec-fetch-site: cross-site"];
    let called = gateway.post("/v1/responses", &page, BODY).await;
    assert_eq!(called.status, 503, "it reaches the engine");
    assert_eq!(called.header("access-control-allow-origin"), Some("https://app.example"));
    let denied = gateway.ask("GET /v1/models", &["host: localhost", page[0]], b"").await;
    assert_eq!((denied.status, denied.header("access-control-allow-origin")), (401, Some("https://app.example")));
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    for path in ["/admin/keys", "/healthz"] {
        let denied = gateway.ask(&format!("GET {path}"), &["host: localhost", page[0], &admin], b"").await;
        assert_eq!((denied.status, denied.header("access-control-allow-origin")), (403, None), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_websocket_handshake_is_answered_in_http() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let socket = ["host: localhost", "connection: Upgrade", "upgrade: websocket"];
    let nonce = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==";
    for path in ["/v1/responses", "/responses", "/backend-api/codex/responses"] {
        let line = format!("GET {path}");
        let ask = async |more: &[&str]| gateway.ask(&line, &[&socket[..], &[&key], more].concat(), b"").await;
        let plain = gateway.ask(&line, &["host: localhost", &key], b"").await;
        assert_eq!((plain.status, plain.header("upgrade")), (426, Some("websocket")));
        assert_eq!(ask(&[nonce, "sec-websocket-version: 12"]).await.header("sec-websocket-version"), Some("13"));
        for junk in [
            &[nonce][..],
            &["sec-websocket-version: 13"],
            &["sec-websocket-version: 13", "sec-websocket-key: short"],
            &["sec-websocket-version: 13", nonce, nonce],
        ] {
            assert_eq!(ask(junk).await.status, 400, "{junk:?}");
        }
        let mut wire = Wire::open(gateway.port).await;
        let headers = [&socket[..2], &["upgrade: h3", &key]].concat();
        wire.send(request(&line, &headers, b"")).await;
        wire.send(request("GET /healthz", &["host: localhost"], b"")).await;
        assert_eq!(wire.answer().await.unwrap().check().status, 426);
        assert!(wire.answer().await.is_none(), "what follows an upgrade request is nobody's");
        assert_eq!(
            gateway.ask(&line, &[&socket[..], &["sec-websocket-version: 13", nonce]].concat(), b"").await.status,
            401
        );
        let head = [&socket[..], &[&key, "sec-websocket-version: 13", nonce]].concat();
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request(&format!("HEAD {path}"), &head, b"")).await;
        assert_eq!(wire.bare_answer().await.unwrap().status, 426);
    }
    assert_eq!(gateway.ask("GET /v1/models", &[&socket[..], &[&key, nonce]].concat(), b"").await.status, 400);
}
