//! The bodies of relays' refusals, in any protocol's shape: a proxy in front of a relay answers in its own shape.
//!
//! Accepted shapes: OpenAI's and Anthropic's `{"error":{...}}`, Google's with `status` and `details` (also inside an array), Ollama's
//! `{"error":".."}`, a bare object, and bodies that are not JSON.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{Source, bounds, cut, error_object, from_object, refine, table};
use crate::failure::{Failure, Kind};
use crate::text::{Json, Text};

/// Longest plain text that is passed on, bytes.
const PLAIN: usize = 512;

/// The failure in the body of a relay's refusal; its message is never empty.
pub fn from_body(status: u16, body: &Bytes) -> Failure {
    let mut failure = error_object(body).map_or_else(|| plain(body), |error| object(status, &error));
    refine(&mut failure, status, Source::Relay);
    if failure.kind == Kind::NotFound && failure.message.to_ascii_lowercase().contains("model") {
        failure.kind = Kind::ModelNotFound;
    }
    if failure.message.is_empty() {
        failure.message = format!("The upstream answered with status {status}.");
    }
    failure
}

fn object(status: u16, error: &Json) -> Failure {
    let mut failure = from_object(error);
    let text = |name| error.text(name).map(|text| text.plain().into_owned());
    let reason = detail(error, "reason").map(|reason| reason.plain().into_owned());
    let words = [reason.clone(), text("status"), text("type")];
    let named = words.iter().flatten().find_map(|word| table::code(word, |(_, _, kind, _)| *kind));
    if let Some(kind) = by_wording(&failure.message).or(named) {
        failure.kind = kind;
    }
    if status == 403 && error.get("metadata").is_some_and(|data| data.get("flagged_input").is_some()) {
        failure.kind = Kind::Filtered;
    }
    if failure.kind == Kind::ContextLength {
        add_sizes(&mut failure, error);
    }
    failure.code = failure.code.or(reason);
    failure.retry_after = failure.retry_after.or_else(|| delay(error));
    failure
}

/// Adds the sizes that llama.cpp puts beside its message: clients look for them in the message.
fn add_sizes(failure: &mut Failure, error: &Json) {
    let size = |name| error.get(name).and_then(|value| value.as_u64());
    let silent = bounds::of(&failure.message).window.is_none();
    if let (true, Some(prompt), Some(window)) = (silent, size("n_prompt_tokens"), size("n_ctx")) {
        failure.message = format!("{} (n_prompt_tokens: {prompt}, n_ctx: {window})", failure.message);
    }
}

/// Reads a body that is not JSON: a short text is passed on, a web page is not.
fn plain(body: &Bytes) -> Failure {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.starts_with('<') {
        return Failure::new(Kind::Upstream, "The upstream answered with a web page.");
    }
    let text = cut(text, PLAIN);
    Failure::new(by_wording(&text).unwrap_or(Kind::Upstream), text)
}

/// The kind by the wording alone: these errors come as 400 with a general type.
fn by_wording(message: &str) -> Option<Kind> {
    let sized = bounds::of(message).window.map(|_| Kind::ContextLength);
    sized.or_else(|| table::wording(&message.to_ascii_lowercase(), |(_, _, kind, _)| *kind))
}

/// Google's `RetryInfo`: whole seconds, rounded up.
fn delay(error: &Json) -> Option<u64> {
    let seconds: f64 = detail(error, "retryDelay")?.plain().strip_suffix('s')?.parse().ok()?;
    seconds.is_finite().then(|| bounds::whole_seconds(seconds))
}

/// The first text of this name in Google's list of details.
fn detail(error: &Json, name: &str) -> Option<Text> {
    error.get("details")?.elements().find_map(|detail| detail.text(name))
}
