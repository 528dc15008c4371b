//! Errors in OpenAI's shape: the one place that turns a [`Failure`] into status and body for the OpenAI dialects.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};

/// Status and body of a failure before the stream began.
pub fn write(failure: &Failure) -> (u16, Bytes) {
    let mut out = BytesMut::new();
    emit::object(&mut out, |writer| writer.object("error", |writer| members(writer, failure)));
    (status(failure.kind), out.freeze())
}

/// The HTTP status for a kind of failure in the OpenAI dialects.
pub fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Invalid | Kind::ContextLength | Kind::Filtered => 400,
        Kind::Unauthorized => 401,
        Kind::Forbidden => 403,
        Kind::NotFound | Kind::ModelNotFound => 404,
        Kind::Method => 405,
        Kind::Stalled => 408,
        Kind::TooLarge => 413,
        Kind::Unsupported => 415,
        Kind::RateLimited | Kind::Exhausted => 429,
        Kind::Internal => 500,
        Kind::Upstream => 502,
        Kind::NoAccount | Kind::Overloaded => 503,
        Kind::Timeout => 504,
    }
}

/// The members of an error object.
pub(super) fn members(writer: &mut ObjectWriter<'_>, failure: &Failure) {
    writer.string("message", &failure.message);
    writer.string("type", kind_type(failure.kind));
    writer.nullable("param", failure.param.as_deref(), ObjectWriter::string);
    writer.nullable("code", code(failure), ObjectWriter::string);
    // The Codex client reads the reset time from the body, not from Retry-After.
    if failure.kind == Kind::Exhausted {
        writer.optional("resets_at", failure.resets_at, ObjectWriter::number);
        writer.optional("resets_in_seconds", failure.retry_after, ObjectWriter::number);
    }
}

/// The failure's own code, else the default one of its kind.
pub(super) fn code(failure: &Failure) -> Option<&str> {
    let usual = match failure.kind {
        Kind::Invalid | Kind::Internal => None,
        Kind::Unauthorized => Some("invalid_api_key"),
        Kind::Forbidden => Some("insufficient_permissions"),
        Kind::NotFound => Some("not_found"),
        Kind::ModelNotFound => Some("model_not_found"),
        Kind::Method => Some("method_not_allowed"),
        Kind::Stalled => Some("request_timeout"),
        Kind::TooLarge => Some("request_too_large"),
        Kind::Unsupported => Some("unsupported_media_type"),
        Kind::RateLimited => Some("rate_limit_exceeded"),
        Kind::Exhausted => Some("usage_limit_reached"),
        Kind::ContextLength => Some("context_length_exceeded"),
        Kind::Filtered => Some("content_filter"),
        Kind::Upstream => Some("upstream_error"),
        Kind::NoAccount => Some("no_account"),
        Kind::Overloaded => Some("server_is_overloaded"),
        Kind::Timeout => Some("upstream_timeout"),
    };
    failure.code.as_deref().or(usual)
}

fn kind_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Forbidden => "permission_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::Exhausted => "usage_limit_reached",
        Kind::Internal | Kind::Upstream | Kind::Timeout => "server_error",
        Kind::NoAccount | Kind::Overloaded => "service_unavailable_error",
        _ => "invalid_request_error",
    }
}
