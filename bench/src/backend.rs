//! The backend of a benchmark: streams numbered tokens in the Codex backend's format, as cheaply as hyper allows, so that the
//! proxy under test is the bottleneck. Its tokens are `<n> `, counted from 0, one event each.

use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::form::RELAY;
use crate::plan::{Plan, micros_now, text};

/// Serves until the process ends.
pub(crate) async fn serve(port: u16) -> anyhow::Result<()> {
    let plan = Arc::new(Mutex::new((Plan { tokens: 100, pace: 0.0, batch: 1, spread: false, stamp: false }, 0)));
    let app = Router::new()
        .route("/plan", post(set))
        .route("/backend-api/codex/responses", post(answer).get(socket))
        .route("/backend-api/codex/models", get(models))
        .route("/backend-api/wham/usage", get(usage))
        .route("/v1/responses", post(answer))
        .route("/v1/chat/completions", post(answer))
        .route("/v1/messages", post(answer))
        .route("/v1beta/models/{call}", post(answer))
        .route("/api/chat", post(answer))
        .route(&format!("{}/chat/completions", RELAY.2), post(relayed))
        .route(
            &format!("{}/models", RELAY.2),
            get(|| async { Json(json!({ "object": "list", "data": [{ "id": RELAY.1, "object": "model" }] })) }),
        )
        .with_state(plan);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).await?)
}

/// The plan, and the number of answers begun by it.
type Shared = Arc<Mutex<(Plan, u64)>>;

async fn set(State(shared): State<Shared>, Query(plan): Query<Plan>) {
    *shared.lock().expect("invariant: nobody panics with the lock") = (plan, 0);
}

async fn answer(State(shared): State<Shared>, body: Body) -> Response {
    stream(shared, body, Shape::Responses).await
}

/// Answers as a relay with Chat Completions.
async fn relayed(State(shared): State<Shared>, body: Body) -> Response {
    stream(shared, body, Shape::Chat).await
}

/// A WebSocket; every text message gets one answer.
async fn socket(State(shared): State<Shared>, request: Request) -> Response {
    let Some(key) = request.headers().get("sec-websocket-key") else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        if let Ok(io) = upgrade.await {
            let _ = converse(shared, TokioIo::new(io)).await;
        }
    });
    let headers = [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", accept.as_str())];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn converse(shared: Shared, io: TokioIo<Upgraded>) -> tungstenite::Result<()> {
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    while let Some(message) = socket.next().await {
        if !message?.is_text() {
            continue;
        }
        let mut tokens = Tokens::begin(&shared, Shape::Responses);
        while let Some(Ok(frame)) = BodyExt::frame(&mut tokens).await {
            for event in frame.into_data().unwrap_or_default().split(|byte| *byte == b'\n') {
                if let Some(data) = event.strip_prefix(b"data: ") {
                    let text = String::from_utf8_lossy(data).into_owned();
                    socket.feed(Message::text(text)).await?;
                }
            }
            socket.flush().await?;
        }
    }
    Ok(())
}

async fn stream(shared: Shared, body: Body, shape: Shape) -> Response {
    // The body is read to its end, because otherwise the connection cannot be reused.
    let _ = body.collect().await;
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Tokens::begin(&shared, shape))).into_response()
}

async fn models() -> Json<Value> {
    Json(json!({ "models": [{
        "slug": "gpt-5.5", "display_name": "GPT-5.5", "visibility": "list", "supported_in_api": true, "priority": 1,
        "supported_reasoning_levels": [], "input_modalities": ["text"], "context_window": 272_000,
        "use_responses_lite": false, "service_tiers": [],
    }] }))
}

async fn usage() -> Json<Value> {
    let window = json!({ "used_percent": 1, "limit_window_seconds": 18_000, "reset_after_seconds": 9_000, "reset_at": 4_000_000_000_u64 });
    Json(
        json!({ "plan_type": "plus", "rate_limit": { "allowed": true, "limit_reached": false, "primary_window": window, "secondary_window": null } }),
    )
}

/// The format of the events.
#[derive(Clone, Copy)]
enum Shape {
    Responses,
    Chat,
}

impl Shape {
    fn head(self) -> Bytes {
        match self {
            Self::Responses => head(),
            Self::Chat => Bytes::from(format!("{CHUNK}{{\"role\":\"assistant\",\"content\":\"\"}}{OPEN}")),
        }
    }

    fn delta(self, n: u32, stamp: Option<u64>, out: &mut BytesMut) {
        match self {
            Self::Responses => delta(n, stamp, out),
            Self::Chat => {
                let stamp = stamp.map_or(String::new(), |at| format!("@{at}"));
                let _ = write!(out, "{CHUNK}{{\"content\":\"{n}{stamp} \"}}{OPEN}");
            }
        }
    }

    fn tail(self, tokens: u32) -> Bytes {
        match self {
            Self::Responses => tail(tokens),
            Self::Chat => Bytes::from(format!(
                "{CHUNK}{{}},\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{tokens},\"total_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
                tokens + 9
            )),
        }
    }
}

