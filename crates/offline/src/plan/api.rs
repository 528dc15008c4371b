//! The five APIs of this crate, and their error formats.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::errors::{self, Reject};
use crate::plan::replay::framed;
use crate::plan::wire::Termination;
use crate::token;

/// The API that a path belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Api {
    /// The ChatGPT backend and its login.
    #[default]
    Backend,
    /// OpenAI Chat Completions.
    Chat,
    /// OpenAI Responses, the public form.
    Responses,
    /// Anthropic Messages.
    Messages,
    /// Google Gemini.
    Gemini,
}

impl Api {
    /// The API of a path, and the path after the API's prefix.
    pub(crate) fn of(path: &str) -> (Self, &str) {
        let rest = path.strip_prefix("/relay/").unwrap_or_default();
        let apis = [("chat", Self::Chat), ("responses", Self::Responses), ("messages", Self::Messages)];
        let apis = apis.into_iter().chain([("gemini", Self::Gemini)]);
        for (name, api) in apis {
            if let Some(path) = rest.strip_prefix(name).filter(|path| path.starts_with('/')) {
                return (api, path);
            }
        }
        (Self::Backend, path)
    }

    /// A refusal in the API's error format; the error type follows from the status.
    pub(crate) fn refusal(self, status: u16, message: &str) -> Reject {
        let body = match self {
            Self::Backend => json!({ "detail": message }),
            Self::Chat | Self::Responses => openai(status, message),
            Self::Messages => anthropic(status, message),
            Self::Gemini => google(status, message),
        };
        Reject { status, body }
    }

    /// The event that reports a failure inside a stream; `None` if the API has no such event.
    pub(crate) fn terminal_frame(self, how: &Termination, response: Option<&str>, sequence: u32) -> Option<Bytes> {
        let (code, message) = match how {
            Termination::Failed { code, message } => (Some(code.as_str()), message.as_str()),
            Termination::Incomplete { reason } => (None, reason.as_str()),
            Termination::Reset | Termination::Fin | Termination::End | Termination::Close { .. } => return None,
        };
        let event = match (self, code) {
            (Self::Backend | Self::Responses, _) => ended(code, message, response, sequence),
            (Self::Chat, Some(code)) => errors::error(message, kind(500), None, Some(code)),
            (Self::Messages, Some(code)) => {
                json!({ "type": "error", "error": { "type": code, "message": message } })
            }
            (Self::Gemini, Some(_)) => google(500, message),
            // These APIs put the end reason into an event with content, so a cut stream has no event for it.
            (Self::Chat | Self::Messages | Self::Gemini, None) => return None,
        };
        Some(Bytes::from(framed(&event.to_string())))
    }
}

/// `response.failed` or, without a code, `response.incomplete`.
fn ended(code: Option<&str>, message: &str, response: Option<&str>, sequence: u32) -> Value {
    let id = response.unwrap_or("resp_offline");
    let mut response = json!({ "id": id, "object": "response", "status": "failed", "output": [], "usage": null });
    let kind = if let Some(code) = code {
        response["error"] = json!({ "code": code, "message": message });
        "response.failed"
    } else {
        response["status"] = json!("incomplete");
        response["error"] = Value::Null;
        response["incomplete_details"] = json!({ "reason": message });
        "response.incomplete"
    };
    json!({ "type": kind, "sequence_number": sequence, "response": response })
}

fn openai(status: u16, message: &str) -> Value {
    let code = match status {
        401 => Some("invalid_api_key"),
        404 => Some("model_not_found"),
        413 => Some("request_too_large"),
        429 => Some("rate_limit_exceeded"),
        _ => None,
    };
    errors::error(message, kind(status), None, code)
}

/// OpenAI's `type` of an error.
fn kind(status: u16) -> &'static str {
    match status {
        429 => "requests",
        503 => "service_unavailable_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// Anthropic's error envelope.
fn anthropic(status: u16, message: &str) -> Value {
    let kind = match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let id = format!("req_{}", &token::hex()[..24]);
    json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": id })
}

/// Google's error envelope.
fn google(status: u16, message: &str) -> Value {
    let name = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    };
    json!({ "error": { "code": status, "message": message, "status": name } })
}
