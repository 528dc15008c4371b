//! A committed reply: [`ReplyStream`] reads the upstream and is what the server polls, the transcoder makes the client's bytes of it.

mod reply_memory;
mod reply_stream;
mod timers;
mod transcoder;

pub use reply_stream::ReplyStream;
pub(crate) use reply_stream::{DRAIN, ReplyStart, ServedCall, Source, UnansweredCall};
pub(crate) use timers::Timers;
pub(crate) use transcoder::{ReplyShape, Transcoder};
