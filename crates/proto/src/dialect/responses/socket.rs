//! The same protocol over a WebSocket: one `response.create` per turn, and one JSON text per event.
//!
//! [`TurnRequest`] is a request body as it would be sent over HTTP, written as the frame of a socket; [`Chain`] is what the other
//! end of a socket remembers, so that a turn sends only what is new; [`event`] checks a message, which is then a chunk for a reader
//! that reads messages ([`crate::Reader::read_messages`]).
//!
//! Source: spec of the official client 0.169.0 on the wire, section 4, November 2026.

mod chain;
mod fingerprint;
mod turn_request;

use bytes::Bytes;

pub use chain::{Chain, Foreign, Record};
pub use turn_request::TurnRequest;

use super::wire::{self, Kind};
use crate::json::{self, Scan};
use crate::text::Json;

/// The meaning of an event for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventClass {
    /// About the account or the connection: limits, metadata, timing. These may come before the reply.
    OutOfBand,
    /// A part of the reply.
    Part,
    /// An item of the reply is complete.
    ItemDone,
    /// The reply ended and is complete.
    Completed,
    /// The reply ended early.
    Incomplete,
    /// The other end refuses the request or aborts the reply.
    Error,
}

impl EventClass {
    fn of(kind: Kind, name: &[u8]) -> Self {
        match kind {
            Kind::Completed => Self::Completed,
            Kind::Incomplete | Kind::Cancelled | Kind::Failed => Self::Incomplete,
            Kind::Error => Self::Error,
            Kind::ItemDone => Self::ItemDone,
            Kind::Limits | Kind::Metadata => Self::OutOfBand,
            _ if name.starts_with(b"codex.") || name.starts_with(b"responsesapi.") || name == b"keepalive" => {
                Self::OutOfBand
            }
            _ => Self::Part,
        }
    }
}

/// The event in a message, on one line and without white space around it, with its class; `None` if the message is not an event.
pub fn event(message: &Bytes) -> Option<(Bytes, EventClass)> {
    let message = message.slice_ref(message.trim_ascii());
    if let Some(name) = wire::type_of(&message).filter(|_| memchr::memchr2(b'\n', b'\r', &message).is_none()) {
        let class = EventClass::of(Kind::of(name), name);
        return Some((message, class));
    }
    let event = json::readable(message)?;
    let name = event.text("type")?;
    let name = name.plain();
    if name.contains(char::is_control) {
        return None;
    }
    let class = EventClass::of(Kind::of(name.as_bytes()), name.as_bytes());
    Some((event.bytes().clone(), class))
}

/// The fields of an `error` message beside the error itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The equivalent HTTP status, 400 or higher; `None` for a message without a status, which the official client ignores.
    pub status: Option<u16>,
    /// The error's machine-readable name.
    pub code: Option<String>,
    /// The headers that an HTTP answer would have.
    pub headers: Vec<(String, String)>,
}

/// Reads an `error` message.
pub fn refusal(message: &Bytes) -> Option<Refusal> {
    let event = json::readable(message.clone())?;
    let status = ["status", "status_code"].iter().find_map(|name| event.get(name)?.as_u64());
    let error = event.get("error");
    let code = error.as_ref().and_then(|error| error.text("code").or_else(|| error.text("type")));
    Some(Refusal {
        status: status.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status)),
        code: code.map(|code| code.plain().into_owned()),
        headers: headers(&event),
    })
}

/// The headers in a message; values that are not text are left out.
pub fn headers(event: &Json) -> Vec<(String, String)> {
    let pair = |(name, value): (crate::Text, Json)| {
        let text = value.as_text().map(|text| text.plain().into_owned());
        let text = text.or_else(|| matches!(value.shape(), json::Shape::Number).then(|| value.as_str().to_owned()))?;
        Some((name.plain().into_owned(), text))
    };
    event
        .get("headers")
        .map(|headers| headers.fields().filter_map(pair).take(MOST_HEADERS).collect())
        .unwrap_or_default()
}

/// Headers that one message may carry; the rest is left out.
const MOST_HEADERS: usize = 64;

/// The `id` of the response in a message.
fn response_id(message: &Bytes) -> Option<String> {
    let event = json::readable(message.clone())?;
    let id = event.get("response")?.text("id")?.plain().into_owned();
    (!id.is_empty()).then_some(id)
}

/// Whether the bytes hold nothing but one object.
fn is_object(bytes: &Bytes) -> bool {
    Scan::new(bytes).next_token() == Some(b'{')
}
