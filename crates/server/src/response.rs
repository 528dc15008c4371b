//! Responses: the body types that hyper writes, and how a failure becomes a response of the client's protocol.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Frame, SizeHint};
use proto::{Dialect, Failure, Kind};
use tokio::sync::OwnedSemaphorePermit;

use crate::connection::signal::StreamSignal;
use crate::connection::state::ConnectionState;
use crate::forwarded::ClientPermit;

/// Most bytes of one frame: over HTTP/1, hyper copies each frame into its write buffer, and never gives that buffer's memory back.
const PIECE: usize = 16 << 10;

/// The source of a streamed body.
pub(crate) trait BodySource: Send {
    /// The next bytes for the client; `None` after the end. An error resets the stream.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>>;

    /// Ends the stream now, and returns the protocol's bytes for a reply that fails midway; empty if the stream has already ended.
    fn cut(&mut self, failure: &Failure) -> Result<Bytes, StreamAborted>;
}

/// A streamed body. hyper owns and polls the body; the connection reaches the body through its [`StreamSignal`] only, so that a poll takes
/// no lock.
pub(crate) struct StreamBody {
    /// `None` after the end.
    source: Option<Box<dyn BodySource>>,
    /// The rest of a long read, which is handed over in pieces.
    rest: Option<Bytes>,
    signal: Arc<StreamSignal>,
    /// The waker that is registered with the signal.
    waker: Option<Waker>,
    /// The permits that are released when the stream ends.
    permits: (Option<OwnedSemaphorePermit>, Option<ClientPermit>),
}

impl StreamBody {
    /// A body with this source. `connection` ends the body when the server stops, or when the client stops reading.
    pub(crate) fn new(
        source: Box<dyn BodySource>,
        permit: Option<OwnedSemaphorePermit>,
        connection: &ConnectionState,
    ) -> Self {
        let signal = Arc::new(StreamSignal::new());
        connection.track(&signal);
        Self { source: Some(source), rest: None, signal, waker: None, permits: (permit, None) }
    }

    /// Holds a permit of the request's client address until the stream ends.
    pub(crate) fn hold(&mut self, permit: ClientPermit) {
        self.permits.1 = Some(permit);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        if self.rest.is_none() {
            let polled = self.poll_source(cx);
            let Poll::Ready(Some(Ok(bytes))) = polled else { return polled };
            self.rest = Some(bytes);
        }
        // An event that has begun is sent to its end, also when the server stops.
        self.signal.set_handed();
        Poll::Ready(next_piece(&mut self.rest).map(Ok))
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamAborted>>> {
        let Some(source) = &mut self.source else { return Poll::Ready(None) };
        if self.signal.is_finishing() {
            let last = source.cut(&shutting_down());
            self.end();
            return Poll::Ready(Some(last).filter(|last| last.as_ref().map_or(true, |bytes| !bytes.is_empty())));
        }
        let polled = source.poll_bytes(cx);
        match &polled {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(_)) | None) => self.end(),
            Poll::Pending => self.wait(cx.waker()),
        }
        polled
    }

    /// Registers the task's waker only once: a task keeps its waker, and only the end of the server uses the registered one.
    fn wait(&mut self, waker: &Waker) {
        self.signal.set_waiting();
        if self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        self.waker = Some(waker.clone());
        self.signal.register(waker);
        if self.signal.is_finishing() {
            // The signal came between the check before the poll and the registration: nothing else would wake a quiet stream.
            waker.wake_by_ref();
        }
    }

    fn end(&mut self) {
        self.source = None;
        self.permits = (None, None);
    }
}

/// The stream is reset, because the source failed and its protocol cannot express that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream is given up")]
pub(crate) struct StreamAborted;

/// A response body.
pub(crate) enum Body {
    /// The whole body, until it is taken.
    Whole(Option<Bytes>),
    /// A stream, one frame for each read of the upstream.
    Stream(StreamBody),
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
    type Error = StreamAborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, StreamAborted>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(next_piece(bytes).map(|piece| Ok(Frame::data(piece)))),
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

/// Takes the next piece of a body; `None` after the last one.
fn next_piece(body: &mut Option<Bytes>) -> Option<Bytes> {
    match body {
        Some(rest) if rest.len() > PIECE => Some(rest.split_to(PIECE)),
        _ => body.take(),
    }
}

/// A response that is an error.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The failure, for the client's protocol.
    pub(crate) failure: Box<Failure>,
    /// The status, if it differs from the protocol's status for the failure's kind.
    pub(crate) status: Option<StatusCode>,
    /// Headers in addition to those of every response.
    pub(crate) headers: Box<HeaderMap>,
}

impl Rejection {
    /// A rejection with a status that no [`Kind`] has.
    pub(crate) fn with(status: StatusCode, failure: Failure) -> Self {
        Self { status: Some(status), ..Self::from(failure) }
    }

    /// The rejection of a method that the path does not have.
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

/// A JSON response.
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

/// A response without a body.
pub(crate) fn no_content(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests;
