//! Ollama's own API, `/api/chat` and `/api/generate`: a client protocol only. Ollama upstreams serve Chat Completions too, and the gateway
//! uses that.

pub mod embed;
mod encode;
mod request;
mod stamp;
#[cfg(test)]
mod tests;
mod whole;
mod writer;

use bytes::{Bytes, BytesMut};

use super::{ReplySetting, openai_error};
use crate::canon::Request;
use crate::failure::Failure;
use crate::fold::Whole;
use crate::json::emit;
use crate::notes::Notes;

pub use request::{RequestKind, read};
pub use whole::loaded;
pub use writer::Writer;

/// Reads the body of `/api/chat` that asks for a reply.
pub(super) fn read_request(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::reply(body, false)
}

/// Reads the body of `/api/generate` that asks for a reply. Errors: `Invalid` with the path of the offending field, also when the prompt is
/// missing.
pub fn read_generate(body: Bytes) -> Result<(Request, Notes), Failure> {
    request::reply(body, true)
}

pub(super) fn whole(whole: &Whole, setting: &ReplySetting) -> Bytes {
    whole::write(whole, setting)
}

pub(super) fn error(failure: &Failure) -> (u16, Bytes) {
    let mut out = BytesMut::new();
    write_error(failure, &mut out);
    (openai_error::status(failure.kind), out.freeze())
}

/// The error object of a failure, before a stream and inside one.
fn write_error(failure: &Failure, out: &mut BytesMut) {
    emit::object(out, |writer| writer.string("error", &failure.message));
}
