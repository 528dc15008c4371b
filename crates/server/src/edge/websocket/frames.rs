//! A reply's server-sent events as messages: the data of each, as it is.

use bytes::Bytes;
use pool::limits;
use proto::framing::sse::{Decoder, Frame};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Turns the events of one reply into messages.
pub(super) struct EventMessages {
    decoder: Decoder,
    /// Between two calls empty.
    frames: Vec<Frame>,
}

impl EventMessages {
    pub(super) fn new() -> Self {
        Self { decoder: Decoder::new(limits::EVENT), frames: Vec::new() }
    }

    /// The messages that these bytes complete. A comment, which keeps an idle client waiting over HTTP, is a ping here.
    pub(super) fn feed(&mut self, bytes: Bytes, mut each: impl FnMut(Message)) {
        let comment = bytes.starts_with(b":");
        // Events of the gateway are within the limit.
        let _ = self.decoder.push(bytes, &mut self.frames);
        if comment && self.frames.is_empty() {
            each(Message::Ping(Bytes::new()));
        }
        for frame in self.frames.drain(..) {
            if let Ok(text) = Utf8Bytes::try_from(frame.data) {
                each(Message::Text(text));
            } else {
                tracing::warn!("an event that is no text was left out");
            }
        }
    }
}

/// A message of ours.
pub(super) fn message(json: Bytes) -> Message {
    Message::Text(Utf8Bytes::try_from(json).unwrap_or_default())
}
