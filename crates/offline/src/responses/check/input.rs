//! Checks the input list: items, parts, and that every call has its output.

use serde_json::Value;

use super::{BodyKind, CheckContext, encrypted, missing};
use crate::errors::Reject;

/// Items that the backend accepts.
const ITEMS: [&str; 19] = [
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output",
    "local_shell_call", "local_shell_call_output", "tool_search_call", "tool_search_output", "web_search_call",
    "image_generation_call", "compaction", "compaction_trigger", "context_compaction", "additional_tools",
    "agent_message", "configuration_update", "other",
];

/// Items that only the ChatGPT backend accepts.
const PRIVATE: [&str; 4] = ["additional_tools", "agent_message", "configuration_update", "other"];

/// Call types, their output types, and their names in messages.
const PAIRS: [(&str, &str, &str); 4] = [
    ("function_call", "function_call_output", "function call"),
    ("custom_tool_call", "custom_tool_call_output", "custom tool call"),
    ("local_shell_call", "local_shell_call_output", "local shell call"),
    ("tool_search_call", "tool_search_output", "tool search call"),
];

/// The id prefixes of item types.
const PREFIXES: [(&str, &str); 3] = [("message", "msg"), ("reasoning", "rs"), ("function_call", "fc")];

pub(super) fn check(case: CheckContext<'_>) -> Result<(), Reject> {
    let items = case.body.get("input").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, item) in items.iter().enumerate() {
        one(case, item, &format!("input[{at}]"))?;
    }
    let triggers = items.iter().position(|item| item["type"] == "compaction_trigger");
    if let Some(at) = triggers.filter(|at| at + 1 < items.len()) {
        let path = format!("input[{at}]");
        return Err(Reject::invalid("compaction_trigger must be the last item.", Some(&path), Some("invalid_value")));
    }
    pairs(items)
}

fn one(case: CheckContext<'_>, item: &Value, path: &str) -> Result<(), Reject> {
    let kind = match item["type"].as_str() {
        Some(kind) => kind,
        None if item["role"].is_string() => "message",
        None => return Err(missing(&format!("{path}.type"))),
    };
    let foreign = match case.shape {
        BodyKind::Lite => false,
        BodyKind::Classic => kind == "additional_tools",
        BodyKind::Public => PRIVATE.contains(&kind),
    };
    if !ITEMS.contains(&kind) || foreign {
        let message = format!("Invalid value: '{kind}'.");
        return Err(Reject::invalid(message, Some(&format!("{path}.type")), Some("invalid_value")));
    }
    id(kind, item, path)?;
    match kind {
        "message" => message(case, item, path),
        "reasoning" => reasoning(case, item, path),
        "function_call" => fields(item, path, &["call_id", "name", "arguments"]),
        "custom_tool_call" => fields(item, path, &["call_id", "name", "input"]),
        "function_call_output" | "custom_tool_call_output" => output(case, item, path),
        "compaction" => sealed(case, item, path),
        _ => Ok(()),
    }
}

fn id(kind: &str, item: &Value, path: &str) -> Result<(), Reject> {
    let Some(id) = item["id"].as_str() else { return Ok(()) };
    if id.len() > 64 {
        return Err(super::too_long(&format!("{path}.id"), 64, id.len()));
    }
    let prefix = PREFIXES.iter().find(|(named, _)| *named == kind).map(|(_, prefix)| *prefix);
    match prefix.filter(|prefix| !id.starts_with(prefix)) {
        None => Ok(()),
        Some(prefix) => {
            let path = format!("{path}.id");
            let message = format!("Invalid '{path}': '{id}'. Expected an ID that begins with '{prefix}'.");
            Err(Reject::invalid(message, Some(&path), Some("invalid_value")))
        }
    }
}

/// Checks the required strings of an item. A call id has at most 64 characters.
fn fields(item: &Value, path: &str, names: &[&str]) -> Result<(), Reject> {
    for name in names {
        let path = format!("{path}.{name}");
        let text = item[name].as_str().ok_or_else(|| missing(&path))?;
        if *name == "call_id" && (text.is_empty() || text.len() > 64) {
            return Err(super::too_long(&path, 64, text.len()));
        }
    }
    Ok(())
}

