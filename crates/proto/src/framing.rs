//! Frames inside byte streams.

use bytes::Bytes;

/// How a stream for a client separates its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, as over HTTP.
    #[default]
    ServerSentEvents,
    /// The data of each event on its own line, which becomes a message of a WebSocket. An empty line is not an event: it shows that the
    /// stream is still open.
    Lines,
}

pub mod line_ends;
pub mod sse;

/// The first chunk of an answer from its first byte that is not whitespace; `None` when it has none. Whitespace before an answer is not
/// part of it, in whatever chunks it comes.
pub(crate) fn begin(chunk: &Bytes) -> Option<Bytes> {
    let rest = chunk.trim_ascii_start();
    (!rest.is_empty()).then(|| chunk.slice_ref(rest))
}
