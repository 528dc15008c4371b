//! Items of requests and replies.
//!
//! [`read`] is for requests: its errors name the path of the wrong value, and it turns near-miss spellings (a message whose
//! content is a string, chat-style part types) into the dialect's own form, in `raw` too. [`reply`] is for upstreams: it keeps
//! items that it cannot read as [`ItemKind::Other`].

mod part;

use std::borrow::Cow;

use serde::Deserialize;

use crate::canon::{CallKind, Head, Item, ItemKind, Request, Role, Tool, ToolChoice, ToolKind};
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::patch::set;
use crate::json::{Path, Shape, emit};
use crate::text::{Json, Text};
pub(super) use part::{Side, text, without_detail, write as write_part};

/// Reads one input item.
pub(super) fn read(node: Node<'_>) -> ReadResult<Item> {
    let mut fields = node.object()?;
    let explicit = fields.read("type", node::string)?;
    // The short form of a message has a role and no type.
    let short = explicit.is_none();
    if short && !fields.has("role") {
        return Err(fields.missing("type"));
    }
    let kind = explicit.unwrap_or_else(|| "message".to_owned());
    let (kind, list) = match kind.as_str() {
        "message" => message(&mut fields)?,
        "function_call_output" => output(CallKind::Function, &mut fields)?,
        "custom_tool_call_output" => output(CallKind::Custom, &mut fields)?,
        _ => (other(&kind, &mut fields)?, None),
    };
    let raw = if short { set(&node.json(), "type", &Json::of("message")) } else { node.json() };
    Ok(Item { raw: Some(normal(raw, &kind, list)), kind })
}

/// Reads one output item of an upstream.
pub(super) fn reply(json: &Json) -> Item {
    let item = read(Node::new(json, &Path::ROOT));
    let kind = item.map_or_else(|_| ItemKind::Other { kind: type_of(json) }, |item| item.kind);
    Item { kind, raw: Some(json.clone()) }
}

/// The head of an output item. The rest of the item is not read: it comes in pieces.
pub(super) fn head(json: &Json) -> Head {
    let names = ["type", "phase", "call_id", "name", "namespace"];
    let [kind, phase, call_id, name, namespace] =
        json.get_each(names).map(|value| value.and_then(|value| value.as_text()));
    let kind = kind.unwrap_or_else(|| Text::from("message"));
    let call = |kind| match (call_id, name) {
        (Some(call_id), Some(name)) => Head::Call { kind, call_id, name, namespace },
        _ => Head::Other,
    };
    match kind.as_str() {
        "message" => Head::Message { phase },
        "reasoning" => Head::Reasoning,
        "function_call" => call(CallKind::Function),
        "custom_tool_call" => call(CallKind::Custom),
        "web_search_call" => Head::Search,
        "image_generation_call" => Head::Image,
        _ => Head::Other,
    }
}

/// A message and, where it had to be normalised, its content.
fn message(fields: &mut Fields<'_>) -> ReadResult<(ItemKind, Option<Json>)> {
    let word = fields.need("role", node::string)?;
    let role = match word.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        _ => return Err(fields.unknown("role", &word)),
    };
    let side = if role == Role::Assistant { Side::Output } else { Side::Input };
    let content = fields.read("content", |node| part::list(node, side))?;
    let content = match content {
        Some(content) => content,
        // Other stacks write assistant turns with only tool calls without any content.
        None if role == Role::Assistant => part::Parts { parts: Vec::new(), normal: Some(Json::of::<[u8]>(&[])) },
        None => return Err(fields.missing("content")),
    };
    let kind =
        ItemKind::Message { id: id(fields)?, role, parts: content.parts, phase: fields.read("phase", node::text)? };
    Ok((kind, content.normal))
}

fn other(kind: &str, fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    Ok(match kind {
        "reasoning" => reasoning(fields)?,
        "function_call" => call(CallKind::Function, "arguments", fields)?,
        "custom_tool_call" => call(CallKind::Custom, "input", fields)?,
        "web_search_call" => ItemKind::Search { id: id(fields)?, action: fields.take("action") },
        "image_generation_call" => ItemKind::Image {
            id: id(fields)?,
            result: fields.read("result", node::text)?.unwrap_or_default(),
            format: fields.read("output_format", node::text)?,
            prompt: fields.read("revised_prompt", node::text)?,
        },
        _ => ItemKind::Other { kind: kind.to_owned() },
    })
}

