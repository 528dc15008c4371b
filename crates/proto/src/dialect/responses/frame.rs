//! WebSocket messages that carry what HTTP has in its status and headers.

use bytes::{Bytes, BytesMut};

use crate::dialect::openai_error;
use crate::failure::Failure;
use crate::json::emit;

/// The message of a refusal. The Codex client would ignore a message without a status and wait (client 0.169.0, measured).
pub fn refusal<'h>(failure: &Failure, status: u16, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Bytes {
    let mut out = BytesMut::new();
    emit::object(&mut out, |writer| {
        writer.string("type", "error");
        writer.number("status", status.into());
        writer.object("error", |writer| openai_error::members(writer, failure));
        writer.object("headers", |writer| {
            for (name, value) in headers {
                writer.string(&title(name), value);
            }
        });
    });
    out.freeze()
}

/// The message that carries the headers of an answer to a Codex client; `kind` is the message's type.
pub fn metadata<'h>(kind: &str, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Bytes {
    let mut out = BytesMut::new();
    emit::object(&mut out, |writer| {
        writer.string("type", kind);
        writer.object("headers", |writer| headers.into_iter().for_each(|(name, value)| writer.string(name, value)));
    });
    out.freeze()
}

/// A header's name as the backend writes it in its messages: `Retry-After`.
fn title(name: &str) -> String {
    let mut first = true;
    let letter = |c: char| {
        let capital = std::mem::replace(&mut first, c == '-');
        if capital { c.to_ascii_uppercase() } else { c }
    };
    name.chars().map(letter).collect()
}
