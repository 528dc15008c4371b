//! A panic in the middle of a request: the caller gets an error, the log says where, and no other request is affected.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use offline::{Plan, Rule, Termination};
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::socket::Socket;
use crate::streams::gateway;

const MODEL: &str = "gpt-6-sol";

/// Panics at the log message `at`, once for each time that it is armed, and counts the logged panics.
#[derive(Clone, Default)]
struct Defect {
    at: &'static str,
    armed: Arc<AtomicBool>,
    logged: Arc<AtomicUsize>,
}

impl<S: Subscriber> Layer<S> for Defect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        if fields.message == "a handler panicked" {
            assert_eq!((*event.metadata().level(), &*fields.route), (Level::ERROR, "\"/v1/responses\""));
            self.logged.fetch_add(1, Ordering::Relaxed);
        }
        assert!(fields.message != self.at || !self.armed.swap(false, Ordering::Relaxed), "a defect");
    }
}

#[derive(Default)]
struct EventFields {
    message: String,
    route: String,
}

impl Visit for EventFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "route" => self.route = format!("{value:?}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_panic_before_a_reply_is_answered_alike_over_http_and_websocket() {
    let defect = Defect { at: "a try failed", ..Defect::default() };
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(defect.clone()));
    let (gateway, backend) = gateway(|_| {}).await;
    let key = format!("Bearer {}", gateway.keys.client);
    let mut socket = Socket::open(gateway.port, &[("authorization", &key)]).await.unwrap();
    let body = json!({ "model": MODEL, "input": "count to 3" });
    let mut failures = Vec::new();
    for over_http in [true, false] {
        backend.add_rule(Rule::responses(Plan::json(500, json!({ "error": { "message": "x" } }))));
        defect.armed.store(true, Ordering::Relaxed);
        failures.push(if over_http {
            let answer = gateway.post("/v1/responses", &[], body.to_string().as_bytes()).await;
            let error: Value = serde_json::from_slice(&answer.body).unwrap();
            (json!(answer.status), error["error"].clone())
        } else {
            let refused = socket.ask(body.clone()).await;
            assert_eq!(refused["type"], "error");
            (refused["status"].clone(), refused["error"].clone())
        });
    }
    assert_eq!(failures[0].0, 500, "{failures:?}");
    assert_eq!(failures[0], failures[1]);
    assert_eq!(defect.logged.load(Ordering::Relaxed), 2);
    assert_eq!(socket.ask(body).await["type"], "response.completed", "and the connection goes on");
}

#[tokio::test]
async fn a_panic_within_a_reply_ends_that_reply() {
    let defect = Defect { at: "upstream cut a reply", ..Defect::default() };
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(defect.clone()));
    let (gateway, backend) = gateway(|settings| settings.limits.replies = 1).await;
    let key = format!("Bearer {}", gateway.keys.client);
    let mut socket = Socket::open(gateway.port, &[("authorization", &key)]).await.unwrap();
    backend.add_rule(Rule::responses(Plan::auto().cut_event(10, Termination::Reset)));
    defect.armed.store(true, Ordering::Relaxed);
    socket.create(json!({ "model": MODEL, "input": "count to 9" })).await;
    let events = socket.reply().await;
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&json!("error"), &json!(500)), "{last}");
    assert_eq!(defect.logged.load(Ordering::Relaxed), 1);
    let next = socket.ask(json!({ "model": MODEL, "input": "count to 3" })).await;
    assert_eq!(next["type"], "response.completed", "its place is free");
}