fn message(case: CheckContext<'_>, item: &Value, path: &str) -> Result<(), Reject> {
    let role = item["role"].as_str().ok_or_else(|| missing(&format!("{path}.role")))?;
    let parts: &[&str] = match role {
        "system" if case.shape != BodyKind::Public => {
            return Err(Reject::detail(400, "System messages are not allowed"));
        }
        "user" | "developer" | "system" => &["input_text", "input_image", "input_file", "input_audio"],
        "assistant" => &["output_text", "refusal"],
        other => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            );
            return Err(Reject::invalid(message, Some(&format!("{path}.role")), Some("invalid_value")));
        }
    };
    match &item["content"] {
        Value::String(_) => Ok(()),
        Value::Array(content) => content
            .iter()
            .enumerate()
            .try_for_each(|(at, one)| part(case, one, &format!("{path}.content[{at}]"), parts)),
        _ => Err(missing(&format!("{path}.content"))),
    }
}

fn part(case: CheckContext<'_>, part: &Value, path: &str, allowed: &[&str]) -> Result<(), Reject> {
    let kind = part["type"].as_str().ok_or_else(|| missing(&format!("{path}.type")))?;
    if !allowed.contains(&kind) {
        let allowed: Vec<String> = allowed.iter().map(|kind| format!("'{kind}'")).collect();
        let message = format!("Invalid value: '{kind}'. Supported values are: {}.", allowed.join(", "));
        return Err(Reject::invalid(message, Some(path), Some("invalid_value")));
    }
    if part.get("prompt_cache_breakpoint").is_some() {
        return Err(Reject::invalid("prompt_cache_breakpoint is not supported on this model", Some(path), None));
    }
    match kind {
        "input_text" | "output_text" => fields(part, path, &["text"]),
        "input_image" => image(case, part, path),
        _ => Ok(()),
    }
}

/// Checks an image: a web URL or a data URL. Lite models accept no `detail`.
fn image(case: CheckContext<'_>, part: &Value, path: &str) -> Result<(), Reject> {
    if case.shape == BodyKind::Lite && part.get("detail").is_some() {
        let path = format!("{path}.detail");
        let message = format!("Unsupported parameter: '{path}' is not supported with this model.");
        return Err(Reject::invalid(message, Some(&path), Some("unsupported_parameter")));
    }
    let Some(url) = part["image_url"].as_str() else {
        return if part["file_id"].is_string() { Ok(()) } else { Err(missing(&format!("{path}.image_url"))) };
    };
    let web = url.starts_with("http://") || url.starts_with("https://");
    if web || (url.starts_with("data:image/") && url.contains(";base64,")) {
        return Ok(());
    }
    let message = "Invalid 'image_url': expected a valid URL or a base64-encoded data URL of an image.";
    Err(Reject::invalid(message, Some(&format!("{path}.image_url")), Some("invalid_value")))
}

fn reasoning(case: CheckContext<'_>, item: &Value, path: &str) -> Result<(), Reject> {
    if !item["summary"].is_array() {
        return Err(missing(&format!("{path}.summary")));
    }
    sealed(case, item, path)
}

/// Checks that reasoning and compactions have their encrypted content, because the backend stores no items.
fn sealed(case: CheckContext<'_>, item: &Value, path: &str) -> Result<(), Reject> {
    match item["encrypted_content"].as_str() {
        Some(content) if case.strict_encrypted => encrypted::verify(content, case.account),
        Some(_) => Ok(()),
        None => match item["id"].as_str() {
            Some(id) => {
                let message = format!(
                    "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input."
                );
                Err(Reject {
                    status: 404,
                    body: crate::errors::error(&message, "invalid_request_error", Some("input"), None),
                })
            }
            None => Err(missing(&format!("{path}.encrypted_content"))),
        },
    }
}

fn output(case: CheckContext<'_>, item: &Value, path: &str) -> Result<(), Reject> {
    fields(item, path, &["call_id"])?;
    match &item["output"] {
        Value::String(_) => Ok(()),
        Value::Array(parts) => parts.iter().enumerate().try_for_each(|(at, one)| {
            part(case, one, &format!("{path}.output[{at}]"), &["input_text", "input_image", "input_file"])
        }),
        _ => Err(missing(&format!("{path}.output"))),
    }
}

/// Checks that every call has an output, and every output a call.
fn pairs(items: &[Value]) -> Result<(), Reject> {
    for (call, output, words) in PAIRS {
        let ids = |kind: &str| -> Vec<&str> {
            let same = items.iter().filter(|item| item["type"] == kind);
            same.filter_map(|item| item["call_id"].as_str()).collect()
        };
        let (calls, outputs) = (ids(call), ids(output));
        if let Some(id) = calls.iter().find(|id| !outputs.contains(id)) {
            return Err(Reject::invalid(format!("No tool output found for {words} {id}."), Some("input"), None));
        }
        if let Some(id) = outputs.iter().find(|id| !calls.contains(id)) {
            let message = format!("No tool call found for {words} output with call_id {id}.");
            return Err(Reject::invalid(message, Some("input"), None));
        }
    }
    Ok(())
}
