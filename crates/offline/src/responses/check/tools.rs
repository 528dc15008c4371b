//! Checks tools and the tool choice.

use serde_json::Value;

use super::{CheckContext, missing};
use crate::errors::Reject;

/// Kinds of tools that the backend knows.
const KINDS: [&str; 11] = [
    "function", "custom", "namespace", "tool_search", "web_search", "web_search_preview", "image_generation",
    "local_shell", "code_interpreter", "file_search", "mcp",
];

pub(super) fn check(case: CheckContext<'_>) -> Result<(), Reject> {
    let top = case.body.get("tools").and_then(Value::as_array).into_iter().flatten();
    for (at, tool) in top.enumerate() {
        one(tool, &format!("tools[{at}]"))?;
    }
    let input = case.body.get("input").and_then(Value::as_array).into_iter().flatten();
    for (place, item) in input.enumerate().filter(|(_, item)| item["type"] == "additional_tools") {
        for (at, tool) in item["tools"].as_array().into_iter().flatten().enumerate() {
            one(tool, &format!("input[{place}].tools[{at}]"))?;
        }
    }
    choice(case)
}

fn one(tool: &Value, path: &str) -> Result<(), Reject> {
    let kind = tool["type"].as_str().ok_or_else(|| missing(&format!("{path}.type")))?;
    if !KINDS.contains(&kind) {
        let allowed = KINDS.map(|kind| format!("'{kind}'")).join(", ");
        let message = format!("Invalid value: '{kind}'. Supported values are: {allowed}.");
        return Err(Reject::invalid(message, Some(&format!("{path}.type")), Some("invalid_value")));
    }
    if !matches!(kind, "function" | "custom" | "namespace") {
        return Ok(());
    }
    name(tool, path)?;
    match kind {
        "function" => parameters(tool, path),
        "namespace" => tool["tools"]
            .as_array()
            .ok_or_else(|| missing(&format!("{path}.tools")))?
            .iter()
            .enumerate()
            .try_for_each(|(at, tool)| one(tool, &format!("{path}.tools[{at}]"))),
        _ => Ok(()),
    }
}

/// Checks a tool's required name; Chat's nested form fails here as it does at the backend.
pub(crate) fn name(tool: &Value, path: &str) -> Result<(), Reject> {
    let path = format!("{path}.name");
    let name = tool["name"].as_str().ok_or_else(|| missing(&path))?;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
    if name.is_empty() || !name.bytes().all(fits) {
        let message = format!(
            "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(Reject::invalid(message, Some(&path), Some("invalid_value")));
    }
    if name.len() > 128 {
        return Err(super::too_long(&path, 128, name.len()));
    }
    Ok(())
}

/// Checks the schema of a function's parameters.
pub(crate) fn parameters(tool: &Value, path: &str) -> Result<(), Reject> {
    let Some(schema) = tool.get("parameters").filter(|schema| !schema.is_null()) else { return Ok(()) };
    let name = tool["name"].as_str().unwrap_or_default();
    let refuse = |reason: &str| {
        let message = format!("Invalid schema for function '{name}': {reason}");
        Err(Reject::invalid(message, Some(&format!("{path}.parameters")), Some("invalid_function_parameters")))
    };
    if schema["type"] != "object" {
        return refuse(&format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.", schema["type"]));
    }
    match (tool["strict"] == true).then(|| super::format::strict(schema, "")).flatten() {
        Some(reason) => refuse(&reason),
        None => Ok(()),
    }
}

/// Checks the tool choice; a forced function must be among the tools.
fn choice(case: CheckContext<'_>) -> Result<(), Reject> {
    let Some(choice) = case.body.get("tool_choice") else { return Ok(()) };
    if let Some(mode) = choice.as_str() {
        return if matches!(mode, "auto" | "none" | "required") { Ok(()) } else { Err(wrong(mode)) };
    }
    let kind = choice["type"].as_str().ok_or_else(|| missing("tool_choice.type"))?;
    if !matches!(kind, "function" | "custom") {
        return Ok(());
    }
    let name = choice["name"].as_str().ok_or_else(|| missing("tool_choice.name"))?;
    let top = case.body.get("tools");
    let inside = case.body.get("input").and_then(Value::as_array).into_iter().flatten();
    let inside = inside.filter(|item| item["type"] == "additional_tools").filter_map(|item| item.get("tools"));
    if top.into_iter().chain(inside).any(|tools| holds(tools, name)) {
        return Ok(());
    }
    let message = format!("Tool choice '{kind}' not found in 'tools' parameter.");
    Err(Reject::invalid(message, Some("tool_choice"), None))
}

fn wrong(mode: &str) -> Reject {
    let message = format!("Invalid value: '{mode}'. Supported values are: 'none', 'auto', and 'required'.");
    Reject::invalid(message, Some("tool_choice"), Some("invalid_value"))
}

fn holds(tools: &Value, name: &str) -> bool {
    let mut tools = tools.as_array().into_iter().flatten();
    tools.any(|tool| tool["name"] == name || tool.get("tools").is_some_and(|tools| holds(tools, name)))
}