fn reasoning(fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    const MOST: usize = 100_000;
    let texts = |node: Node<'_>| node.each(MOST, |part| part.object()?.need("text", node::text));
    Ok(ItemKind::Reasoning {
        id: id(fields)?,
        summary: fields.read("summary", texts)?.unwrap_or_default(),
        text: fields.read("content", texts)?.unwrap_or_default(),
        encrypted: fields.read("encrypted_content", node::text)?,
    })
}

fn call(kind: CallKind, input: &str, fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    Ok(ItemKind::Call {
        kind,
        id: id(fields)?,
        call_id: fields.need("call_id", node::text)?,
        name: fields.need("name", node::text)?,
        namespace: fields.read("namespace", node::text)?,
        input: fields.need(input, node::text)?,
    })
}

/// A tool output and, if its list had to be normalised, the normalised list. A string stays a string, a legal form here.
fn output(kind: CallKind, fields: &mut Fields<'_>) -> ReadResult<(ItemKind, Option<Json>)> {
    let call_id = fields.need("call_id", node::text)?;
    let mut string = false;
    let list = fields.need("output", |node| {
        string = node.is(Shape::String);
        part::list(node, Side::Input)
    })?;
    let normal = list.normal.filter(|_| !string);
    Ok((ItemKind::Output { kind, call_id, parts: list.parts, failed: false }, normal))
}

fn id(fields: &mut Fields<'_>) -> ReadResult<Option<Text>> {
    fields.read("id", node::text)
}

/// The item with its parts in this dialect's form.
fn normal(json: Json, kind: &ItemKind, list: Option<Json>) -> Json {
    let Some(list) = list else { return json };
    set(&json, if matches!(kind, ItemKind::Message { .. }) { "content" } else { "output" }, &list)
}

/// The `type` of an item, at most 64 bytes of it.
fn type_of(json: &Json) -> String {
    let kind = json.text("type").unwrap_or_default();
    let kind = kind.plain();
    kind[..kind.floor_char_boundary(64)].to_owned()
}

/// `raw` with the role `developer`.
pub(super) fn as_developer(raw: &Json) -> Json {
    set(raw, "role", &Json::of("developer"))
}

/// Whether the item is only state that no account but the one that made it can read or may have stored.
pub(super) fn is_replay(item: &Item) -> bool {
    match &item.kind {
        ItemKind::Reasoning { .. } => true,
        ItemKind::Other { .. } => item.raw.as_ref().is_some_and(|raw| raw.get("encrypted_content").is_some()),
        _ => false,
    }
}

/// Whether `json` is a message of the operator.
pub(super) fn is_operator(json: &Json) -> bool {
    let is = |name: &str, words: &[&str]| json.text(name).is_some_and(|text| words.iter().any(|word| text.is(word)));
    is("type", &["message"]) && is("role", &["developer", "system"])
}

/// A developer message with the text `text`.
pub(super) fn developer(text: &Text) -> Json {
    emit::json(|writer| {
        writer.string("type", "message");
        writer.string("role", "developer");
        writer.array("content", [text], |out, text| emit::object(out, |writer| part::text(writer, "input_text", text)));
    })
}

/// Whether `json` is an `additional_tools` item, which marks a body that already has the lite shape.
pub(super) fn is_tool_list(item: &Item) -> bool {
    matches!(&item.kind, ItemKind::Other { kind } if kind == "additional_tools")
}

/// The hosted image generation tool.
const DRAWS: &str = "image_generation";

/// Whether a request offers the hosted image generation tool, in its list of tools or inside the conversation.
pub fn draws(request: &Request) -> bool {
    let image = |tool: &Tool| matches!(&tool.kind, ToolKind::Hosted { kind } if kind == DRAWS);
    let inside = || request.items.first().is_some_and(|item| lists_tool(item, DRAWS));
    request.tool_choice != Some(ToolChoice::None) && (request.tools.iter().any(image) || inside())
}

/// Whether an `additional_tools` item offers a hosted tool of this type, itself or in a namespace.
fn lists_tool(item: &Item, kind: &str) -> bool {
    let Some(raw) = item.raw.as_ref().filter(|_| is_tool_list(item)) else { return false };
    // Most lists are long and have no such tool.
    if memchr::memmem::find(raw.bytes(), kind.as_bytes()).is_none() {
        return false;
    }
    let tools = raw.parse::<Offered>().map(|list| list.tools).unwrap_or_default();
    tools.iter().any(|tool| tool.kind == kind || tool.tools.iter().any(|inner| inner.kind == kind))
}

/// A list of tools, or one tool of a list; a namespace is both.
#[derive(Deserialize)]
struct Offered<'a> {
    #[serde(rename = "type", default, borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    tools: Vec<Self>,
}
