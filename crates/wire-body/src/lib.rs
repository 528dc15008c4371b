//! Bodies of HTTP messages, in and out: their content codings, and the rule for CPU work on large ones.

mod decode;
mod offload;

pub use decode::{Coding, DecodeError, Input, MOST_CODINGS, Trailing, Unsupported, codings, decoder};
pub use offload::{INLINE, lanes, offload};
