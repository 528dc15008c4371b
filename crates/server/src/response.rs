//! Responses: the body types that hyper writes, and how a failure becomes a response of the client's protocol.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use proto::{Dialect, Failure, Kind};

use crate::forwarded::ClientPermit;

/// The source of a streamed body.
pub(crate) trait BodySource: Send {
    /// The next bytes for the client; `None` after the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>>;

    /// Ends the stream now, and returns the protocol's bytes for a reply that fails midway; empty when it has ended already.
    fn cut(&mut self, failure: &Failure) -> Bytes;

    /// Whether it ended without a terminal of its protocol; then the client's connection must be reset.
    fn broken(&self) -> bool {
        false
    }
}

/// A streamed body that its connection can end from outside.
pub(crate) struct CancellableBody {
    state: Mutex<BodyState>,
    finish: AtomicBool,
    waker: AtomicWaker,
    /// The permit of the request's client address.
    place: OnceLock<ClientPermit>,
}

struct BodyState {
    source: Option<Box<dyn BodySource>>,
    /// When hyper took the last frame, until it polls for the next one.
    handed: Option<Instant>,
}

impl CancellableBody {
    /// A body with this source.
    pub(crate) fn new(source: Box<dyn BodySource>) -> Arc<Self> {
        let state = Mutex::new(BodyState { source: Some(source), handed: None });
        Arc::new(Self { state, finish: AtomicBool::new(false), waker: AtomicWaker::new(), place: OnceLock::new() })
    }

    /// Holds a permit until the stream ends.
    pub(crate) fn hold(&self, place: ClientPermit) {
        let _ = self.place.set(place);
    }

    /// Makes the stream end with its protocol's failure, because the server stops.
    pub(crate) fn finish(&self) {
        self.finish.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Drops the source when the client has not taken its last frame for `limit`.
    pub(crate) fn drop_stalled(&self, limit: Duration) {
        let mut state = self.state.lock();
        if state.handed.is_some_and(|since| since.elapsed() >= limit) {
            state.source = None;
            self.waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Abandoned>>> {
        let mut state = self.state.lock();
        let BodyState { source, handed } = &mut *state;
        let Some(live) = source else { return Poll::Ready(Some(Err(Abandoned))) };
        if self.finish.load(Ordering::Acquire) {
            let last = live.cut(&shutting_down());
            if live.broken() {
                *source = None;
                return Poll::Ready(Some(Err(Abandoned)));
            }
            *source = Some(Box::new(Finished));
            return Poll::Ready((!last.is_empty()).then_some(Ok(last)));
        }
        let polled = live.poll_bytes(cx);
        match &polled {
            Poll::Ready(Some(_)) => *handed = Some(Instant::now()),
            Poll::Ready(None) if live.broken() => {
                *source = None;
                return Poll::Ready(Some(Err(Abandoned)));
            }
            Poll::Ready(None) => *source = Some(Box::new(Finished)),
            Poll::Pending => {
                *handed = None;
                self.waker.register(cx.waker());
                if self.finish.load(Ordering::Acquire) {
                    // The request came between the check above and the registration: nothing else would wake a quiet stream.
                    cx.waker().wake_by_ref();
                }
            }
        }
        polled.map(|bytes| bytes.map(Ok))
    }
}

impl std::fmt::Debug for CancellableBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

/// A source after its end.
struct Finished;

impl BodySource for Finished {
    fn poll_bytes(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        Poll::Ready(None)
    }

    fn cut(&mut self, _failure: &Failure) -> Bytes {
        Bytes::new()
    }
}

/// The stream is reset: the client has not taken a frame for too long, or the source broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is given up")]
pub(crate) struct Abandoned;

/// A response body.
pub(crate) enum Body {
    /// The whole body, until it is taken.
    Whole(Option<Bytes>),
    /// A stream, one frame for each read of the upstream.
    Stream(Arc<CancellableBody>),
}

impl Body {
    /// No bytes.
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll(cx).map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A response that is an error.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The failure, for the client's protocol.
    pub(crate) failure: Box<Failure>,
    /// The status, where it differs from the protocol's own for the failure's kind.
    pub(crate) status: Option<StatusCode>,
    /// Headers in addition to those of every response.
    pub(crate) headers: Box<HeaderMap>,
}

impl Rejection {
    /// A rejection with a status that no [`Kind`] has.
    pub(crate) fn with(status: StatusCode, failure: Failure) -> Self {
        Self { status: Some(status), ..Self::from(failure) }
    }

    /// A method that the path does not have.
    pub(crate) fn method_not_allowed(others: &[Method]) -> Self {
        let mut rejection = Self::from(Failure::new(Kind::Method, "Method not allowed"));
        let others: Vec<&str> = others.iter().map(Method::as_str).collect();
        rejection.headers.extend(HeaderValue::from_str(&others.join(", ")).ok().map(|others| (ALLOW, others)));
        rejection
    }

    /// The response in `dialect`.
    pub(crate) fn respond(self, dialect: Dialect) -> Response<Body> {
        let (status, body) = dialect.error(&self.failure);
        let status = self.status.or(StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = *self.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.failure.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        Self { failure: Box::new(failure), status: None, headers: Box::default() }
    }
}

/// The failure for requests that the drain did not wait for.
pub(crate) fn shutting_down() -> Failure {
    Failure::new(Kind::Overloaded, "The gateway is shutting down").code("shutting_down").retry_after(5)
}

/// The result of a handler.
pub(crate) type HandlerResult = Result<Response<Body>, Rejection>;

/// A JSON answer.
pub(crate) fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    json_bytes(status, Bytes::from(serde_json::to_vec(value).expect("invariant: our answers serialise")))
}

/// A JSON response from serialised bytes.
pub(crate) fn json_bytes(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// An answer without a body.
pub(crate) fn no_content(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
