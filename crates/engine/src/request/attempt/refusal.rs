//! An upstream's refusal: its status with the beginning of its body, or an answer of another content type.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pool::AccountId;
use pool::attempt::{Outcome, Retry, Trouble, TroubleKind};
use tokio::time::{Instant, timeout_at};
use upstream::{Answer, Body};

use super::CallError;
use crate::dispatch::head;
use crate::request::services::Services;

/// The limits for reading a refusal's body: bytes and time.
const REFUSAL: (usize, Duration) = (64 << 10, Duration::from_secs(10));

/// The error for a relay's status other than 200, with the text of its body.
pub(crate) async fn relay_refusal(services: &Services, answer: Answer) -> CallError {
    if (200..300).contains(&answer.status) {
        return no_stream(&answer);
    }
    let retry = Retry::from_headers(head::pairs(&answer.headers), services.runtime.now());
    let code = answer.status;
    let body = read(answer.body).await;
    Outcome::Refused { code, failure: proto::upstream_error::from_body(code, &body).into(), retry }.into()
}

/// The error for an account's status other than 200, with the text of its body.
pub(crate) async fn account_refusal(services: &Services, id: &AccountId, answer: Answer) -> CallError {
    head::quota(&services.dispatch, id, &answer.headers);
    if (200..300).contains(&answer.status) {
        return no_stream(&answer);
    }
    let retry = Retry::from_headers(head::pairs(&answer.headers), services.runtime.now());
    let body = read(answer.body).await;
    Outcome::Status { code: answer.status, body, retry }.into()
}

/// The beginning of a refusal's body, as far as it can be read in time.
async fn read(mut body: Body) -> Bytes {
    let until = Instant::now() + REFUSAL.1;
    let mut all = BytesMut::new();
    while let Ok(Some(Ok(chunk))) = timeout_at(until, body.chunk()).await {
        let room = REFUSAL.0.saturating_sub(all.len());
        all.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if all.len() >= REFUSAL.0 {
            break;
        }
    }
    all.freeze()
}

/// Whether the answer is an event stream. An answer of another content type is not from the backend, or not for this request.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    value.to_str().is_ok_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Whether the answer is a reply. Some relays answer with one JSON body instead of a stream; the readers accept that.
pub(crate) fn is_reply(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return true };
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(media.as_str(), "text/event-stream" | "application/json" | "application/x-ndjson" | "text/plain" | "")
}

pub(crate) fn no_stream(answer: &Answer) -> CallError {
    let kind = head::text(&answer.headers, CONTENT_TYPE.as_str()).unwrap_or("no content type");
    let kind: String = kind.chars().filter(char::is_ascii_graphic).take(64).collect();
    let message = format!("the upstream answered {} with {kind} instead of an event stream", answer.status);
    let cause = Trouble { kind: TroubleKind::Protocol, message };
    CallError { outcome: Outcome::NoStatus { cause }, code: Some("upstream_protocol") }
}
