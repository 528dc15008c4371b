//! Checks the conversation: roles, parts, and that every call has its result.

use serde_json::Value;

use super::super::super::field::{invalid, known, string, wrong_type};
use super::super::super::list;
use crate::errors::Reject;
use crate::responses::check::missing;

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];
const PARTS: [&str; 6] = ["text", "image_url", "input_audio", "refusal", "audio", "file"];
const MEMBERS: [&str; 10] = [
    "role", "content", "name", "refusal", "audio", "tool_calls", "function_call", "tool_call_id", "annotations",
    // The official SDK's helpers keep this member in messages that are sent back.
    "parsed",
];
const IN_PARTS: [&str; 6] = ["type", "text", "image_url", "input_audio", "refusal", "file"];

/// Checks `messages`. A server of open models accepts unknown members.
pub(super) fn check(body: &Value, open: bool) -> Result<(), Reject> {
    let messages = body.get("messages").ok_or_else(|| missing("messages"))?;
    let messages = messages.as_array().ok_or_else(|| wrong_type("messages", "an array of objects", messages))?;
    if messages.is_empty() {
        let message =
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Reject::invalid(message, Some("messages"), Some("empty_array")));
    }
    for (at, message) in messages.iter().enumerate() {
        one(message, &format!("messages[{at}]"), open)?;
    }
    pairs(messages)
}

fn one(message: &Value, path: &str, open: bool) -> Result<(), Reject> {
    let members = message.as_object().ok_or_else(|| wrong_type(path, "an object", message))?;
    if !open {
        known(members, path, &MEMBERS)?;
    }
    let role = string(message, "role", path)?;
    if !ROLES.contains(&role) {
        return Err(invalid(&format!("{path}.role"), role, &ROLES));
    }
    if role == "tool" {
        string(message, "tool_call_id", path)?;
    }
    calls(message, path)?;
    let optional = role == "assistant"
        && ["tool_calls", "function_call", "refusal", "audio"].iter().any(|key| !message[*key].is_null());
    match &message["content"] {
        Value::String(_) => Ok(()),
        Value::Array(parts) => {
            parts.iter().enumerate().try_for_each(|(at, one)| part(one, &format!("{path}.content[{at}]"), open))
        }
        Value::Null if optional => Ok(()),
        Value::Null => {
            let message = "Invalid value for 'content': expected a string, got null.";
            Err(Reject::invalid(message, Some(&format!("{path}.content")), None))
        }
        other => Err(wrong_type(&format!("{path}.content"), "one of a string or array of objects", other)),
    }
}

fn part(part: &Value, path: &str, open: bool) -> Result<(), Reject> {
    let members = part.as_object().ok_or_else(|| wrong_type(path, "an object", part))?;
    let kind = string(part, "type", path)?;
    if !PARTS.contains(&kind) {
        return Err(invalid(&format!("{path}.type"), kind, &PARTS));
    }
    if !open {
        known(members, path, &IN_PARTS)?;
    }
    match kind {
        "text" => string(part, "text", path).map(|_| ()),
        "image_url" => {
            let path = format!("{path}.image_url");
            let image = part.get("image_url").ok_or_else(|| missing(&path))?;
            if !image.is_object() {
                return Err(wrong_type(&path, "an object", image));
            }
            address(string(image, "url", &path)?)
        }
        _ => Ok(()),
    }
}

/// An http(s) URL or an image in base64.
fn address(url: &str) -> Result<(), Reject> {
    let web = url.starts_with("http://") || url.starts_with("https://");
    if web || (url.starts_with("data:image/") && url.contains(";base64,")) {
        return Ok(());
    }
    let message = "Invalid image URL: expected an http(s) URL or a data URL of a base64-encoded image.";
    Err(Reject::invalid(message, None, Some("invalid_image_url")))
}

fn calls(message: &Value, path: &str) -> Result<(), Reject> {
    for (at, call) in list(message, "tool_calls").iter().enumerate() {
        let path = format!("{path}.tool_calls[{at}]");
        string(call, "id", &path)?;
        let kind = string(call, "type", &path)?;
        let text = match kind {
            "function" => "arguments",
            "custom" => "input",
            other => return Err(invalid(&format!("{path}.type"), other, &["function", "custom"])),
        };
        let path = format!("{path}.{kind}");
        let inner = call.get(kind).ok_or_else(|| missing(&path))?;
        string(inner, "name", &path)?;
        string(inner, text, &path)?;
    }
    Ok(())
}

/// Checks that tool messages directly follow the calls that they answer, and that every call has an answer.
fn pairs(messages: &[Value]) -> Result<(), Reject> {
    let mut open: Vec<&str> = Vec::new();
    let mut calling = None;
    for (at, message) in messages.iter().enumerate() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            if calling.is_none() || !open.contains(&id) {
                let text = "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.";
                return Err(Reject::invalid(text, Some(&format!("messages.[{at}].role")), None));
            }
            open.retain(|other| *other != id);
            continue;
        }
        unanswered(&open, calling)?;
        open = list(message, "tool_calls").iter().filter_map(|call| call["id"].as_str()).collect();
        calling = (!open.is_empty()).then_some(at);
    }
    unanswered(&open, calling)
}

fn unanswered(open: &[&str], calling: Option<usize>) -> Result<(), Reject> {
    let (false, Some(at)) = (open.is_empty(), calling) else { return Ok(()) };
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Reject::invalid(message, Some(&format!("messages.[{at}].role")), None))
}
