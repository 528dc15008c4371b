//! Bad bodies and headers: the protocol's own 4xx, never a 5xx, never a call of the engine (which would answer 503 here).

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use tokio::io::AsyncReadExt;

use crate::gateway::{Gateway, request};
use crate::wire::Wire;

const CHAT: &str = r#"{"model":"gpt-6-sol","stream":true,"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"h\u00e9 \ud83d\ude00"}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}"#;
const RESPONSES: &str = r#"{"model":"gpt-6-sol","stream":true,"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"h\u00e9"}]}],"tools":[{"type":"function","name":"f","parameters":{}}]}"#;
const ENDPOINTS: [(&str, &str); 4] = [
    ("/v1/chat/completions", CHAT),
    ("/v1/responses", RESPONSES),
    ("/responses", RESPONSES),
    ("/v1/responses/review", RESPONSES),
];

#[tokio::test]
async fn whole_requests_reach_the_engine() {
    let gateway = Gateway::start().await;
    for (path, body) in ENDPOINTS {
        let answer = gateway.post(path, &[], body.as_bytes()).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn requests_cut_at_any_byte_are_400() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: application/json", &key];
    for (path, body) in &ENDPOINTS[..2] {
        let mut wire = Wire::open(gateway.port).await;
        for cut in 1..body.len() {
            wire.send(request(&format!("POST {path}"), &headers, &body.as_bytes()[..cut])).await;
            let answer = wire.answer().await.unwrap();
            assert_eq!(answer.check().status, 400, "{path} cut at {cut}: {}", answer.text());
        }
        let empty = gateway.post(path, &["content-length: 0"], b"").await;
        assert_eq!(empty.status, 400, "{}", empty.text());
    }
}

#[tokio::test]
async fn nesting_has_a_limit() {
    let gateway = Gateway::start().await;
    for (path, _) in &ENDPOINTS[..2] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [129, 10_000, 1_000_000] {
                let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                for body in [value.clone(), format!("{{\"model\":\"m\",\"x\":{value}}}"), open.repeat(depth)] {
                    let answer = gateway.post(path, &[], body.as_bytes()).await;
                    assert_eq!(answer.status, 400, "{path} {open} {depth}: {}", answer.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn malformed_text_and_telling_duplicates_are_400() {
    let gateway = Gateway::start().await;
    let wrap =
        |inner: &str| format!("{{\"model\":\"gpt-6-sol\",\"input\":\"x\",\"messages\":[],{inner}}}").into_bytes();
    let mut bad: Vec<Vec<u8>> = vec![
        wrap(r#""model":"b""#),
        wrap(r#""stream":true,"stream":false"#),
        wrap(r#""tools":[],"tools":[]"#),
        wrap(r#""previous_response_id":"a","previous_response_id":"b""#),
        wrap("\"x\":\"a\u{0}b\""),
        wrap(r#""x":NaN"#),
        wrap(r#""x":01"#),
        wrap(r#""x":1,"#),
        wrap(r#""x":"\x""#),
        wrap(r#""x":"\ud800""#),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"\"text\"".to_vec(),
        b"{} {}".to_vec(),
        b"\xef\xbb\xbf{".to_vec(),
    ];
    for raw in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        bad.push([&b"{\"model\":\"m\",\"input\":\""[..], raw, b"\"}"].concat());
    }
    for body in &bad {
        for (path, _) in &ENDPOINTS[..2] {
            let answer = gateway.post(path, &[], body).await;
            assert_eq!(answer.status, 400, "{path} {}: {}", String::from_utf8_lossy(body), answer.text());
        }
    }
}

#[tokio::test]
async fn other_content_types_are_415() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    let endpoints = ENDPOINTS.iter().map(|(path, _)| (*path, &key)).chain([("/admin/keys", &admin)]);
    for (path, key) in endpoints {
        for kind in [
            "x-none: 1",
            "content-type: text/plain",
            "content-type: application/x-www-form-urlencoded",
            "content-type: multipart/form-data; boundary=a",
            "content-type: application/xml",
            "content-type:",
            "content-type: application/json; charset=utf-16",
            "content-type: application/json, text/plain",
            "content-type: application/json\r\ncontent-type: text/plain",
        ] {
            let answer =
                gateway.ask(&format!("POST {path}"), &["host: localhost", key, kind], b"{\"name\":\"x\"}").await;
            assert_eq!(answer.status, 415, "{path} {kind}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn coded_bodies_are_read_and_bad_ones_refused() {
    let gateway = Gateway::with(|settings| settings.limits.decoded = 1 << 20).await;
    let (mut gzip, mut zstd, mut bomb, mut chain) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    GzipEncoder::new(RESPONSES.as_bytes()).read_to_end(&mut gzip).await.unwrap();
    ZstdEncoder::new(RESPONSES.as_bytes()).read_to_end(&mut zstd).await.unwrap();
    ZstdEncoder::new(&vec![b' '; 64 << 20][..]).read_to_end(&mut bomb).await.unwrap();
    BrotliEncoder::new(&bomb[..]).read_to_end(&mut chain).await.unwrap();
    for (coding, body, status) in [
        ("gzip", &gzip[..], 503),
        ("zstd", &zstd[..], 503),
        ("identity", RESPONSES.as_bytes(), 503),
        ("zstd", &bomb[..], 413),
        ("zstd, br", &chain[..], 413),
        ("br, zstd", &chain[..], 400),
        ("gzip", RESPONSES.as_bytes(), 400),
        ("gzip", &gzip[..gzip.len() - 1], 400),
        ("zstd", &gzip[..], 400),
        ("lzma", &gzip[..], 415),
        ("gzip, gzip, gzip, gzip, gzip", &gzip[..], 415),
    ] {
        let answer = gateway.post("/v1/responses", &[&format!("content-encoding: {coding}")], body).await;
        assert_eq!(answer.status, status, "{coding}: {}", answer.text());
    }
}

#[tokio::test]
async fn large_bodies_are_413_before_they_are_read() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: application/json", &key, "content-length: 1073741824"];
    for expect in ["x-none: 1", "expect: 100-continue"] {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request("POST /v1/responses", &[&headers[..], &[expect]].concat(), b"")).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.check().status, 413, "{}", answer.text());
    }
    let chunk = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
    let mut wire = Wire::open(gateway.port).await;
    let chunked = ["host: localhost", "content-type: application/json", &key, "transfer-encoding: chunked"];
    wire.send(request("POST /v1/responses", &chunked, b"")).await;
    for _ in 0..33 {
        wire.send(&chunk).await;
    }
    assert_eq!(wire.answer().await.unwrap().check().status, 413);
}

#[tokio::test]
async fn an_expected_body_is_asked_for_and_a_stalled_one_is_408() {
    let gateway = Gateway::with(|settings| settings.limits.body_stall = std::time::Duration::from_millis(200)).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let head = ["host: localhost", "content-type: application/json", &key];
    let mut wire = Wire::open(gateway.port).await;
    let length = format!("content-length: {}", RESPONSES.len());
    wire.send(request("POST /v1/responses", &[&head[..], &[&length, "expect: 100-continue"]].concat(), b"")).await;
    wire.send(RESPONSES).await;
    assert_eq!(wire.answer().await.unwrap().check().status, 503);
    for framing in ["content-length: 99", "transfer-encoding: chunked"] {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request("POST /v1/responses", &[&head[..], &[framing]].concat(), b"")).await;
        wire.send("5\r\n{\"a\":").await;
        assert_eq!(wire.answer().await.unwrap().check().status, 408, "{framing}");
    }
}

#[tokio::test]
async fn a_full_buffer_budget_is_503_with_retry_after() {
    let gateway = Gateway::with(|settings| settings.limits.buffered = 64 << 10).await;
    let body = format!("{{\"model\":\"m\",\"input\":\"{}\"}}", "x".repeat(128 << 10));
    let answer = gateway.post("/v1/responses", &[], body.as_bytes()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.text());
    assert_eq!(crate::gateway::count(&gateway.counters.overloaded), 1);
}

#[tokio::test]
async fn heads_have_a_size() {
    let gateway = Gateway::start().await;
    let many = vec!["x: y"; 150];
    let mut wire = Wire::open(gateway.port).await;
    wire.send(request("GET /healthz", &[&["host: localhost"][..], &many].concat(), b"")).await;
    assert_eq!(wire.answer().await.unwrap().check().status, 431);
    for size in [33 << 10, 64 << 10, 1 << 20] {
        let cookie = format!("cookie: {}", "c".repeat(size));
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request("GET /healthz", &["host: localhost", &cookie], b"")).await;
        assert_eq!(wire.answer().await.unwrap().check().status, 431, "{size}");
        assert_eq!(wire.rest().await, "");
    }
    let cookie = format!("cookie: {}", "c".repeat(31 << 10));
    assert_eq!(gateway.ask("GET /healthz", &["host: localhost", &cookie], b"").await.status, 200);
}

#[tokio::test]
async fn credentials_that_differ_are_401() {
    let gateway = Gateway::start().await;
    let key = &gateway.keys.client;
    for second in
        ["x-api-key: other", "x-goog-api-key: other", "authorization: Bearer other", "authorization: Basic b3RoZXI="]
    {
        let first = format!("authorization: Bearer {key}");
        let answer = gateway.ask("GET /v1/models", &["host: localhost", &first, second], b"").await;
        assert_eq!(answer.status, 401, "{second}: {}", answer.text());
        assert!(!answer.text().contains(key.as_str()) && answer.body.len() <= 200);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    for line in [format!("GET /v1/models?api_key={key}"), format!("POST /v1/chat/completions?key={key}")] {
        assert_eq!(gateway.ask(&line, &["host: localhost"], b"").await.status, 401, "{line}: a key in a query is none");
    }
}

/// Every method that has a body follows the rule of POST.
#[tokio::test]
async fn changes_and_deletions_with_a_body_of_another_type_are_415() {
    let gateway = Gateway::start().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    for line in ["PUT /api/proxies/none", "PATCH /admin/keys/none", "DELETE /admin/keys/none"] {
        for kind in ["content-type: text/plain", "x-none: 1"] {
            let mut wire = Wire::open(gateway.port).await;
            wire.send(request(line, &["host: localhost", &admin, kind], b"{}")).await;
            let refused = wire.answer().await.unwrap();
            assert_eq!(refused.status, 415, "{line} {kind}: {}", refused.text());
        }
    }
    let bare = gateway.ask("DELETE /admin/keys/none", &["host: localhost", &admin], b"").await;
    assert_eq!(bare.status, 404, "a deletion without a body needs no type: {}", bare.text());
}

/// A client can act on the limit, so each protocol's error names it.
#[tokio::test]
async fn a_413_names_the_limit_in_each_protocol() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1beta/models/m:generateContent"] {
        let headers = ["host: localhost", "content-type: application/json", &key, "content-length: 33554433"];
        let mut wire = Wire::open(gateway.port).await;
        wire.send(request(&format!("POST {path}"), &headers, b"")).await;
        let refused = wire.answer().await.unwrap();
        assert_eq!(refused.status, 413, "{path}");
        assert!(refused.text().contains("32 MiB"), "{path}: {}", refused.text());
    }
}

/// Serde's messages quote invalid values, which may be secrets in the wrong place.
#[tokio::test]
async fn admin_errors_quote_no_value_of_the_body() {
    let gateway = Gateway::start().await;
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    for (line, body) in [
        ("POST /admin/keys", r#"{"name": 1, "SECRET": 1}"#),
        ("POST /admin/keys", r#"{"name": "a", "expires": "SECRET"}"#),
        ("PATCH /admin/accounts/none", r#"{"priority": "SECRET"}"#),
        ("PATCH /admin/accounts/none", r#"["SECRET"]"#),
        ("POST /auth/accounts/none/reset-credits/consume", r#"{"SECRET": 1}"#),
        ("POST /auth/accounts/none/reset-credits/consume", r#""SECRET""#),
        ("POST /api/proxies", r#"{"url": ["SECRET"]}"#),
        ("POST /auth/accounts", r#"{"token": {"SECRET": 1}}"#),
    ] {
        let headers = ["host: localhost", "content-type: application/json", &admin];
        let refused = gateway.ask(line, &headers, body.as_bytes()).await;
        assert_eq!(refused.status, 400, "{line} {body}: {}", refused.text());
        assert!(!refused.text().contains("SECRET"), "{line} {body}: {}", refused.text());
        assert!(refused.text().contains("line 1, column"), "{line} {body}: {}", refused.text());
    }
}

/// A large body waits for a separate thread to be parsed; small requests do not wait for that thread.
#[tokio::test]
async fn a_large_body_is_read_off_the_threads_of_small_ones() {
    let gateway = Gateway::start().await;
    let (held, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut permits = Vec::new();
    for _ in 0..wire_body::max_concurrent() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let held = held.clone();
        let work = move || {
            held.send(()).unwrap();
            wait.recv().ok()
        };
        permits.push((release, tokio::spawn(wire_body::offload(wire_body::INLINE + 1, work))));
        begun.recv().await.unwrap();
    }
    let body = CHAT.replace("\"s\"", &format!("\"{}\"", "s".repeat(wire_body::INLINE)));
    let mut large = Box::pin(gateway.post("/v1/chat/completions", &[], body.as_bytes()));
    let small = async {
        for _ in 0..50 {
            let answer = gateway.post("/v1/chat/completions", &[], CHAT.as_bytes()).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
        }
    };
    tokio::select! {
        _ = &mut large => panic!("read although no thread is free"),
        () = small => {}
    }
    permits.clear();
    assert_eq!(large.await.status, 503);
}
