//! Turns the lines of a reply into messages ([`proto::framing::Framing::Lines`]).

use bytes::Bytes;
use memchr::memchr;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// The messages in whole lines: one event each. An empty line becomes a ping, which keeps an idle client waiting.
pub(super) fn messages(mut lines: Bytes) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some(end) = memchr(b'\n', &lines) {
        let line = lines.split_to(end + 1).slice(..end);
        messages.push(if line.is_empty() { Message::Ping(Bytes::new()) } else { message(line) });
    }
    messages
}

/// A message with this JSON.
pub(super) fn message(json: Bytes) -> Message {
    let text = Utf8Bytes::try_from(json).inspect_err(|_| tracing::warn!("an event that is no text was left out"));
    Message::Text(text.unwrap_or_default())
}
