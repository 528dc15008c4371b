//! Embeddings, audio and images: forwarded to a relay unchanged, and the answer is returned as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use pool::Secret;
use pool::relay::{self, Relay, Service, Wire};
use tokio::sync::oneshot;

use super::{RelayClient, Target, unreadable, with_body};
use crate::{Answer, Fault, FaultKind, Sent};

/// Headers of an answer that are passed back; others are not.
const PASSED_BACK: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_DISPOSITION,
    header::RETRY_AFTER,
];
/// As [`PASSED_BACK`], by the beginning of the name.
const FAMILIES: [&str; 3] = ["x-ratelimit-", "x-request-id", "openai-processing-ms"];
/// Replaces content types that a browser could show as a page of the gateway.
const PLAIN: HeaderValue = HeaderValue::from_static("application/octet-stream");

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One call to forward.
pub struct Forward<'a> {
    /// The relay; its address is checked again.
    pub relay: &'a Relay,
    /// The relay's key; with an empty key no credentials are sent.
    pub key: &'a Secret,
    /// The service to call.
    pub service: Service,
    /// The client's `content-type`, with the boundary of a multipart body.
    pub content_type: Option<HeaderValue>,
    /// The body.
    pub body: OutgoingBody,
}

/// A body to send to a relay.
pub struct OutgoingBody {
    body: reqwest::Body,
    /// Resolves when the body is sent; `None` for a body in memory.
    sent: Option<oneshot::Receiver<()>>,
}

/// A client's body that reports when it has been read.
struct TrackedBody {
    body: Mutex<Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>>,
    reading: Option<oneshot::Sender<()>>,
}

impl From<Bytes> for OutgoingBody {
    fn from(bytes: Bytes) -> Self {
        Self { body: bytes.into(), sent: None }
    }
}

impl OutgoingBody {
    /// A body that is still arriving. Its length is announced if known.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (reading, sent) = oneshot::channel();
        let body = http_body_util::BodyExt::map_err(body, |error| -> BoxError { error.into() });
        let passing = TrackedBody { body: Mutex::new(Box::pin(body)), reading: Some(reading) };
        Self { body: reqwest::Body::wrap(passing), sent: Some(sent) }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.body.get_mut().as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.reading = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().size_hint()
    }
}

impl RelayClient {
    /// Forwards a call. The future resolves at the answer's headers, filtered for the client. The time limit begins when the body has
    /// been sent. Dropping the future, or the answer's body, ends the exchange. Errors: the [`Fault`] of the call;
    /// [`FaultKind::Unsendable`] when the relay's protocol has no such call.
    pub async fn forward(&self, forward: Forward<'_>) -> Result<Answer, Fault> {
        let Forward { relay, key, service, content_type, body } = forward;
        let url = relay::service_url(relay, service).map_err(|error| unreadable(&error))?;
        let Some(url) = url else {
            let message = format!("a relay of format {} has no {}", relay::format(relay.wire), service.path());
            return Err(Fault::new(Sent::No, FaultKind::Unsendable, message));
        };
        // Google has these calls under its OpenAI endpoints, with their credentials.
        let wire = if relay.wire == Wire::Gemini { Wire::Chat } else { relay.wire };
        let target = Target { url, wire, key, private: relay.allow_private };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        let request = with_body(self.request(Method::POST, &target, headers)?, body.body);
        let late = timeout_after_body(body.sent, self.config.timeouts.service);
        let mut answer = self.send(&target, request, late).await?;
        answer.headers = passed_back(&answer.headers);
        Ok(answer)
    }
}

/// [`Fault::timed_out`], `limit` after the body was sent. The reader of the body handles a client that stops in the middle of it.
async fn timeout_after_body(sent: Option<oneshot::Receiver<()>>, limit: Duration) -> Fault {
    if let Some(sent) = sent {
        let _ = sent.await;
    }
    Fault::timeout_after(limit).await
}

/// The headers that a client may see.
fn passed_back(headers: &HeaderMap) -> HeaderMap {
    let family = |name: &HeaderName| FAMILIES.iter().any(|start| name.as_str().starts_with(start));
    let named = headers.iter().filter(|(name, _)| PASSED_BACK.contains(name) || family(name));
    let mut passed: HeaderMap = named.map(|(name, value)| (name.clone(), value.clone())).collect();
    if passed.get(header::CONTENT_TYPE).is_some_and(|kind| !is_inert(kind)) {
        passed.insert(header::CONTENT_TYPE, PLAIN);
    }
    passed
}

/// Whether a browser shows this content type as data and not as a page.
fn is_inert(kind: &HeaderValue) -> bool {
    let Ok(kind) = kind.to_str() else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let data = ["application/json", "application/x-ndjson", "application/octet-stream", "application/x-subrip"];
    let texts = ["text/plain", "text/event-stream", "text/vtt", "text/srt"];
    let media = ["audio/", "video/"].iter().any(|start| kind.starts_with(start));
    let picture = kind.starts_with("image/") && !kind.starts_with("image/svg");
    data.contains(&kind.as_str()) || texts.contains(&kind.as_str()) || media || picture
}
