//! Content blocks of messages and tool results.

use super::Scope;
use super::history::{OpenMessage, label};
use crate::canon::{CallKind, ItemKind, Part, Role};
use crate::dialect::messages::{encode, reasoning_state};
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::{Json, Text};

/// Blocks that belong to one role.
const KNOWN: [&str; 8] = [
    "image", "document", "search_result", "tool_result", "tool_use", "thinking", "redacted_thinking", "server_tool_use",
];

impl Scope {
    /// One content block of a message.
    pub(super) fn block(&mut self, node: Node<'_>, message: &mut OpenMessage<'_>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        match (kind.as_str(), &message.role) {
            ("text", _) => {
                let text = fields.need("text", node::text)?;
                self.add_text(text, message);
            }
            ("image" | "document" | "search_result", Role::User) => {
                self.shown(&kind, &mut fields, node, &mut message.parts)?;
            }
            ("tool_result", Role::User) => self.result(&mut fields, message)?,
            ("tool_use", Role::Assistant) => message.item(call(&mut fields)?),
            ("thinking", Role::Assistant) => thinking(&mut fields, message)?,
            ("redacted_thinking", Role::Assistant) => redacted(&mut fields, message)?,
            ("server_tool_use", Role::Assistant) => message.item(server_call(&mut fields)?),
            // The answer that follows contains the results; the search item records that a search took place.
            (encode::RESULTS, Role::Assistant) => return Ok(()),
            (known, _) if KNOWN.contains(&known) => return Err(fields.unknown("type", &kind)),
            // Blocks of other server tools, compaction and future kinds: only their own upstream can read them.
            (_, Role::Assistant) => {
                message.item(ItemKind::Other { kind });
                return Ok(());
            }
            _ => {
                message.parts.push(Part::Other(node.json()));
                return Ok(());
            }
        }
        self.cited(&mut fields);
        self.unread("messages.content", fields);
        Ok(())
    }

    /// Content that a person or a tool provides.
    pub(super) fn shown(
        &mut self,
        kind: &str,
        fields: &mut Fields<'_>,
        node: Node<'_>,
        parts: &mut Vec<Part>,
    ) -> ReadResult<()> {
        match kind {
            "text" => {
                let text = fields.need("text", node::text)?;
                parts.extend((!text.is_empty()).then_some(Part::from(text)));
            }
            "image" => parts.push(self.image(fields, node)?),
            "document" => self.document(fields, node, parts)?,
            "search_result" => self.search_result(fields, parts)?,
            "tool_reference" => {
                let name = fields.need("tool_name", node::text)?;
                self.notes.add("sent tool references as text");
                parts.push(text_part(&label("Available tool", &name)));
            }
            _ => parts.push(Part::Other(node.json())),
        }
        Ok(())
    }

    /// `{tool_use_id, content, is_error}`; the content may be text, images and documents.
    fn result(&mut self, fields: &mut Fields<'_>, message: &mut OpenMessage<'_>) -> ReadResult<()> {
        let call_id = fields.need("tool_use_id", node::filled)?;
        let failed = fields.read("is_error", node::boolean)?.unwrap_or(false);
        let mut parts = fields.read("content", |node| self.result_content(node))?.unwrap_or_default();
        if parts.is_empty() {
            parts.push(Part::from(Text::default()));
        }
        message.item(ItemKind::Output { kind: CallKind::Function, call_id, parts, failed });
        Ok(())
    }

    fn result_content(&mut self, node: Node<'_>) -> ReadResult<Vec<Part>> {
        if node.is(Shape::String) {
            return Ok(vec![Part::from(node.text()?)]);
        }
        if !node.is(Shape::Array) {
            return Err(node.wrong("a string or an array of content blocks"));
        }
        let mut parts = Vec::new();
        node.each(usize::MAX, |node| {
            let mut fields = node.object()?;
            let kind = fields.need("type", node::string)?;
            let known = matches!(kind.as_str(), "text" | "image" | "document" | "search_result" | "tool_reference");
            self.shown(&kind, &mut fields, node, &mut parts)?;
            if known {
                self.cited(&mut fields);
                self.unread("messages.content.content", fields);
            }
            Ok(())
        })?;
        Ok(parts)
    }

    /// Removes `citations`: those of a replayed answer, or the request for citations.
    pub(super) fn cited(&mut self, fields: &mut Fields<'_>) {
        let is_enabled = |json: &Json| json.get("enabled").and_then(|enabled| enabled.as_bool()) == Some(true);
        let cited = fields.take("citations").is_some_and(|json| json.elements().next().is_some() || is_enabled(&json));
        if cited {
            self.notes.add("dropped citations");
        }
    }
}

fn call(fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    let call_id = fields.need("id", node::filled)?;
    let name = fields.need("name", node::filled)?;
    let input = fields.read("input", |node| node.shaped(Shape::Object, "an object"))?;
    let input = Text::from_plain(input.as_ref().map_or("{}", Json::as_str));
    // The caller of the tool: the model itself, unless it was one of Anthropic's server tools.
    fields.take("caller");
    Ok(ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input })
}

fn thinking(fields: &mut Fields<'_>, message: &mut OpenMessage<'_>) -> ReadResult<()> {
    let text = fields.read("thinking", node::text)?.unwrap_or_default();
    let (id, encrypted) = reasoning_state::from_signature(&fields.read("signature", node::text)?.unwrap_or_default());
    if !text.is_empty() || encrypted.is_some() {
        let summary = if text.is_empty() { Vec::new() } else { vec![text] };
        message.item(ItemKind::Reasoning { id, summary, text: Vec::new(), encrypted });
    }
    Ok(())
}

fn redacted(fields: &mut Fields<'_>, message: &mut OpenMessage<'_>) -> ReadResult<()> {
    let (id, encrypted) = reasoning_state::from_redacted(&fields.need("data", node::text)?);
    if encrypted.is_some() {
        message.item(ItemKind::Reasoning { id, summary: Vec::new(), text: Vec::new(), encrypted });
    }
    Ok(())
}

fn server_call(fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    let name = fields.need("name", node::string)?;
    let (input, _) = (fields.take("input"), fields.take("caller"));
    if name != encode::SEARCH {
        fields.take("id");
        return Ok(ItemKind::Other { kind: name });
    }
    let query = input.and_then(|input| input.text("query")).unwrap_or_default();
    Ok(ItemKind::Search { id: fields.read("id", node::text)?, action: Some(encode::action(&query, &[])) })
}

/// A text part of ours.
pub(super) fn text_part(text: &str) -> Part {
    Part::from(Text::from_plain(text))
}
