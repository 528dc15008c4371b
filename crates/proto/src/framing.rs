//! Frames inside byte streams.

use bytes::Bytes;

/// How the events of a stream are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, as over HTTP.
    #[default]
    ServerSentEvents,
    /// The data of each event on a line of its own, as for the messages of a WebSocket. An empty line is no event: it shows that the
    /// stream goes on.
    Lines,
}

pub mod line_ends;
pub mod ndjson;
pub mod sse;

/// The first chunk of an answer from its first byte that is no whitespace; `None` when it has none. White space
/// before an answer is no part of it, however it is cut into chunks.
pub(crate) fn begin(chunk: &Bytes) -> Option<Bytes> {
    let rest = chunk.trim_ascii_start();
    (!rest.is_empty()).then(|| chunk.slice_ref(rest))
}
