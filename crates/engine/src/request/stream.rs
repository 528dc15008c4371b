//! A committed reply: the server polls [`ReplyStream`], which reads the upstream; the transcoder writes the client's bytes.

mod reply_memory;
mod reply_stream;
mod timers;
mod transcoder;

pub use reply_stream::ReplyStream;
pub(crate) use reply_stream::{DRAIN, ReplyStart, ServedCall, Source, UnansweredCall};
pub(crate) use timers::Timers;
pub(crate) use transcoder::{ReplyShape, Transcoder};
