//! Frames inside byte streams.

use bytes::Bytes;

pub mod ndjson;
pub mod sse;

/// The first chunk of an answer from its first byte that is no whitespace; `None` when it has none. What stands before an answer
/// belongs to nothing, in whatever chunks it comes.
pub(crate) fn begin(chunk: &Bytes) -> Option<Bytes> {
    let rest = chunk.trim_ascii_start();
    (!rest.is_empty()).then(|| chunk.slice_ref(rest))
}
