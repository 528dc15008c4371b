//! Reading OpenAI's, Anthropic's and the Codex backend's errors, whatever their shape.

use bytes::Bytes;

use crate::bounds;
use crate::failure::{Failure, Kind};
use crate::json;
use crate::text::{Json, Text};

/// Longest message that is kept, in bytes.
const MESSAGE: usize = 2048;

/// The failure that an error body of an upstream speaks of: `{"error":{...}}`, `{"error":".."}`, `{"detail":".."}`,
/// `{"detail":{...}}`, `{"message":".."}`, or something that is no JSON at all.
pub fn read(status: u16, body: &Bytes) -> Failure {
    let body =
        if json::valid(body) { Json::from_valid(body.clone()) } else { Json::from_valid(Bytes::from_static(b"{}")) };
    let error = body.get("error").or_else(|| body.get("detail")).unwrap_or(body);
    let mut failure = of(&error);
    refine(&mut failure, status);
    if failure.message.is_empty() {
        failure.message = format!("The upstream answered with status {status}.");
    }
    failure
}

/// Lets the status say what the error object left open.
pub fn refine(failure: &mut Failure, status: u16) {
    if failure.kind == Kind::Upstream {
        failure.kind = by_status(status);
    }
}

/// The failure that an error object says: an OpenAI error, an in-stream `error` event, or a bare string. `Upstream` when it does
/// not say what went wrong.
pub fn of(error: &Json) -> Failure {
    if let Some(message) = error.as_text() {
        return Failure::new(by_message(&message.plain()), cut(&message.plain()));
    }
    let word = |name| error.text(name).map(|text: Text| cut(&text.plain())).filter(|word| !word.is_empty());
    let message = word("message").unwrap_or_default();
    let (code, class) = (word("code"), word("type"));
    let kind = code
        .as_deref()
        .and_then(by_code)
        .or_else(|| class.as_deref().and_then(by_code))
        // Anthropic has no code for it.
        .filter(|kind| *kind != Kind::Invalid || by_message(&message) != Kind::ContextLength)
        .unwrap_or_else(|| by_message(&message));
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

/// The kind that a `code` or `type` names; `None` for words that leave it open.
fn by_code(code: &str) -> Option<Kind> {
    Some(match code {
        "rate_limit_exceeded" | "rate_limit_error" | "slow_down" | "too_many_requests" => Kind::RateLimited,
        "usage_limit_reached"
        | "usage_not_included"
        | "insufficient_quota"
        | "quota_exceeded"
        | "billing_limit"
        | "billing_error"
        | "billing_hard_limit_reached"
        | "organization_spend_limit_exceeded"
        | "session_budget_exceeded"
        | "workspace_owner_credits_depleted"
        | "workspace_member_credits_depleted"
        | "workspace_owner_usage_limit_reached"
        | "workspace_member_usage_limit_reached" => Kind::Exhausted,
        "context_length_exceeded" | "context_window_exceeded" | "exceed_context_size_error" => Kind::ContextLength,
        "server_is_overloaded"
        | "service_unavailable_error"
        | "overloaded_error"
        | "policy_capacity_unavailable"
        | "flex_unavailable" => Kind::Overloaded,
        "cyber_policy"
        | "bio_policy"
        | "misalignment_policy_violation"
        | "content_policy_violation"
        | "content_filter"
        | "moderation_blocked"
        | "invalid_prompt" => Kind::Filtered,
        "model_not_found" | "model_not_supported" | "not_found_error" => Kind::ModelNotFound,
        "request_too_large" => Kind::TooLarge,
        "previous_response_not_found" | "missing_tool_output" | "invalid_encrypted_content" | "unsupported_value" => {
            Kind::Invalid
        }
        "request_timeout" | "timeout" | "timeout_error" | "upstream_timeout" => Kind::Timeout,
        "server_error" | "internal_server_error" | "internal_error" | "api_error" | "stream_cut" => Kind::Upstream,
        _ if code.starts_with("invalid_image") || code.starts_with("image_") => Kind::Invalid,
        "invalid_value"
        | "invalid_type"
        | "invalid_request_error"
        | "missing_required_parameter"
        | "unsupported_parameter" => Kind::Invalid,
        _ => return None,
    })
}

/// The backend's `detail` errors carry no code; only its wording tells them apart.
fn by_message(message: &str) -> Kind {
    let says = |part: &str| message.contains(part);
    if says("is not supported when using Codex") || says("Model not found") {
        Kind::ModelNotFound
    } else if says("exceeds the context window") || says("maximum context length") || says("prompt is too long") {
        Kind::ContextLength
    } else if says("Too Many Requests") {
        Kind::RateLimited
    } else {
        Kind::Upstream
    }
}

fn by_status(status: u16) -> Kind {
    match status {
        400 | 409 | 415 | 422 => Kind::Invalid,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        503 => Kind::Overloaded,
        408 | 504 => Kind::Timeout,
        _ => Kind::Upstream,
    }
}

fn cut(message: &str) -> String {
    message[..message.floor_char_boundary(MESSAGE)].to_owned()
}
