//! Slow, many and silent clients; HTTP/2; the drain.

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::gateway::{Gateway, count};
use crate::wire::{PATIENCE, Wire};

/// Longer than any test waits.
const LONG: Duration = Duration::from_hours(1);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Connections that began a head and send no more: 200 instead of 2,000.
async fn slow(gateway: &Gateway) -> Vec<Wire> {
    let beginnings =
        ["", "G", "GET /healthz HTTP/1.1\r\nhost: loc", "PRI * HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r"];
    let mut slow = Vec::new();
    for beginning in beginnings.into_iter().cycle().take(200) {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(beginning).await;
        slow.push(wire);
    }
    slow
}

/// Slowloris: other clients are served while slow clients hold their connections, which nothing ends in this test.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_keep_nobody_waiting() {
    let gateway = Gateway::with(|settings| (settings.limits.first_byte, settings.limits.head) = (LONG, LONG)).await;
    let slow = slow(&gateway).await;
    let mut healthy = Wire::open(gateway.port).await;
    for _ in 0..100 {
        healthy.send(HEALTH).await;
        assert_eq!(healthy.answer().await.unwrap().status, 200);
    }
    drop(slow);
}

/// Slowloris, shortened: 500 ms instead of 10 s. No client sends another byte, so only the limit ends the connections.
#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_clients_are_reaped() {
    let limit = Duration::from_millis(500);
    let gateway = Gateway::with(|settings| (settings.limits.first_byte, settings.limits.head) = (limit, limit)).await;
    for mut wire in slow(&gateway).await {
        assert_eq!(wire.rest().await, "");
    }
}

#[tokio::test]
async fn a_second_head_has_its_own_deadline_and_idling_another() {
    let gateway = Gateway::with(|settings| {
        settings.limits.head = Duration::from_millis(200);
        settings.limits.idle = Duration::from_millis(400);
    })
    .await;
    for (part, least) in [("GET /hea", 200), ("", 400)] {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(HEALTH).await;
        assert_eq!(wire.answer().await.unwrap().status, 200);
        let began = Instant::now();
        wire.send(part).await;
        assert_eq!(wire.rest().await, "");
        assert!(began.elapsed() >= Duration::from_millis(least - 20), "{part:?} after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn connections_are_capped() {
    let gateway = Gateway::with(|settings| (settings.limits.connections, settings.limits.per_address) = (3, 1)).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(HEALTH).await;
        assert_eq!(wire.answer().await.unwrap().status, 200, "loopback is exempt from the cap per address");
        open.push(wire);
    }
    assert_eq!(Wire::open(gateway.port).await.rest().await, "");
    assert_eq!(count(&gateway.counters.connections), 1);
}

#[tokio::test]
async fn head_has_no_body() {
    let gateway = Gateway::start().await;
    let mut wire = Wire::open(gateway.port).await;
    wire.send("HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let answer = wire.bare_answer().await.unwrap();
    assert_eq!(answer.status, 200);
    wire.send(HEALTH).await;
    assert_eq!(wire.answer().await.unwrap().text(), r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn both_loopback_families_answer() {
    let gateway = Gateway::start().await;
    let Ok(mut socket) = TcpStream::connect(("::1", gateway.port)).await else {
        println!("SKIPPED: this machine has no IPv6 loopback");
        return;
    };
    tokio::io::AsyncWriteExt::write_all(
        &mut socket,
        b"GET /healthz HTTP/1.1\r\nhost: [::1]\r\nconnection: close\r\n\r\n",
    )
    .await
    .unwrap();
    let mut text = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut socket, &mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

type Sender = http2::SendRequest<Empty<bytes::Bytes>>;

async fn http2(port: u16) -> Sender {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn get(sender: &mut Sender, uri: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = http::Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn http2_has_the_same_rules() {
    let gateway = Gateway::start().await;
    let mut sender = http2(gateway.port).await;
    let (key, admin) = (format!("Bearer {}", gateway.keys.client), format!("Bearer {}", gateway.keys.admin));
    for (uri, headers, status) in [
        ("http://localhost/healthz", &[][..], 200),
        ("http://evil.com/healthz", &[], 421),
        ("http://localhost/healthz", &[("host", "evil.com")], 421),
        ("http://localhost/healthz", &[("origin", "https://evil.com")], 403),
        ("http://localhost/v1/models", &[], 401),
        ("http://localhost/v1/models", &[("authorization", key.as_str())], 200),
        ("http://localhost/admin/keys", &[("authorization", key.as_str())], 403),
        ("http://localhost/admin/keys", &[("authorization", admin.as_str())], 200),
        ("http://localhost//admin/keys", &[("authorization", admin.as_str())], 404),
        ("http://localhost/v1/..%2fadmin/keys", &[("authorization", admin.as_str())], 404),
        ("http://localhost/v1/responses", &[("authorization", key.as_str())], 426),
    ] {
        let (found, body) = get(&mut sender, uri, headers).await;
        assert_eq!(found, status, "{uri} {headers:?}: {body}");
    }
    let names: Vec<String> = (0..120).map(|at| format!("x-{at}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "y")).collect();
    assert_eq!(get(&mut sender, "http://localhost/healthz", &many).await.0, 431);
}

#[tokio::test]
async fn a_drain_closes_the_listener_and_idle_connections_and_lets_requests_finish() {
    let gateway = Gateway::with(|settings| {
        let limits = &mut settings.limits;
        (limits.first_byte, limits.head, limits.idle) = (LONG, LONG, LONG);
    })
    .await;
    let key = gateway.keys.client.clone();
    let mut idle = Wire::open(gateway.port).await;
    idle.send(HEALTH).await;
    assert!(idle.answer().await.is_some());
    let mut silent = Wire::open(gateway.port).await;
    let mut busy = Wire::open(gateway.port).await;
    busy.send(format!(
        "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
         content-length: 2\r\nexpect: 100-continue\r\n\r\n["
    ))
    .await;
    let mut mark = Wire::open(gateway.port).await;
    mark.send(HEALTH).await;
    assert!(mark.answer().await.is_some(), "the loop has seen all of them");
    gateway.shutdown.cancel();
    // A request is in progress, and the connections' own limits are longer than a test waits, so only the drain ends them.
    assert_eq!(idle.rest().await, "");
    assert_eq!(silent.rest().await, "");
    assert!(TcpStream::connect(("127.0.0.1", gateway.port)).await.is_err(), "the listener is closed");
    busy.send("]").await;
    let answer = busy.answer().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (400, Some("close")));
    gateway.stopped().await;
}

#[tokio::test]
async fn a_second_signal_ends_everything() {
    let gateway = Gateway::with(|settings| settings.limits.abort_timeout = Duration::from_millis(200)).await;
    let mut busy = Wire::open(gateway.port).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let head = ["host: localhost", "content-type: application/json", &key, "content-length: 2"];
    busy.send(crate::gateway::request("POST /v1/responses", &head, b"")).await;
    let mut mark = Wire::open(gateway.port).await;
    mark.send(HEALTH).await;
    assert!(mark.answer().await.is_some());
    gateway.shutdown.cancel();
    gateway.now.cancel();
    // Without the second signal the drain would wait two minutes for the request.
    tokio::time::timeout(PATIENCE, gateway.stopped()).await.expect("the end of everything");
}
