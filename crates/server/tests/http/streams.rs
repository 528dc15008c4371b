//! Running replies, with the offline backend behind a real engine: their format, and how they end when one side leaves.

use std::time::Duration;

use bytes::Bytes;
use engine::Engine;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use offline::{FakeAccount, Offline, Plan, Rule, Running};
use pool::{Millis, Secret, Tokens};
use server::Settings;
use store::{NewAccount, Store, TokenOrigin, UsageRow};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::gateway::{Gateway, engine_with, request, store};
use crate::wire::Wire;

const SOON: Duration = Duration::from_secs(10);

/// A gateway with one account on an offline backend.
pub(crate) async fn gateway(change: impl FnOnce(&mut Settings)) -> (Gateway, Running) {
    gateway_of(&["plus"], change).await
}

/// A gateway with an account of each of these plans.
pub(crate) async fn gateway_of(plans: &[&str], change: impl FnOnce(&mut Settings)) -> (Gateway, Running) {
    built(plans, |_| {}, change).await
}

/// A gateway with one account on an offline backend, and these settings of its engine.
pub(crate) async fn gateway_on(tune: impl FnOnce(&mut engine::Settings)) -> (Gateway, Running) {
    built(&["plus"], tune, |_| {}).await
}

async fn built(
    plans: &[&str],
    tune: impl FnOnce(&mut engine::Settings),
    change: impl FnOnce(&mut Settings),
) -> (Gateway, Running) {
    let Site { gateway, backend, .. } = Site::new(plans, tune, change).await;
    (gateway, backend)
}

/// A gateway on an offline backend, with its backend, engine and store.
pub(crate) struct Site {
    pub(crate) gateway: Gateway,
    pub(crate) backend: Running,
    pub(crate) engine: Engine,
    pub(crate) store: Store,
}

impl Site {
    /// A gateway with an account of each of these plans.
    pub(crate) async fn new(
        plans: &[&str],
        tune: impl FnOnce(&mut engine::Settings),
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let backend = Offline::start(offline::Options::default()).await.unwrap();
        let home = TempDir::new().unwrap();
        let store = store(&home).await;
        for plan in plans {
            store.put_account(account(backend.account(plan)), Millis(1)).await.unwrap();
        }
        let engine = engine_with(store.clone(), &format!("http://{}", backend.addr()), tune).await;
        let gateway = Gateway::on(engine.clone(), home, change).await;
        Self { gateway, backend, engine, store }
    }

