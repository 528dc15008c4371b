//! One node among others: when a load balancer should send it requests, how the node leaves, and which clients are behind the balancer.

use std::time::Duration;

use tempfile::TempDir;

use crate::gateway::{Gateway, count, engine, ollama, store};
use crate::wire::{Answer, Wire};

const READY: &str = "GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// The number of attempts after which an event must have happened.
const TRIES: usize = 10_000;

async fn ready(gateway: &Gateway) -> Answer {
    let mut wire = Wire::open(gateway.port).await;
    wire.send(READY).await;
    wire.answer().await.expect("an answer")
}

#[tokio::test]
async fn a_node_that_cannot_read_its_store_is_not_ready_after_the_grace() {
    for (grace, status) in [(Duration::ZERO, 503), (Duration::from_hours(1), 200)] {
        let home = TempDir::new().unwrap();
        let store = store(&home).await;
        let engine = engine(store.clone(), "http://127.0.0.1:1").await;
        let gateway = Gateway::on(engine.clone(), home, |settings| settings.limits.store_grace = grace).await;
        assert_eq!(ready(&gateway).await.status, 200);
        store.close().await;
        while engine.store_away().is_none() {
            tokio::task::yield_now().await;
        }
        let answer = ready(&gateway).await;
        assert_eq!(answer.status, status, "{grace:?}: {}", answer.text());
        let health = gateway.ask("GET /healthz", &["host: localhost"], b"").await;
        assert_eq!(health.status, 200, "the process lives, whatever the store does");
    }
}

#[tokio::test]
async fn a_node_that_leaves_says_so_and_serves_on_for_the_delay() {
    let gateway = Gateway::with(|settings| settings.limits.drain_delay = Duration::from_hours(1)).await;
    assert_eq!(ready(&gateway).await.status, 200);
    gateway.shutdown.cancel();
    let mut tries = 0..TRIES;
    while ready(&gateway).await.status == 200 {
        assert!(tries.next().is_some(), "it says that it leaves");
    }
    let answer = ready(&gateway).await;
    assert_eq!(answer.text(), r#"{"status":"unavailable","reasons":["shutting down"]}"#);
    assert_eq!(answer.header("connection"), None, "new connections are still served as ever");
    assert_eq!(gateway.post("/v1/responses", &[], br#"{"input":"a"}"#).await.header("connection"), None);
    // A second signal ends the delay at once.
    gateway.now.cancel();
    gateway.stopped().await;
}

#[tokio::test]
async fn addresses_behind_a_trusted_proxy_are_capped_one_by_one() {
    let gateway = Gateway::with(|settings| {
        settings.limits.per_address = 1;
        settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let head = |from: &str| {
        format!(
            "POST /v1/responses HTTP/1.1\r\nhost: localhost\r\n{key}\r\ncontent-type: application/json\r\n\
             x-forwarded-for: 127.0.0.1, {from}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
        )
    };
    let mut first = Wire::open(gateway.port).await;
    first.send(head("203.0.113.9")).await;
    // The server asks for the request's body, so the request holds its permit.
    first.until("100 Continue").await;
    let ask = async |from: &str| {
        let from = format!("x-forwarded-for: {from}");
        gateway.ask("GET /v1/models", &["host: localhost", &key, &from], b"").await.status
    };
    assert_eq!(ask("203.0.113.9").await, 429);
    assert_eq!(ask("198.51.100.1, 203.0.113.9").await, 429, "what a client says itself does not help");
    assert_eq!(ask("203.0.113.10").await, 200);
    assert_eq!(ask("garbage").await, 200, "the proxy itself is not capped");
    assert_eq!(count(&gateway.counters.connections), 2);
    first.send("{\"a\":\"b\"}").await;
    assert_eq!(first.answer().await.unwrap().status, 400);
    assert_eq!(ask("203.0.113.9").await, 200, "the place is given back");
}

#[tokio::test]
async fn nobody_is_trusted_by_default() {
    let gateway = Gateway::with(|settings| {
        settings.limits.per_address = 0;
        settings.ollama = ollama();
    })
    .await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", &key, "x-forwarded-for: 203.0.113.9"];
    assert_eq!(gateway.ask("GET /v1/models", &headers, b"").await.status, 200);
}
