//! Errors in Google's shape.

use bytes::{Bytes, BytesMut};

use crate::dialect::openai_error;
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};

/// Status and body of a failure before the stream began.
pub(super) fn write(failure: &Failure) -> (u16, Bytes) {
    let mut out = BytesMut::new();
    body(&mut out, failure);
    (openai_error::status(failure.kind), out.freeze())
}

/// The error object of a failure, before a stream and inside one.
pub(super) fn body(out: &mut BytesMut, failure: &Failure) {
    emit::object(out, |writer| {
        writer.object("error", |writer| {
            writer.number("code", u64::from(openai_error::status(failure.kind)));
            writer.string("message", &failure.message);
            writer.string("status", status(failure.kind));
            details(writer, failure);
        });
    });
}

/// The canonical code of Google's APIs.
fn status(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid | Kind::ContextLength | Kind::Filtered | Kind::TooLarge | Kind::Unsupported => "INVALID_ARGUMENT",
        Kind::Unauthorized => "UNAUTHENTICATED",
        Kind::Forbidden => "PERMISSION_DENIED",
        Kind::NotFound | Kind::ModelNotFound => "NOT_FOUND",
        Kind::Method => "UNIMPLEMENTED",
        Kind::RateLimited | Kind::Exhausted => "RESOURCE_EXHAUSTED",
        Kind::Internal | Kind::Upstream => "INTERNAL",
        Kind::NoAccount | Kind::Overloaded => "UNAVAILABLE",
        Kind::Stalled | Kind::Timeout => "DEADLINE_EXCEEDED",
    }
}

/// The details that clients act on: the reason if it is more specific than the status, the field, and the retry delay.
fn details(writer: &mut ObjectWriter<'_>, failure: &Failure) {
    let reason = failure.code.as_deref().map(str::to_ascii_uppercase);
    if reason.is_none() && failure.param.is_none() && failure.retry_after.is_none() {
        return;
    }
    let present = [
        reason.as_deref().map(Detail::Reason),
        failure.param.as_deref().map(|field| Detail::Field(field, &failure.message)),
        failure.retry_after.map(Detail::Retry),
    ];
    writer.array("details", present.into_iter().flatten(), |out, detail| {
        emit::object(out, |writer| one(writer, &detail));
    });
}

enum Detail<'f> {
    Reason(&'f str),
    Field(&'f str, &'f str),
    Retry(u64),
}

fn one(writer: &mut ObjectWriter<'_>, detail: &Detail<'_>) {
    match detail {
        Detail::Reason(reason) => {
            writer.string("@type", "type.googleapis.com/google.rpc.ErrorInfo");
            writer.string("reason", reason);
            writer.string("domain", "polygate");
        }
        Detail::Field(field, message) => {
            writer.string("@type", "type.googleapis.com/google.rpc.BadRequest");
            writer.array("fieldViolations", [()], |out, ()| {
                emit::object(out, |writer| {
                    writer.string("field", field);
                    writer.string("description", message);
                });
            });
        }
        Detail::Retry(seconds) => {
            writer.string("@type", "type.googleapis.com/google.rpc.RetryInfo");
            writer.string("retryDelay", &format!("{seconds}s"));
        }
    }
}