    /// Usage rows, newest first, once there are `count` of them.
    pub(crate) async fn rows(&self, count: usize) -> Vec<UsageRow> {
        let enough = async {
            loop {
                self.store.usage().flush().await;
                let rows = self.store.usage().rows(10_000).await.unwrap();
                if rows.len() >= count {
                    return rows;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, enough).await.expect("the rows in time")
    }
}

pub(crate) fn account(fake: FakeAccount) -> NewAccount {
    let tokens = Tokens {
        access: Secret::new(fake.access),
        refresh: Some(Secret::new(fake.refresh)),
        id: Some(Secret::new(fake.id)),
        expires: Some(Millis(4_102_444_800_000)),
        refreshed: Millis(1),
    };
    NewAccount {
        label: String::new(),
        email: fake.email,
        plan: fake.plan,
        upstream_id: fake.account_id,
        user: fake.user,
        fedramp: false,
        tokens,
        origin: TokenOrigin::Login,
        egress: None,
        status: pool::Status::Active,
    }
}

fn call(gateway: &Gateway, path: &str, prompt: &str, stream: bool) -> Vec<u8> {
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: application/json", &key];
    let body = if path.contains("chat") {
        format!(r#"{{"model":"gpt-6-sol","stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#)
    } else {
        format!(r#"{{"model":"gpt-6-sol","stream":{stream},"input":"{prompt}"}}"#)
    };
    request(&format!("POST {path}"), &headers, body.as_bytes())
}

/// A retired name leads to its successor; the response says since when (RFC 9745), and which model answered instead.
#[tokio::test]
async fn a_retired_name_is_told() {
    let (gateway, _backend) = gateway(|_| {}).await;
    for (model, date) in [("gpt-5.2", Some("@1780272000")), ("gpt-6-sol", None)] {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        let key = format!("authorization: Bearer {}", gateway.keys.client);
        let headers = ["host: localhost", "content-type: application/json", &key];
        let answer = gateway.ask("POST /v1/chat/completions", &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.header("deprecation")), (200, date), "{}", answer.text());
        assert_eq!(answer.header("x-polygate-model"), Some("gpt-6-sol"));
        let note = date.map(|_| "gpt-5.2 is retired and gpt-6-sol answers");
        assert_eq!(answer.header("x-polygate-notes"), note);
    }
    // The owner can see which keys still use the name.
    let token = format!("authorization: Bearer {}", gateway.keys.reader);
    let listed = gateway.ask("GET /admin/retired-models", &["host: localhost", &token], b"").await;
    let body: serde_json::Value = serde_json::from_str(&listed.text()).unwrap();
    let [model] = body["models"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!(
        (&model["name"], &model["successor"], &model["requests"]),
        (&"gpt-5.2".into(), &"gpt-6-sol".into(), &1.into())
    );
    assert_eq!(model["keys"].as_array().map(Vec::len), Some(1), "{body}");
}

#[tokio::test]
async fn streams_say_who_served_them_and_how_to_treat_them() {
    let (gateway, _backend) = gateway(|_| {}).await;
    for (path, last) in [("/v1/responses", "response.completed"), ("/v1/chat/completions", "data: [DONE]")] {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(call(&gateway, path, "count to 3", true)).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/event-stream")),
            "{}",
            answer.text()
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("x-polygate-account").is_some(), "{}", answer.head);
        assert_eq!(answer.header("x-polygate-model"), Some("gpt-6-sol"));
        assert!(answer.text().contains(last), "{}", answer.text());
        wire.send(call(&gateway, path, "count to 3", false)).await;
        let whole = wire.answer().await.unwrap();
        assert_eq!(
            (whole.check().status, whole.header("x-polygate-model")),
            (200, Some("gpt-6-sol")),
            "{}",
            whole.text()
        );
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_terminal_even_when_the_upstream_stays_open() {
    let (gateway, backend) = gateway(|_| {}).await;
    backend.add_rule(Rule::responses(Plan::auto().hold(offline::Wait::Forever)));
    let mut wire = Wire::open(gateway.port).await;
    wire.send(call(&gateway, "/v1/responses", "count to 3", true)).await;
    let answer = wire.answer().await.unwrap();
    assert!(answer.text().contains("response.completed"));
}

/// Some clients send an empty line after a body (RFC 9112 2.2); the line begins no head that could be late.
#[tokio::test]
async fn an_empty_line_after_a_body_does_not_end_its_stream() {
    let limit = Duration::from_millis(200);
    let (gateway, backend) = gateway(|settings| settings.limits.head = limit).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(6, 3 * limit)));
    let mut wire = Wire::open(gateway.port).await;
    wire.send(call(&gateway, "/v1/responses", "count to 9", true)).await;
    wire.begun().await;
    wire.send("\r\n").await;
    let answer = wire.answer().await.expect("the whole answer");
    assert!(answer.text().contains("response.completed"), "{}", answer.text());
    wire.send(call(&gateway, "/v1/responses", "count to 3", false)).await;
    assert_eq!(wire.answer().await.unwrap().status, 200, "the connection serves on");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_upstream() {
    let (gateway, backend) = gateway(|_| {}).await;
    let plans = [
        Plan::auto().delay(offline::Wait::Forever),
        Plan::auto().pause(1, offline::Wait::Forever),
        Plan::auto().pause(6, offline::Wait::Forever),
    ];
    let mut calls = 0;
    for plan in plans {
        for (path, stream) in [("/v1/responses", true), ("/v1/responses", false), ("/v1/chat/completions", true)] {
            backend.add_rule(Rule::responses(plan.clone()));
            let mut wire = Wire::open(gateway.port).await;
            wire.send(call(&gateway, path, "count to 9", stream)).await;
            calls += 1;
            backend.wait_until(SOON, |record| record.model_requests().count() == calls).await.unwrap();
            drop(wire);
            let seen =
                backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await;
            assert!(seen.is_ok(), "{path} {stream} {plan:?}");
            // The backend itself would wait for ever.
            assert!(backend.record().model_requests().last().unwrap().disconnected_at().is_some(), "the gateway left");
        }
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_is_given_up() {
    let (gateway, backend) = gateway(|settings| settings.limits.write_stall = Duration::from_millis(300)).await;
    let mut wire = Wire::open(gateway.port).await;
    wire.send(call(&gateway, "/v1/responses", "count to 100000", true)).await;
    let gone = backend
        .wait_until(Duration::from_secs(30), |record| record.model_requests().any(|post| post.ending.is_some()))
        .await;
    assert!(gone.is_ok());
    assert!(
        backend.record().model_requests().next().unwrap().disconnected_at().is_some(),
        "the gateway left before the end"
    );
    drop(wire);
}

/// Over HTTP/2, a client leaves or blocks one stream while its connection lives on.
#[tokio::test]
async fn http2_clients_that_leave_or_stop_reading_are_given_up_too() {
    let (gateway, backend) = gateway(|settings| settings.limits.write_stall = Duration::from_millis(500)).await;
    let mut sender = http2(gateway.port).await;
    let ask = |prompt: &str| {
        let body = format!(r#"{{"model":"gpt-6-sol","stream":true,"input":"{prompt}"}}"#);
        http::Request::post("http://localhost/v1/responses")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", gateway.keys.client))
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    backend.add_rule(Rule::responses(Plan::auto().pause(4, offline::Wait::Forever)));
    let answer = sender.send_request(ask("count to 9")).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(answer);
    backend.wait_until(SOON, |record| record.model_requests().all(|post| post.ending.is_some())).await.unwrap();
    assert!(backend.record().model_requests().last().unwrap().disconnected_at().is_some(), "the gateway left");

    let blocked = sender.send_request(ask("count to 100000")).await.unwrap();
    let gone = backend
        .wait_until(SOON, |record| record.model_requests().nth(1).is_some_and(|post| post.disconnected_at().is_some()))
        .await;
    assert!(gone.is_ok(), "a blocked stream is given up");
    let mut body = blocked.into_body();
    let reset = loop {
        match body.frame().await {
            Some(Ok(_)) => {}
            end => break end,
        }
    };
    assert!(reset.is_some_and(|end| end.is_err()), "the client is told that its stream is not whole");
    let whole = sender.send_request(ask("count to 3")).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&whole).contains("response.completed"), "the connection serves on");
}

async fn http2(port: u16) -> http2::SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn a_drain_lets_streams_finish_and_cuts_the_rest_cleanly() {
    let (gateway, backend) = gateway(|settings| settings.limits.drain = Duration::from_millis(500)).await;
    backend.add_rule(Rule::responses(Plan::auto().pause(4, offline::Wait::Gate("go".to_owned()))));
    backend.add_rule(Rule::responses(Plan::auto().pause(4, offline::Wait::Forever)).times(3));
    let calls =
        [("/v1/responses", true), ("/v1/responses", true), ("/v1/chat/completions", true), ("/v1/responses", false)];
    let mut wires = Vec::new();
    for (at, (path, stream)) in calls.into_iter().enumerate() {
        let mut wire = Wire::open(gateway.port).await;
        wire.send(call(&gateway, path, "count to 9", stream)).await;
        backend.wait_until(SOON, |record| record.model_requests().count() > at).await.unwrap();
        if stream {
            wire.begun().await;
        }
        wires.push(wire);
    }
    gateway.shutdown.cancel();
    backend.release("go");
    let texts = [wires[0].answer().await, wires[1].answer().await, wires[2].answer().await]
        .map(|answer| answer.unwrap().text());
    assert!(texts[0].contains("response.completed") && !texts[0].contains("response.failed"), "{}", texts[0]);
    assert!(texts[1].contains("response.failed") && texts[1].contains("shutting down"), "{}", texts[1]);
    assert!(texts[2].contains("shutting down") && !texts[2].contains("[DONE]"), "{}", texts[2]);
    let unanswered = wires[3].answer().await.unwrap();
    assert_eq!(
        (unanswered.check().status, unanswered.header("retry-after")),
        (503, Some("5")),
        "{}",
        unanswered.text()
    );
    gateway.stopped().await;
}

/// Proxies and scripts give all their requests one id: each response has that id, and each request has its own usage row.
#[tokio::test]
async fn requests_of_one_id_are_counted_each() {
    let site = Site::new(&["plus"], |_| {}, |_| {}).await;
    let key = format!("authorization: Bearer {}", site.gateway.keys.client);
    let body = br#"{"model":"gpt-6-sol","messages":[{"role":"user","content":"Reply with exactly: pong"}]}"#;
    for id in ["x-request-id: same", "x-request-id: same", "x-correlation-id: same"] {
        let headers = ["host: localhost", "content-type: application/json", &key, id];
        let answer = site.gateway.ask("POST /v1/chat/completions", &headers, body).await;
        assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("same")), "{}", answer.text());
    }
    let rows = site.rows(3).await;
    assert!(rows.len() == 3 && rows.iter().all(|row| *row.request_id == *"same"), "{rows:?}");
}
