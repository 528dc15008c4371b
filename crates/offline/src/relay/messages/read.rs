//! Reads a Messages request into the responder's input.

use serde_json::Value;

use super::super::list;
use super::super::reply::Limits;
use crate::responder::{self, ModelInput, Tool, ToolChoice, ToolKind};
use crate::responses::read::decoded;

/// The input of the responder.
pub(super) fn topic(body: &Value) -> ModelInput<'_> {
    ModelInput {
        prompt: responder::plain(&prompt(body)),
        outputs: outputs(body),
        images: images(body),
        tools: list(body, "tools").iter().map(tool).collect(),
        choice: choice(&body["tool_choice"]),
        format: format(body),
        parallel: body["tool_choice"]["disable_parallel_tool_use"] != true,
        body,
    }
}

/// The limits of the answer's length.
pub(super) fn limits(body: &Value) -> Limits<'_> {
    let stops = list(body, "stop_sequences").iter().filter_map(Value::as_str).collect();
    Limits { max: body["max_tokens"].as_u64(), stops }
}

/// Whether the model reasons about this request.
pub(super) fn thinks(body: &Value) -> bool {
    matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"))
}

/// Whether any part of the request has `cache_control`.
pub(super) fn marked(body: &Value) -> bool {
    ["tools", "system", "messages"].iter().any(|key| has_mark(&body[*key])) || body["cache_control"].is_object()
}

fn has_mark(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_mark),
        Value::Object(object) => {
            object.get("cache_control").is_some_and(Value::is_object) || has_mark(&value["content"])
        }
        _ => false,
    }
}

/// The text of the last user message.
pub(in crate::relay) fn prompt(body: &Value) -> String {
    last_user(body).map_or_else(String::new, |message| text(&message["content"]))
}

fn last_user(body: &Value) -> Option<&Value> {
    let users = || list(body, "messages").iter().rev().filter(|message| message["role"] == "user");
    let has_prompt = |message: &&Value| {
        let text = text(&message["content"]);
        !text.is_empty() && !responder::is_reminder(&text)
    };
    users().find(has_prompt).or_else(|| users().next())
}

/// Tool results in the last user message; empty if the message also has a user's text.
fn outputs(body: &Value) -> Vec<String> {
    let last = list(body, "messages").iter().rev().find(|message| message["role"] != "system");
    let Some(last) = last.filter(|message| message["role"] == "user") else { return Vec::new() };
    if !responder::plain(&text(&last["content"])).trim().is_empty() {
        return Vec::new();
    }
    let results = list(last, "content").iter().filter(|block| block["type"] == "tool_result");
    results.map(result).collect()
}

/// The text of a result, with a prefix for an error; an image is replaced by its size.
fn result(block: &Value) -> String {
    let images = list(block, "content").iter().filter(|part| part["type"] == "image");
    let sizes = images.map(|image| image["source"]["data"].as_str().map_or(0, decoded));
    let images = sizes.map(|bytes| format!(" [an image of {bytes} bytes]")).collect::<Vec<_>>().concat();
    let has_prompt = format!("{}{images}", text(&block["content"]));
    if block["is_error"] == true { format!("an error: {has_prompt}") } else { has_prompt }
}

fn images(body: &Value) -> Vec<Result<usize, &str>> {
    let parts = last_user(body).and_then(|message| message["content"].as_array()).into_iter().flatten();
    let sources = parts.filter(|part| part["type"] == "image").map(|part| &part["source"]);
    let image = |source: &'_ Value| source["data"].as_str().map(decoded);
    sources
        .filter_map(|source| match image(source) {
            Some(bytes) => Some(Ok(bytes)),
            None => source["url"].as_str().map(Err),
        })
        .collect()
}

/// The text of a content that is a string or a list of blocks.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter(|block| block["type"] == "text");
            texts.filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn tool(tool: &Value) -> Tool<'_> {
    let kind = match tool["type"].as_str() {
        None | Some("custom") => ToolKind::Function,
        Some(kind) if kind.starts_with("web_search_") => ToolKind::Search,
        Some(_) => ToolKind::Other,
    };
    Tool { kind, namespace: None, name: tool["name"].as_str().unwrap_or_default(), schema: tool.get("input_schema") }
}

fn choice(choice: &Value) -> ToolChoice<'_> {
    match choice["type"].as_str() {
        Some("none") => ToolChoice::None,
        Some("any") => ToolChoice::Required,
        Some("tool") if choice["name"] == "web_search" => ToolChoice::Hosted(ToolKind::Search),
        Some("tool") => ToolChoice::Only { names: choice["name"].as_str().into_iter().collect(), must: true },
        _ => ToolChoice::Auto,
    }
}

fn format(body: &Value) -> Option<&Value> {
    let format = body["output_config"].get("format").or_else(|| body.get("output_format"))?;
    format.get("schema").filter(|_| format["type"] == "json_schema")
}
