//! Classifies an upstream's error: the only module that knows the shapes of error bodies, and the meaning of codes, wordings, statuses and
//! figures in them.
//!
//! An error comes inside a stream, as a relay's body or as the body of an account's backend. The same word can differ in meaning between
//! these three ([`Source`]); its row in `table` then lists each meaning. Nothing here hides secrets: `pool` cleans the text before it is
//! shown.

mod body;
pub mod bounds;
mod table;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::failure::{Failure, Kind};
use crate::json;
use crate::text::Json;

pub use body::from_body;
pub use table::kind_of_status;

/// Longest text that is stored, in bytes.
const TEXT: usize = 2048;

/// Where an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Inside a stream that began with a 200.
    Stream,
    /// The body of a relay's refusal.
    Relay,
    /// The body of a refusal by the backend of an account.
    Account,
}

/// The cause of a refusal, as far as it concerns the account or the relay's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Only the failure's kind.
    Kind(Kind),
    /// A limit is used up: `usage`, `workspace`, `credits` or `plan`.
    Exhausted(&'static str),
    /// The account is closed for good.
    Banned,
    /// The request refers to unknown state of an earlier reply.
    Replay,
    /// The relay's key is not valid; accounts have none.
    RelayKey,
}

impl Cause {
    /// The cause that a `code` or `type` names; `None` for words whose meaning depends on the status.
    pub fn of_code(code: &str) -> Option<Self> {
        table::code(code, |(.., cause)| *cause)
    }

    /// The cause that the message of an account's refusal names without a code.
    pub fn of_message(message: &str) -> Option<Self> {
        table::wording(&message.to_ascii_lowercase(), |(.., cause)| *cause)
    }
}

/// What OpenAI says with a 401 to a restricted key: this call is not for it, others are.
const SCOPE: [&str; 2] = ["missing scopes", "insufficient permissions"];

/// Whether a relay refuses a call that its key may not make, while it may make others.
pub fn is_scope_refusal(failure: &Failure) -> bool {
    let text = failure.message.to_ascii_lowercase();
    SCOPE.iter().any(|part| text.contains(part))
}

/// Whether a relay refuses a thinking signature that it did not make. Anthropic sends no code for this.
pub fn is_signature_refusal(failure: &Failure) -> bool {
    failure.kind == Kind::Invalid && failure.message.contains("signature") && failure.message.contains("thinking")
}

/// The error in a body: `{"error":{...}}` (also inside an array), `{"error":".."}`, `{"detail":..}` or a bare object. `None` for a body
/// that is not JSON.
pub fn error_object(body: &Bytes) -> Option<Json> {
    let body = json::valid(body).then(|| Json::from_valid(body.clone()))?;
    let body = body.elements().next().unwrap_or(body);
    body.get("error").or_else(|| body.get("detail")).or(Some(body))
}

/// The failure of an `error` event in a stream, `{"error":{...}}` or a flat object; its message is never empty.
pub fn from_event(event: &Json) -> Failure {
    let mut failure = from_object(&event.get("error").unwrap_or_else(|| event.clone()));
    if failure.message.is_empty() {
        "The upstream reported an error in its stream.".clone_into(&mut failure.message);
    }
    failure
}

/// The failure of an error object or a bare string in a stream. `Upstream` when the error does not name its cause.
pub fn from_object(error: &Json) -> Failure {
    if let Some(text) = error.as_text() {
        let text = text.plain();
        return Failure::new(by_wording(&text), cut(&text, TEXT));
    }
    let word = |name| error.text(name).map(|text| cut(&text.plain(), TEXT)).filter(|word| !word.is_empty());
    let message = word("message").unwrap_or_default();
    let (code, class) = (word("code"), word("type"));
    let kind = code
        .as_deref()
        .and_then(by_code)
        .or_else(|| class.as_deref().and_then(by_code))
        // Anthropic has no code for this kind.
        .filter(|kind| *kind != Kind::Invalid || by_wording(&message) != Kind::ContextLength)
        .unwrap_or_else(|| by_wording(&message));
    let seconds = |name| error.get(name).and_then(|value| value.as_u64());
    Failure {
        kind,
        retry_after: seconds("resets_in_seconds").or_else(|| bounds::try_again(&message)),
        message,
        code: code.or_else(|| class.filter(|class| class != "error" && !class.ends_with("_error"))),
        param: word("param"),
        resets_at: seconds("resets_at"),
    }
}

/// Completes the failure with the status, where the error left the kind open.
pub(crate) fn refine(failure: &mut Failure, status: u16, source: Source) {
    if failure.kind == Kind::Upstream {
        failure.kind = kind_of_status(status, source);
    }
}

fn by_code(code: &str) -> Option<Kind> {
    let is_image = code.starts_with("invalid_image") || code.starts_with("image_");
    table::code(code, |(_, kind, ..)| *kind).or(is_image.then_some(Kind::Invalid))
}

/// Compares the wording of an error in a stream without changing its case.
fn by_wording(message: &str) -> Kind {
    table::wording(message, |(_, kind, ..)| *kind).unwrap_or(Kind::Upstream)
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}
