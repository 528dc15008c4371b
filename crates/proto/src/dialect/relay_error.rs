//! Errors of relays before a stream began, in any protocol's shape: whoever stands in front of a relay answers in its own.
//!
//! What is read: OpenAI's and Anthropic's `{"error":{...}}`, Google's with `status` and `details` (also inside an array), Ollama's
//! `{"error":".."}`, a bare object, and bodies that are no JSON.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::openai_error;
use crate::bounds;
use crate::failure::{Failure, Kind};
use crate::json::{self, Elements, Shape};
use crate::text::{Json, Text};

/// Longest plain text that is passed on, bytes.
const TEXT: usize = 512;
/// What is said of prompts that are too long, in lower case; what names the window beside says so by itself.
const LONG: [&str; 6] = [
    "prompt is too long",
    "maximum context length",
    "context window",
    "available context size",
    "greater than the context length",
    "model token limit",
];
/// Longest wait that is believed, seconds.
const WAIT: f64 = 86_400.0;

/// The failure that an error body speaks of; never empty.
pub(super) fn read(status: u16, body: &Bytes) -> Failure {
    let mut failure = if json::valid(body) { object(status, &Json::from_valid(body.clone())) } else { plain(body) };
    if failure.kind == Kind::Upstream {
        failure.kind = by_status(status);
    }
    if failure.kind == Kind::NotFound && failure.message.to_ascii_lowercase().contains("model") {
        failure.kind = Kind::ModelNotFound;
    }
    if failure.message.is_empty() {
        failure.message = format!("The upstream answered with status {status}.");
    }
    failure
}

fn object(status: u16, body: &Json) -> Failure {
    let first = if body.shape() == Shape::Array { body.elements().next() } else { None };
    let body = first.as_ref().unwrap_or(body);
    let error = body.get("error").or_else(|| body.get("detail")).unwrap_or_else(|| body.clone());
    let mut failure = openai_error::of(&error);
    let text = |name| error.text(name).as_ref().map(lowercase_code);
    let words = [reason(&error), text("status"), text("type")];
    let named = words.iter().flatten().find_map(|word| by_word(word));
    if let Some(kind) = by_message(&failure.message).or(named) {
        failure.kind = kind;
    }
    if status == 403 && error.get("metadata").is_some_and(|data| data.get("flagged_input").is_some()) {
        failure.kind = Kind::Filtered;
    }
    if failure.kind == Kind::ContextLength {
        sized(&mut failure, &error);
    }
    let [reason, ..] = words;
    failure.code = failure.code.or(reason);
    failure.retry_after = failure.retry_after.or_else(|| delay(&error));
    failure
}

/// Names what llama.cpp says of sizes beside a message that may not: clients look for them there.
fn sized(failure: &mut Failure, error: &Json) {
    let size = |name| error.get(name).and_then(|value| value.as_u64());
    let silent = bounds::of(&failure.message).window.is_none();
    if let (true, Some(prompt), Some(window)) = (silent, size("n_prompt_tokens"), size("n_ctx")) {
        failure.message = format!("{} (n_prompt_tokens: {prompt}, n_ctx: {window})", failure.message);
    }
}

/// A body that is no JSON: a short text is passed on, a web page is not.
fn plain(body: &Bytes) -> Failure {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') {
        return Failure::new(Kind::Upstream, "The upstream answered with a web page.");
    }
    let text = text[..text.floor_char_boundary(TEXT)].to_owned();
    Failure::new(by_message(&text).unwrap_or(Kind::Upstream), text)
}

fn lowercase_code(text: &Text) -> String {
    text.plain().into_owned()
}

/// The kind that a type or status word names, where it says more than the HTTP status.
fn by_word(word: &str) -> Option<Kind> {
    Some(match word {
        "authentication_error" | "UNAUTHENTICATED" | "API_KEY_INVALID" | "API_KEY_EXPIRED" => Kind::Unauthorized,
        "permission_error" | "PERMISSION_DENIED" | "API_KEY_SERVICE_BLOCKED" => Kind::Forbidden,
        "not_found_error" | "NOT_FOUND" => Kind::NotFound,
        "request_too_large" => Kind::TooLarge,
        "billing_error" => Kind::Exhausted,
        "rate_limit_error" | "RESOURCE_EXHAUSTED" => Kind::RateLimited,
        "overloaded_error" | "UNAVAILABLE" => Kind::Overloaded,
        "timeout_error" | "DEADLINE_EXCEEDED" => Kind::Timeout,
        _ => return None,
    })
}

/// What only the wording tells: these come as 400 with a general type.
fn by_message(message: &str) -> Option<Kind> {
    let text = message.to_ascii_lowercase();
    let says = |part: &'static str| text.contains(part);
    let long = LONG.into_iter().any(says);
    if long || says("token count") && says("exceeds the maximum") || bounds::of(message).window.is_some() {
        Some(Kind::ContextLength)
    } else if says("credit balance is too low") {
        Some(Kind::Exhausted)
    } else if says("api key not valid") || says("api key expired") {
        Some(Kind::Unauthorized)
    } else if says("location is not supported") {
        Some(Kind::Forbidden)
    } else {
        None
    }
}

fn by_status(status: u16) -> Kind {
    match status {
        401 => Kind::Unauthorized,
        402 => Kind::Exhausted,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        405 => Kind::Method,
        400 | 409 | 415 | 422 => Kind::Invalid,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        503 | 529 => Kind::Overloaded,
        408 | 504 => Kind::Timeout,
        _ => Kind::Upstream,
    }
}

/// Google's machine-readable reason.
fn reason(error: &Json) -> Option<String> {
    details(error)?.find_map(|detail| detail.text("reason")).as_ref().map(lowercase_code)
}

/// Google's `RetryInfo`: whole seconds, rounded up.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a day")]
fn delay(error: &Json) -> Option<u64> {
    let text = details(error)?.find_map(|detail| detail.text("retryDelay"))?;
    let seconds: f64 = text.plain().strip_suffix('s')?.parse().ok()?;
    seconds.is_finite().then(|| seconds.ceil().clamp(1.0, WAIT) as u64)
}

fn details(error: &Json) -> Option<Elements> {
    Some(error.get("details").filter(|details| details.shape() == Shape::Array)?.elements())
}
