//! Requests that two parsers would split differently. Each request is sent with a second one hidden behind it; the second must never be
//! answered, and the first must never reach a handler.

use crate::gateway::{Gateway, count};
use crate::wire::Wire;

const HIDDEN: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Hidden: 1\r\n\r\n";

/// Heads (LF stands for CRLF) and the body after them; every one is refused with 400.
const REFUSED: [(&str, &str); 34] = [
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 4\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nContent-Length: 4", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: xchunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: identity, chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\nTransfer-Encoding: x", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: x\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding:\n chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding : chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: \u{b}chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer_Encoding: chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nX: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nTransfer-Encoding: \"chunked\"", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.0\nHost: localhost\nConnection: keep-alive\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 3\nContent-Length: 4", "abcd"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 3\nContent-Length: 3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 3, 3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: +3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: -3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 3 3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 0x3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 3a", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length:", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length: 99999999999999999999", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent_Length: 3", "abc"),
    ("POST /v1/responses HTTP/1.1\nHost: localhost\nContent-Length\u{0}: 3", "abc"),
    ("GET /healthz HTTP/1.1\nHost: localhost\nX: a\n b", ""),
    ("GET /healthz HTTP/1.1\n Host: localhost", ""),
    ("GET /healthz HTTP/1.1\nHost: localhost\nX: a\u{0}b", ""),
    ("GET /healthz HTTP/1.1\nHost: localhost\nNoColon", ""),
    ("GET /healthz HTTP/1.1\nHost: localhost\n: empty", ""),
    ("GET /healthz  HTTP/1.1\nHost: localhost", ""),
    ("GET /healthz HTTP/1.1 \nHost: localhost", ""),
    ("GET\t/healthz HTTP/1.1\nHost: localhost", ""),
];

#[tokio::test]
async fn ambiguous_requests_get_one_400_and_the_end() {
    let gateway = Gateway::start().await;
    let key = format!("\nAuthorization: Bearer {}\nContent-Type: application/json", gateway.keys.client);
    for (head, body) in REFUSED {
        let head = format!("{head}{key}").replace('\n', "\r\n");
        let mut wire = Wire::open(gateway.port).await;
        wire.send(format!("{head}\r\n\r\n{body}{HIDDEN}")).await;
        let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {head:?}"));
        assert_eq!(answer.check().status, 400, "{head:?}: {}", answer.text());
        assert!(answer.text().contains("malformed_request"), "{head:?} reached a handler: {}", answer.text());
        assert_eq!(wire.rest().await, "", "{head:?} got a second answer");
    }
    assert_eq!(count(&gateway.counters.malformed), REFUSED.len() as u64);
}

#[tokio::test]
async fn line_ends_other_than_crlf_are_refused_at_once() {
    let gateway = Gateway::start().await;
    for head in [
        "GET /healthz HTTP/1.1\nHost: localhost\n\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
        "\n\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\u{0}\u{1}\u{2}\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\n",
    ] {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(format!("{head}{HIDDEN}")).await;
        assert_eq!(wire.answer().await.unwrap().check().status, 400, "{head:?}");
        assert_eq!(wire.rest().await, "", "{head:?}");
    }
}

#[tokio::test]
async fn bad_chunks_end_the_connection() {
    let gateway = Gateway::start().await;
    let key = format!("Authorization: Bearer {}", gateway.keys.client);
    let long = format!("2;{}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(64 << 10));
    for chunks in [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2\n{}\n0\n\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}X0\r\n\r\n",
        " \r\n{}\r\n0\r\n\r\n",
        &long,
    ] {
        let head = format!(
            "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\n{key}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n"
        );
        let mut wire = Wire::open(gateway.port).await;
        wire.send(format!("{head}{chunks}{HIDDEN}")).await;
        wire.finish().await;
        let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {chunks:.40?}"));
        assert_eq!(answer.check().status, 400, "{chunks:.40?}: {}", answer.text());
        assert_eq!(wire.rest().await, "", "{chunks:.40?} got a second answer");
    }
}

#[tokio::test]
async fn a_sound_chunked_request_is_the_last_of_its_connection() {
    let gateway = Gateway::start().await;
    let key = format!("Authorization: Bearer {}", gateway.keys.client);
    let head = format!(
        "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\n{key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    );
    let mut wire = Wire::open(gateway.port).await;
    wire.send(format!("{head}\r\n\r\n1d\r\n{{\"model\":\"gpt-6-sol\",\"input\":\r\n4\r\n\"x\"}}\r\n0\r\n\r\n{HIDDEN}"))
        .await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(answer.check().status, 503, "it reaches the engine: {}", answer.text());
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(wire.rest().await, "");
}

#[tokio::test]
async fn sound_requests_share_a_connection_and_may_be_sent_ahead() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.port).await;
    let key = format!("Authorization: Bearer {}", gateway.keys.client);
    let post = format!(
        "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\n{key}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
    );
    wire.send(format!("{HIDDEN}{post}\r\n{HIDDEN}{post}")).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(wire.answer().await.unwrap().check().status);
    }
    assert_eq!(statuses, [200, 400, 200, 400]);
    wire.send(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n{HIDDEN}")).await;
    assert_eq!(wire.answer().await.unwrap().status, 200, "an offer of h2c is passed over");
    assert_eq!(wire.answer().await.unwrap().status, 200);
}
