//! Checks tools and the tool choice.

use std::collections::HashSet;

use serde_json::Value;

use super::super::super::list;
use super::{fault, known, required, string};
use crate::errors::Reject;

const MEMBERS: [&str; 9] = [
    "type", "name", "description", "input_schema", "cache_control", "strict", "defer_loading", "allowed_callers",
    "input_examples",
];
/// Name prefixes of the provider's own tools, most with a date after them.
const OWN: [&str; 9] = [
    "web_search_", "web_fetch_", "bash_", "text_editor_", "computer_", "code_execution_", "memory_",
    "tool_search_tool_", "mcp_toolset",
];

pub(super) fn check(body: &Value) -> Result<(), Reject> {
    let tools = list(body, "tools");
    let mut names = HashSet::new();
    for (at, tool) in tools.iter().enumerate() {
        one(tool, &format!("tools.{at}"))?;
        if !names.insert(tool["name"].as_str().unwrap_or_default()) {
            return Err(fault("tools: Tool names must be unique."));
        }
    }
    choice(body, &names)
}

fn one(tool: &Value, path: &str) -> Result<(), Reject> {
    match tool["type"].as_str() {
        None | Some("custom") => {}
        Some(kind) if OWN.iter().any(|family| kind.starts_with(family)) => {
            return string(tool, "name", path).map(|_| ());
        }
        Some(kind) => {
            return Err(fault(format!(
                "{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', 'text_editor_20250728', 'web_search_20250305'"
            )));
        }
    }
    let path = format!("{path}.custom");
    let names: Vec<&str> = MEMBERS.into_iter().chain(["eager_input_streaming"]).collect();
    known(tool, &path, &names)?;
    let name = string(tool, "name", &path)?;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-';
    if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
        return Err(fault(format!("{path}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")));
    }
    let schema = tool.get("input_schema").ok_or_else(|| required(&format!("{path}.input_schema")))?;
    match schema.get("type") {
        Some(kind) if kind == "object" => {}
        Some(_) => return Err(fault(format!("{path}.input_schema.type: Input should be 'object'"))),
        None => return Err(required(&format!("{path}.input_schema.type"))),
    }
    if ["oneOf", "allOf", "anyOf"].iter().any(|key| schema.get(*key).is_some()) {
        let message = "input_schema does not support oneOf, allOf, or anyOf at the top level";
        return Err(fault(format!("{path}: {message}")));
    }
    Ok(())
}

fn choice(body: &Value, names: &HashSet<&str>) -> Result<(), Reject> {
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else { return Ok(()) };
    if !choice.is_object() {
        return Err(fault("tool_choice: Input should be a valid dictionary or object to extract fields from"));
    }
    let kind = string(choice, "type", "tool_choice")?;
    let members: &[&str] = match kind {
        "auto" | "any" => &["type", "disable_parallel_tool_use"],
        "tool" => &["type", "name", "disable_parallel_tool_use"],
        "none" => &["type"],
        other => {
            return Err(fault(format!(
                "tool_choice: Input tag '{other}' found using 'type' does not match any of the expected tags: 'any', 'auto', 'none', 'tool'"
            )));
        }
    };
    known(choice, &format!("tool_choice.{kind}"), members)?;
    if names.is_empty() && kind != "none" {
        return Err(fault("tool_choice: may only be specified while providing tools"));
    }
    let name = if kind == "tool" { Some(string(choice, "name", "tool_choice.tool")?) } else { None };
    match name.filter(|name| !names.contains(name)) {
        Some(name) => Err(fault(format!("Tool '{name}' not found in provided tools"))),
        None => Ok(()),
    }
}
