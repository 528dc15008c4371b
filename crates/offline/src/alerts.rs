//! Receivers of the alerts to the gateway's owner: a webhook and an ntfy topic.

use http::Method;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;
use crate::plan::Endpoint;
use crate::token;

/// The endpoint of an alert path; `None` for every other path.
pub(crate) fn place(method: &Method, path: &str) -> Option<Endpoint> {
    let named = |prefix: &str| path.strip_prefix(prefix).is_some_and(|name| !name.is_empty() && !name.contains('/'));
    match *method {
        Method::POST if named("/hook/") => Some(Endpoint::Hook),
        Method::POST if named("/ntfy/") => Some(Endpoint::Ntfy),
        _ => None,
    }
}

/// The webhook accepts a JSON object.
pub(crate) fn hook(call: &Call) -> Result<Answer, Reject> {
    if header(&call.headers, "content-type") != Some("application/json") {
        return Err(Reject::detail(415, "application/json is wanted"));
    }
    match serde_json::from_slice(&call.body) {
        Ok(Value::Object(_)) => Ok(Answer::empty(204)),
        _ => Err(Reject::detail(400, "an object of JSON is wanted")),
    }
}

/// ntfy accepts a text of up to 4,096 bytes; the real service turns a longer text into an attachment.
pub(crate) fn ntfy(call: &Call) -> Result<Answer, Reject> {
    let priority = header(&call.headers, "priority").unwrap_or("3");
    if !matches!(priority, "1" | "2" | "3" | "4" | "5") {
        return Err(Reject::detail(400, "invalid request: priority parameter invalid"));
    }
    let text = std::str::from_utf8(&call.body).ok().filter(|text| !text.is_empty() && text.len() <= 4096);
    let message = text.ok_or_else(|| Reject::detail(400, "a message of up to 4096 bytes is wanted"))?;
    let topic = call.uri.path().trim_start_matches("/ntfy/");
    let id = &token::hex()[..12];
    let body = json!({ "id": id, "time": token::now(), "event": "message", "topic": topic, "message": message });
    Ok(Answer::json(200, &body))
}
