//! Tools and tool choice of a chat request, in the nested form of chat, the flat form of responses and the legacy form.

use super::Scope;
use crate::canon::{Tool, ToolChoice, ToolKind};
use crate::dialect::tools;
use crate::json::Shape;
use crate::json::emit::ObjectWriter;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{emit, patch, schema};
use crate::notes::sanitized;
use crate::text::{Json, Text};

impl Scope {
    pub(super) fn tool_list(&mut self, node: Node<'_>) -> ReadResult<Vec<Tool>> {
        node.each(tools::MOST, |node| self.tool(node))
    }

    /// Legacy `functions`.
    pub(super) fn legacy_tools(&mut self, node: Node<'_>) -> ReadResult<Vec<Tool>> {
        node.each(tools::MOST, |node| self.function(node.object()?))
    }

    fn tool(&mut self, node: Node<'_>) -> ReadResult<Tool> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        match kind.as_str() {
            "function" if fields.has("function") => {
                let tool = fields.need("function", |node| self.function(node.object()?))?;
                self.notes.unread("tools", fields);
                Ok(tool)
            }
            "function" if fields.has("name") => self.function(fields),
            "function" => Err(fields.missing("function")),
            "custom" if fields.has("custom") => {
                let tool = fields.need("custom", |node| self.custom(node.object()?))?;
                self.notes.unread("tools", fields);
                Ok(tool)
            }
            "custom" if fields.has("name") => self.custom(fields),
            "custom" => Err(fields.missing("custom")),
            // The preview tools had other names, which upstreams that have only the final tool refuse.
            _ if kind.starts_with("web_search_preview") => {
                let search = patch::set(&node.json(), "type", &Text::from("web_search").quoted());
                Ok(Tool { kind: ToolKind::Hosted { kind: "web_search".to_owned() }, raw: Some(search) })
            }
            // Hosted and unknown tools; the upstream validates them.
            _ => Ok(Tool { kind: ToolKind::Hosted { kind }, raw: Some(node.json()) }),
        }
    }

    fn function(&mut self, mut fields: Fields<'_>) -> ReadResult<Tool> {
        let kind = ToolKind::Function {
            name: fields.need("name", tools::name)?,
            description: fields.read("description", node::text)?,
            parameters: fields.read("parameters", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        };
        self.notes.unread("tools.function", fields);
        Ok(Tool::from(kind))
    }

    fn custom(&mut self, mut fields: Fields<'_>) -> ReadResult<Tool> {
        let kind = ToolKind::Custom {
            name: fields.need("name", tools::name)?,
            description: fields.read("description", node::text)?,
            format: fields.read("format", grammar)?,
        };
        self.notes.unread("tools.custom", fields);
        Ok(Tool::from(kind))
    }

    /// The hosted search tool that `web_search_options` asks for.
    pub(super) fn search_tool(&mut self, node: Node<'_>) -> ReadResult<Tool> {
        let mut fields = node.object()?;
        let size = fields.read("search_context_size", node::text)?;
        let location = fields.read("user_location", location)?;
        self.notes.unread("web_search_options", fields);
        let raw = emit::json(|writer| {
            writer.string("type", "web_search");
            writer.optional_text("search_context_size", size.as_ref());
            writer.optional("user_location", location.as_ref(), ObjectWriter::json);
        });
        Ok(Tool { kind: ToolKind::Hosted { kind: "web_search".to_owned() }, raw: Some(raw) })
    }
}

/// A mode, or an object that names a tool.
pub(super) fn tool_choice(node: Node<'_>) -> ReadResult<ToolChoice> {
    if node.is(Shape::String) {
        return match node.string()?.as_str() {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            // Some servers use `any` for `required`.
            "required" | "any" => Ok(ToolChoice::Required),
            other => Err(node.bad(&format!("'{}' is not a tool choice.", sanitized(other)))),
        };
    }
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    match kind.as_str() {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        "function" => named(&mut fields, "function").map(ToolChoice::Function),
        "custom" => named(&mut fields, "custom").map(ToolChoice::Custom),
        "allowed_tools" if fields.has("allowed_tools") => fields.need("allowed_tools", allowed_tools),
        _ => Ok(ToolChoice::Other(node.json())),
    }
}

/// Legacy `function_call`: a mode or `{name}`.
pub(super) fn legacy_choice(node: Node<'_>) -> ReadResult<ToolChoice> {
    if node.is(Shape::String) {
        return tool_choice(node);
    }
    node.object()?.need("name", tools::name).map(ToolChoice::Function)
}

/// The name in `{type, function: {name}}` or `{type, name}`.
fn named(fields: &mut Fields<'_>, key: &str) -> ReadResult<Text> {
    if fields.has(key) {
        return fields.need(key, |node| node.object()?.need("name", tools::name));
    }
    fields.need("name", tools::name)
}

/// `{mode, tools: [{type, function: {name}}]}` to the flat responses form.
fn allowed_tools(node: Node<'_>) -> ReadResult<ToolChoice> {
    let mut fields = node.object()?;
    let mode = fields.need("mode", node::text)?;
    let tools = fields.need("tools", |node| node.each(tools::MOST, allowed_tool))?;
    Ok(ToolChoice::Other(emit::json(|writer| {
        writer.string("type", "allowed_tools");
        writer.text("mode", &mode);
        writer.array("tools", &tools, |out, tool| out.extend_from_slice(tool.bytes()));
    })))
}

fn allowed_tool(node: Node<'_>) -> ReadResult<Json> {
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    if !matches!(kind.as_str(), "function" | "custom") {
        return Ok(node.json());
    }
    let name = named(&mut fields, &kind)?;
    Ok(emit::json(|writer| {
        writer.string("type", &kind);
        writer.text("name", &name);
    }))
}

/// `{type, grammar: {syntax, definition}}` to the flat responses form; every other format stays unchanged.
fn grammar(node: Node<'_>) -> ReadResult<Json> {
    let parts = node.object()?.read("grammar", |node| {
        let mut fields = node.object()?;
        Ok((fields.need("syntax", node::text)?, fields.need("definition", node::text)?))
    })?;
    let Some((syntax, definition)) = parts else { return Ok(node.json()) };
    Ok(emit::json(|writer| {
        writer.string("type", "grammar");
        writer.text("syntax", &syntax);
        writer.text("definition", &definition);
    }))
}

/// `{type, approximate: {city, ..}}` to the flat responses form.
fn location(node: Node<'_>) -> ReadResult<Json> {
    let mut fields = node.object()?;
    let mut known = fields.read("approximate", location_fields)?.unwrap_or_default();
    if known.is_empty() {
        known = location_fields(node)?;
    }
    Ok(emit::json(|writer| {
        writer.string("type", "approximate");
        for (name, value) in &known {
            writer.text(name, value);
        }
    }))
}

fn location_fields(node: Node<'_>) -> ReadResult<Vec<(&'static str, Text)>> {
    let mut fields = node.object()?;
    let mut known = Vec::new();
    for name in ["city", "country", "region", "timezone"] {
        known.extend(fields.read(name, node::text)?.map(|value| (name, value)));
    }
    Ok(known)
}
