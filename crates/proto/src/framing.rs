//! Frames inside byte streams.

pub mod ndjson;
pub mod sse;
