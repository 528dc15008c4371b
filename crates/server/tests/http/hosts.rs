//! BadHost: a Host that makes some URL parser see another path or host. The refusal is the same with and without a key, comes before the
//! body is read, and names the setting.

use crate::gateway::{Gateway, count, request};
use crate::wire::Wire;

const BAD: [&str; 26] = [
    "x/?", "localhost/?x", "localhost#", "localhost?", "localhost/v1/models", "localhost:8080/healthz?", "a@localhost",
    "localhost@evil.com", "localhost:80@evil.com", "localhost\\@evil.com", "localhost;evil.com",
    "localhost%2eevil.com", "localhost\tevil.com", "localhost evil.com", "[::1", "[::1]evil.com", "[::ffff:10.0.0.1]",
    "::1", "127.0.0.1.", "1", "localhost:0x50", "localhost:65536", "localhost:", "*", ".", "xn--localhost-",
];

#[tokio::test]
async fn bad_hosts_get_421_with_and_without_a_key() {
    let gateway = Gateway::start().await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let admin = format!("authorization: Bearer {}", gateway.keys.admin);
    for host in BAD {
        let host = format!("host: {host}");
        for line in ["GET /healthz", "GET /v1/models", "GET /admin/keys", "GET /nowhere", "OPTIONS /v1/models"] {
            for credential in ["x-none: 1", &key, &admin] {
                let answer = gateway.ask(line, &[&host, credential], b"").await;
                assert_eq!(answer.status, 421, "{line} {host} {credential}: {}", answer.text());
                assert!(answer.text().contains("server.allowed_hosts"), "{}", answer.text());
                assert!(answer.body.len() <= 200);
            }
        }
    }
    assert_eq!(count(&gateway.counters.host), (BAD.len() * 5 * 3) as u64);
    assert_eq!(count(&gateway.counters.unauthorized), 0, "the Host is judged before the key");
}

#[tokio::test]
async fn a_public_listener_has_the_data_plane_only() {
    let public = |remote| {
        Gateway::with(move |settings| {
            settings.hosts = vec!["0.0.0.0".parse().unwrap()];
            (settings.allow_plain_http, settings.keys, settings.admin_remote) =
                (true, server::ClientKeyStrength::Generated, remote);
        })
    };
    for remote in [false, true] {
        let gateway = public(remote).await;
        let admin = format!("authorization: Bearer {}", gateway.keys.admin);
        let key = format!("authorization: Bearer {}", gateway.keys.client);
        let status = async |line: &str, key: &str| gateway.ask(line, &["host: 127.0.0.1", key], b"").await.status;
        assert_eq!(status("GET /v1/models", &key).await, 200);
        for (line, answered) in [("GET /admin/keys", 200), ("PUT /admin/keys", 405), ("DELETE /admin/keys/x", 404)] {
            assert_eq!(status(line, &admin).await, if remote { answered } else { 404 }, "{line}");
        }
    }
}

#[tokio::test]
async fn a_bad_host_is_refused_before_the_body_arrives() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.port).await;
    let head = ["host: evil.com", "content-type: application/json", "content-length: 1000000"];
    wire.send(request("POST /v1/responses", &head, b"")).await;
    assert_eq!(wire.answer().await.unwrap().check().status, 421);
}

#[tokio::test]
async fn the_target_must_agree_with_the_header() {
    let gateway = Gateway::start().await;
    let port = gateway.port;
    let same =
        gateway.ask(&format!("GET http://localhost:{port}/healthz"), &[&format!("host: localhost:{port}")], b"").await;
    assert_eq!(same.status, 200);
    for (target, host) in [
        ("http://evil.com/healthz".to_owned(), "host: localhost".to_owned()),
        ("http://localhost/healthz".to_owned(), "host: evil.com".to_owned()),
        (format!("http://localhost:{port}/healthz"), "host: localhost:1".to_owned()),
        ("http://localhost/healthz".to_owned(), "x-no: host".to_owned()),
        ("http://a@localhost/healthz".to_owned(), "host: localhost".to_owned()),
    ] {
        assert_eq!(gateway.ask(&format!("GET {target}"), &[&host], b"").await.status, 421, "{target} {host}");
    }
}
