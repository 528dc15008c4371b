//! An answer: an endpoint builds it, the plan changes it, hyper sends it as the HTTP body.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::SizeHint;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use crate::errors::Reject;
use crate::plan::api::Api;
use crate::plan::replay;
use crate::plan::shape::{Frame, Frames, Step, Steps};
use crate::plan::wire::{ConnectionControl, Termination};
use crate::plan::{Body, Plan, Shape};
use crate::record::{EndKind, RequestGuard};
use crate::state::Shared;

/// Status, headers and payload of an endpoint.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

pub(crate) enum Payload {
    Whole(Bytes),
    Stream(Frames),
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::typed(status, "application/json", body.to_string())
    }

    pub(crate) fn typed(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Self { status, headers, payload: Payload::Whole(body.into()) }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: HeaderMap::new(), payload: Payload::Whole(Bytes::new()) }
    }

    pub(crate) fn stream(frames: Frames) -> Self {
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        Self { status: 200, headers: HeaderMap::from_iter([(CONTENT_TYPE, kind)]), payload: Payload::Stream(frames) }
    }

    /// Adds a header; names and values of this crate are valid by construction, those of a script may not be.
    pub(crate) fn header(&mut self, name: &str, value: &str) {
        let pair = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()));
        if let (Ok(name), Ok(value)) = pair {
            self.headers.append(name, value);
        } else {
            tracing::error!(name, "not a valid header; use a wire body to send it anyway");
        }
    }

    /// Applies the plan's status, headers and body over the endpoint's answer.
    pub(crate) fn apply_plan(mut self, plan: &Plan, shared: &Shared) -> Self {
        match body(plan, shared) {
            Some(Ok(answer)) => self = answer,
            Some(Err(reject)) => self = reject.into(),
            None => {}
        }
        if let Some(status) = plan.status {
            self.status = status;
        }
        for (name, _) in &plan.headers {
            self.headers.remove(name.as_str());
        }
        for (name, value) in &plan.headers {
            self.header(name, value);
        }
        if !plan.shape.compress.is_empty() {
            let names: Vec<&str> = plan.shape.compress.iter().map(|coding| coding.name()).collect();
            self.header(CONTENT_ENCODING.as_str(), &names.join(", "));
        }
        self
    }

    /// The HTTP response; its body owns the [`RequestGuard`](crate::record::RequestGuard).
    pub(crate) fn respond(self, plan: &Plan, send: AnswerContext) -> Response<AnswerBody> {
        send.guard.status(self.status);
        let date = send.shared.date();
        let flow = match self.payload {
            Payload::Whole(bytes) if plan.shape.plain() => AnswerBody::whole(bytes, send),
            Payload::Whole(bytes) => AnswerBody::pump(Box::new(std::iter::once(Frame::new(bytes))), &plan.shape, send),
            Payload::Stream(frames) => AnswerBody::pump(frames, &plan.shape, send),
        };
        let mut response = Response::new(flow);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if let Some(date) = date {
            response.headers_mut().entry(DATE).or_insert(date);
        }
        response
    }
}

impl From<Reject> for Answer {
    fn from(reject: Reject) -> Self {
        Self::json(reject.status, &reject.body)
    }
}

impl From<Reject> for Box<Answer> {
    fn from(reject: Reject) -> Self {
        Self::new(reject.into())
    }
}

/// The answer that the plan's body makes; `None` if the plan leaves the body to the endpoint.
fn body(plan: &Plan, shared: &Shared) -> Option<Result<Answer, Reject>> {
    Some(Ok(match &plan.body {
        Body::Auto => return None,
        Body::Wire(_) => Answer::empty(200),
        Body::Json(value) => Answer::json(200, value),
        Body::Text(text) => Answer::typed(200, "text/plain; charset=utf-8", text.clone()),
        Body::Bytes(blob) if plan.shape.plain() && shared.options.pace.is_none() => {
            Answer::stream(Box::new(std::iter::once(Frame { bytes: blob.0.clone(), token: false })))
        }
        Body::Bytes(blob) => Answer::stream(Box::new(replay::frames(&blob.0).into_iter())),
        Body::Events(events) => {
            let frames: Vec<Frame> =
                events.iter().map(|event| Frame::new(Bytes::from(replay::framed(&event.to_string())))).collect();
            Answer::stream(Box::new(frames.into_iter()))
        }
        Body::Replay(name) => match replay::load(&shared.options.replay, name) {
            Ok(frames) => Answer::stream(Box::new(frames.into_iter())),
            Err(error) => return Some(Err(Reject::detail(500, format!("offline: no replay named {name}: {error}")))),
        },
    }))
}

/// The state that an answer needs while it is sent.
pub(crate) struct AnswerContext {
    pub(crate) api: Api,
    pub(crate) shared: Arc<Shared>,
    pub(crate) connection: Arc<ConnectionControl>,
    pub(crate) guard: RequestGuard,
}

/// The HTTP body.
pub(crate) enum AnswerBody {
    Whole(Option<Bytes>, AnswerContext),
    Pump(Box<StreamBody>),
}

