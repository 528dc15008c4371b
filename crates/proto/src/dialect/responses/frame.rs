//! Messages of the WebSocket that stand for what HTTP says in its status and headers.

use bytes::{Bytes, BytesMut};

use crate::dialect::openai_error;
use crate::failure::Failure;
use crate::json::pen;

/// The message of a refusal. Without its status the Codex client would ignore it and wait (client 0.169.0, measured).
pub fn refusal<'h>(failure: &Failure, status: u16, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Bytes {
    let mut out = BytesMut::new();
    pen::object(&mut out, |pen| {
        pen.plain("type", "error");
        pen.number("status", status.into());
        pen.object("error", |pen| openai_error::members(pen, failure));
        pen.object("headers", |pen| {
            for (name, value) in headers {
                pen.plain(&title(name), value);
            }
        });
    });
    out.freeze()
}

/// The message with which a Codex client is told the headers of its answer; `kind` is its type.
pub fn metadata<'h>(kind: &str, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Bytes {
    let mut out = BytesMut::new();
    pen::object(&mut out, |pen| {
        pen.plain("type", kind);
        pen.object("headers", |pen| headers.into_iter().for_each(|(name, value)| pen.plain(name, value)));
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
