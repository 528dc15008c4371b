//! Bodies of HTTP messages, inbound and outbound: their content codings, and the rule for CPU work on large bodies.

mod decode;
mod offload;

pub use decode::{Coding, DecodeError, Input, MOST_CODINGS, Trailing, Unsupported, codings, decoder};
pub use offload::{INLINE, max_concurrent, offload, offload_always};