/// The start of a chunk, up to its delta.
const CHUNK: &str = r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1,"model":"relay-model","choices":[{"index":0,"delta":"#;
/// The rest of a chunk after its delta, unless it is the last chunk.
const OPEN: &str = ",\"finish_reason\":null}]}\n\n";

/// The body of one answer.
struct Tokens {
    plan: Plan,
    shape: Shape,
    sent: u32,
    stage: Stage,
    /// Whether the last poll returned a frame. Then the next poll yields once, so that each frame is a separate write.
    gave: bool,
    timer: Pin<Box<Sleep>>,
    began: Instant,
    /// Its number among the answers by this plan, from 1.
    number: u64,
}

/// A random number from 0 to 1, the same for the same seed (SplitMix64).
fn share(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[derive(PartialEq)]
enum Stage {
    Head,
    Deltas,
    Tail,
    Over,
}

impl Tokens {
    /// The next answer by the plan.
    fn begin(shared: &Shared, shape: Shape) -> Self {
        let (plan, answers) = &mut *shared.lock().expect("invariant: nobody panics with the lock");
        *answers += 1;
        let (began, number) = (Instant::now(), *answers);
        let timer = Box::pin(sleep_until(began));
        Self { plan: *plan, shape, sent: 0, stage: Stage::Head, gave: false, timer, began, number }
    }

    fn due(&self) -> Instant {
        let share = if self.plan.spread { share(self.number << 32 | u64::from(self.sent)) } else { 0.0 };
        let intervals = f64::from(self.sent) + share;
        let seconds = if self.plan.pace > 0.0 { intervals / self.plan.pace } else { 0.0 };
        self.began + Duration::from_secs_f64(seconds)
    }

    fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Head => {
                self.stage = Stage::Deltas;
                Some(self.shape.head())
            }
            Stage::Deltas => {
                let upto = self.plan.tokens.min(self.sent + self.plan.batch.max(1));
                let mut out = BytesMut::with_capacity(192 * self.plan.batch as usize);
                let stamp = self.plan.stamp.then(micros_now);
                (self.sent..upto).for_each(|n| self.shape.delta(n, stamp, &mut out));
                self.sent = upto;
                if self.sent >= self.plan.tokens {
                    self.stage = Stage::Tail;
                }
                Some(out.freeze())
            }
            Stage::Tail => {
                self.stage = Stage::Over;
                Some(self.shape.tail(self.plan.tokens))
            }
            Stage::Over => None,
        }
    }
}

impl http_body::Body for Tokens {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.gave {
            self.gave = false;
            let due = self.due();
            if self.stage == Stage::Deltas && due > Instant::now() {
                self.timer.as_mut().reset(due);
            } else {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if self.stage == Stage::Deltas && self.timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.gave = true;
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn event(kind: &str, body: &Value) -> String {
    let mut whole = json!({ "type": kind });
    for (name, value) in body.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    format!("event: {kind}\ndata: {whole}\n\n")
}

fn head() -> Bytes {
    let response = json!({ "id": "resp_bench", "object": "response", "created_at": 1, "status": "in_progress", "model": "gpt-5.5", "output": [] });
    let item = json!({ "id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": [] });
    let part = json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": "" });
    let mut out = event("response.created", &json!({ "sequence_number": 0, "response": response }));
    out += &event("response.in_progress", &json!({ "sequence_number": 1, "response": response }));
    out += &event("response.output_item.added", &json!({ "sequence_number": 2, "output_index": 0, "item": item }));
    out += &event(
        "response.content_part.added",
        &json!({ "sequence_number": 3, "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": part }),
    );
    out.into()
}

fn delta(n: u32, stamp: Option<u64>, out: &mut BytesMut) {
    let stamp = stamp.map_or(String::new(), |at| format!("@{at}"));
    let _ = write!(
        out,
        "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{},\"item_id\":\"msg_1\",\
         \"output_index\":0,\"content_index\":0,\"delta\":\"{n}{stamp} \",\"logprobs\":[],\"obfuscation\":\"x7Qk2\"}}\n\n",
        n + 4
    );
}

fn tail(tokens: u32) -> Bytes {
    let item = json!({
        "id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
        "content": [{ "type": "output_text", "annotations": [], "logprobs": [], "text": text(tokens) }],
    });
    let usage = json!({
        "input_tokens": 300, "input_tokens_details": { "cached_tokens": 0 }, "output_tokens": tokens,
        "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": tokens + 300,
    });
    let response = json!({ "id": "resp_bench", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5.5", "output": [], "usage": usage });
    let mut out =
        event("response.output_item.done", &json!({ "sequence_number": tokens + 5, "output_index": 0, "item": item }));
    out += &event("response.completed", &json!({ "sequence_number": tokens + 6, "response": response }));
    out.into()
}
