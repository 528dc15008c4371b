//! Reads a chat request into the responder's input.

use serde_json::Value;

use super::super::list;
use super::super::models::Kind;
use super::super::reply::Limits;
use crate::responder::{self, ModelInput, Tool, ToolChoice, ToolKind};
use crate::responses::read::image;

/// The input of the responder.
pub(super) fn topic(body: &Value) -> ModelInput<'_> {
    ModelInput {
        prompt: responder::plain(&prompt(body)),
        outputs: tool_outputs(body),
        images: images(body),
        tools: list(body, "tools").iter().map(tool).collect(),
        choice: choice(&body["tool_choice"]),
        format: format(&body["response_format"]),
        parallel: body["parallel_tool_calls"] != false,
        body,
    }
}

/// The limits of the answer's length.
pub(super) fn limits(body: &Value) -> Limits<'_> {
    let max = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64());
    let stops = match &body["stop"] {
        Value::String(stop) => vec![stop.as_str()],
        Value::Array(stops) => stops.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    Limits { max, stops }
}

/// Whether the model reasons about this request.
pub(super) fn thinks(body: &Value, kind: Kind) -> bool {
    let effort = body["reasoning_effort"].as_str();
    match kind {
        Kind::OpenReasoning => effort != Some("none"),
        Kind::Reasoning => !matches!(effort, Some("none" | "minimal")),
        _ => false,
    }
}

/// The text of the last user message.
pub(in crate::relay) fn prompt(body: &Value) -> String {
    last_user(body).map_or_else(String::new, |message| text(&message["content"]))
}

fn last_user(body: &Value) -> Option<&Value> {
    let users = || list(body, "messages").iter().rev().filter(|message| message["role"] == "user");
    users().find(|message| !responder::is_reminder(&text(&message["content"]))).or_else(|| users().next())
}

/// The texts of the tool messages at the end.
fn tool_outputs(body: &Value) -> Vec<String> {
    let added = |message: &&Value| match message["role"].as_str() {
        Some("developer" | "system") => true,
        Some("user") => responder::is_reminder(&text(&message["content"])),
        _ => false,
    };
    let late = list(body, "messages").iter().rev().skip_while(added);
    let mut outputs: Vec<String> = late
        .take_while(|message| matches!(message["role"].as_str(), Some("tool" | "function")))
        .map(|message| text(&message["content"]))
        .collect();
    outputs.reverse();
    outputs
}

fn images(body: &Value) -> Vec<Result<usize, &str>> {
    let parts = last_user(body).and_then(|message| message["content"].as_array()).into_iter().flatten();
    parts.filter_map(|part| part["image_url"]["url"].as_str()).map(image).collect()
}

/// The text of a content that is a string or a list of parts.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

fn tool(tool: &Value) -> Tool<'_> {
    let (kind, inner) = match tool["type"].as_str() {
        Some("custom") => (ToolKind::Custom, &tool["custom"]),
        _ => (ToolKind::Function, &tool["function"]),
    };
    Tool { kind, namespace: None, name: inner["name"].as_str().unwrap_or_default(), schema: inner.get("parameters") }
}

fn choice(choice: &Value) -> ToolChoice<'_> {
    match choice {
        Value::String(mode) if mode == "none" => ToolChoice::None,
        Value::String(mode) if mode == "required" => ToolChoice::Required,
        Value::Object(_) if choice["type"] == "allowed_tools" => {
            let allowed = &choice["allowed_tools"];
            let names = list(allowed, "tools").iter().filter_map(named).collect();
            ToolChoice::Only { names, must: allowed["mode"] == "required" }
        }
        Value::Object(_) => ToolChoice::Only { names: named(choice).into_iter().collect(), must: true },
        _ => ToolChoice::Auto,
    }
}

/// The name in a tool reference.
fn named(tool: &Value) -> Option<&str> {
    tool.get("function").or_else(|| tool.get("custom"))?["name"].as_str()
}

fn format(format: &Value) -> Option<&Value> {
    static ANY: Value = Value::Bool(true);
    match format["type"].as_str()? {
        "json_schema" => Some(format["json_schema"].get("schema").unwrap_or(&ANY)),
        "json_object" => Some(&ANY),
        _ => None,
    }
}
