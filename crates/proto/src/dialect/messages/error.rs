//! Errors in Anthropic's shape: the one place that turns a [`Failure`] into status and body, or into an event, for this dialect.

use bytes::{Bytes, BytesMut};

use super::request::NO_THREAD;
use crate::dialect::openai_error;
use crate::failure::{Failure, Kind};
use crate::json::emit;
use crate::upstream_error::bounds;

#[cfg(test)]
mod tests;

/// Claude Code compacts its conversation when a message contains this text, and reads the figures after it (2.1.329).
const TOO_LONG: &str = "prompt is too long";

/// Status and body of a failure before the stream began.
pub(super) fn write(failure: &Failure) -> (u16, Bytes) {
    let mut out = BytesMut::new();
    event(&mut out, failure);
    (status(failure.kind), out.freeze())
}

/// The error object, which is also the data of an `error` event.
pub(super) fn event(out: &mut BytesMut, failure: &Failure) {
    emit::object(out, |writer| {
        writer.string("type", "error");
        writer.object("error", |writer| {
            writer.string("type", name(failure.kind));
            if failure.kind == Kind::ContextLength {
                writer.string("message", &too_long(&failure.message));
            } else {
                writer.string("message", &failure.message);
            }
            if failure.code.as_deref() == Some(NO_THREAD) {
                writer.object("details", |writer| {
                    writer.string("error_code", NO_THREAD);
                    writer.literal("unsupported", r#"["thread"]"#);
                });
            }
        });
    });
}

fn status(kind: Kind) -> u16 {
    if kind == Kind::Overloaded { 529 } else { openai_error::status(kind) }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthorized => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound | Kind::ModelNotFound => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::RateLimited | Kind::Exhausted => "rate_limit_error",
        Kind::Internal | Kind::Upstream => "api_error",
        Kind::Timeout => "timeout_error",
        Kind::NoAccount | Kind::Overloaded => "overloaded_error",
        Kind::Invalid | Kind::Method | Kind::Stalled | Kind::Unsupported | Kind::ContextLength | Kind::Filtered => {
            "invalid_request_error"
        }
    }
}

/// `prompt is too long: N tokens > M maximum` if the upstream named both figures and the prompt is larger. A prompt that fits its
/// window was refused for another reason, such as `max_tokens`, so the upstream's text stays unchanged: clients know it.
fn too_long(message: &str) -> String {
    if message.to_ascii_lowercase().contains(TOO_LONG) {
        return message.to_owned();
    }
    let bounds = bounds::of(message);
    match (bounds.prompt, bounds.window) {
        (Some(prompt), Some(window)) if prompt > window => {
            format!("{TOO_LONG}: {prompt} tokens > {window} maximum")
        }
        (Some(_), Some(_)) => message.to_owned(),
        _ => format!("{TOO_LONG}: {message}"),
    }
}