impl AnswerBody {
    fn whole(bytes: Bytes, mut send: AnswerContext) -> Self {
        if bytes.is_empty() {
            send.done();
        }
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()), send)
    }

    fn pump(frames: Frames, shape: &Shape, send: AnswerContext) -> Self {
        let mut shape = shape.clone();
        shape.pace = shape.pace.or(send.shared.options.pace);
        let pace = shape.pace.map(Pacing::new);
        let steps: Box<dyn Iterator<Item = Step> + Send> = if shape.plain() {
            Box::new(frames.map(|frame| Step::Bytes(frame.bytes)))
        } else {
            Box::new(Steps::new(frames, shape, send.api))
        };
        Self::Pump(Box::new(StreamBody {
            steps,
            send,
            pace,
            batch: BytesMut::new(),
            wait: None,
            ending: None,
            dead: false,
        }))
    }
}

impl AnswerContext {
    /// Records that hyper has the last byte.
    fn done(&mut self) {
        self.guard.end(EndKind::Complete);
        self.connection.answered();
    }
}

/// Performs the steps of a stream.
pub(crate) struct StreamBody {
    steps: Box<dyn Iterator<Item = Step> + Send>,
    send: AnswerContext,
    pace: Option<Pacing>,
    batch: BytesMut,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    ending: Option<Termination>,
    dead: bool,
}

/// The schedule of an answer's tokens.
pub(crate) struct Pacing {
    rate: f64,
    start: Instant,
    count: u32,
}

/// Frames are collected up to this size for one write.
const BATCH: usize = 16 << 10;

impl StreamBody {
    /// The next chunk for hyper, or the end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            if let Some(how) = self.ending.take() {
                return self.end(how);
            }
            if self.dead {
                return Poll::Pending;
            }
            let Some(step) = self.steps.next() else {
                if self.batch.is_empty() {
                    self.send.done();
                    return Poll::Ready(None);
                }
                return Poll::Ready(Some(self.batch.split().freeze()));
            };
            if let Some(chunk) = self.step(step) {
                return Poll::Ready(Some(chunk));
            }
        }
    }

    /// Performs a step; returns a chunk when it is time to write.
    fn step(&mut self, step: Step) -> Option<Bytes> {
        match step {
            Step::Bytes(bytes) if self.batch.is_empty() && bytes.len() >= BATCH => return Some(bytes),
            Step::Bytes(bytes) => {
                self.batch.extend_from_slice(&bytes);
                if self.batch.len() < BATCH {
                    return None;
                }
            }
            Step::Flush => self.wait = Some(Box::pin(tokio::task::yield_now())),
            Step::Wait(wait) => {
                let shared = Arc::clone(&self.send.shared);
                self.wait = Some(Box::pin(async move { shared.gates.pass(&wait).await }));
            }
            Step::Pace => {
                let due = self.pace.as_mut()?.due();
                if due <= Instant::now() {
                    return None;
                }
                self.wait = Some(Box::pin(tokio::time::sleep_until(due)));
            }
            Step::End(how) => self.ending = Some(how),
            Step::Quirk(_) => {}
        }
        Some(self.batch.split().freeze()).filter(|batch| !batch.is_empty())
    }

    fn end(&mut self, how: Termination) -> Poll<Option<Bytes>> {
        self.send.guard.end(EndKind::Cut);
        match how {
            Termination::Reset | Termination::Fin | Termination::Close { .. } => {
                self.dead = true;
                self.send.connection.end_connection(how);
                Poll::Pending
            }
            Termination::End | Termination::Failed { .. } | Termination::Incomplete { .. } => {
                self.send.connection.answered();
                Poll::Ready(None)
            }
        }
    }
}

impl Pacing {
    /// Starts now, at `rate` tokens per second.
    pub(crate) fn new(rate: f64) -> Self {
        Self { rate, start: Instant::now(), count: 0 }
    }

    /// When the next token is due.
    pub(crate) fn due(&mut self) -> Instant {
        let due = self.start + Duration::from_secs_f64(f64::from(self.count) / self.rate.max(0.001));
        self.count += 1;
        due
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let (chunk, send) = match self.get_mut() {
            Self::Whole(bytes, send) => {
                let bytes = bytes.take();
                send.done();
                (bytes, send)
            }
            Self::Pump(pump) => (ready!(pump.poll(cx)), &mut pump.send),
        };
        send.guard.sent(chunk.as_ref().map_or(0, Bytes::len));
        Poll::Ready(chunk.map(|chunk| Ok(http_body::Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None, _))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pump(_) => SizeHint::default(),
        }
    }
}

/// The context of a control request, which is not recorded.
pub(crate) fn unrecorded(shared: &Arc<Shared>) -> AnswerContext {
    let (line, visit) = (ConnectionControl::new(0, None), RequestGuard::none(&shared.recorder));
    AnswerContext { api: Api::Backend, shared: Arc::clone(shared), connection: line, guard: visit }
}
