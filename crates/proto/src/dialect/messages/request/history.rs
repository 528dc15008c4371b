//! The conversation: `system` and `messages` to instructions and items.

use super::Scope;
use crate::canon::{Item, ItemKind, Part, Role};
use crate::dialect::output_format::require_content;
use crate::dialect::request_values::joined;
use crate::json::Shape;
use crate::json::node::{self, Node, ReadResult};
use crate::text::Text;

/// The prefix that Claude Code puts before its system prompt; it differs from turn to turn and would spoil every prompt cache.
const BILLING: &str = "x-anthropic-billing-header:";

/// A message while it is converted to items.
pub(super) struct OpenMessage<'i> {
    pub(super) role: Role,
    /// Parts that are not in an item yet.
    pub(super) parts: Vec<Part>,
    items: &'i mut Vec<Item>,
}

impl OpenMessage<'_> {
    /// Adds a separate item after the parts so far.
    pub(super) fn item(&mut self, kind: ItemKind) {
        self.flush();
        self.items.push(Item::from(kind));
    }

    /// Adds text that is not empty.
    pub(super) fn text(&mut self, text: Text) {
        if !text.is_empty() {
            self.parts.push(Part::from(text));
        }
    }

    fn flush(&mut self) {
        if !self.parts.is_empty() {
            let (role, parts) = (self.role.clone(), std::mem::take(&mut self.parts));
            self.items.push(ItemKind::message(role, parts).into());
        }
    }
}

impl Scope {
    /// A string or text blocks, which become one text with blank lines between them.
    pub(super) fn system(&mut self, node: Node<'_>) -> ReadResult<Option<Text>> {
        if node.is(Shape::String) {
            return Ok(Some(self.unbilled(node.text()?)).filter(|text| !text.is_empty()));
        }
        if !node.is(Shape::Array) {
            return Err(node.wrong("a string or an array of text blocks"));
        }
        let mut texts = node.each(usize::MAX, |node| self.system_block(node))?;
        texts.retain(|text| !text.is_empty());
        Ok(joined(&texts))
    }

    fn system_block(&mut self, node: Node<'_>) -> ReadResult<Text> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        if kind != "text" {
            return Err(fields.unknown("type", &kind));
        }
        let text = fields.need("text", node::text)?;
        self.cited(&mut fields);
        self.unread("system", fields);
        Ok(self.unbilled(text))
    }

    /// The text without a billing header at its front.
    fn unbilled(&mut self, text: Text) -> Text {
        if !text.as_str().starts_with(BILLING) {
            return text;
        }
        self.notes.add("dropped x-anthropic-billing-header");
        let plain = text.plain();
        let rest = plain.split_once('\n').map_or("", |(_, rest)| rest.trim_start());
        Text::from_plain(rest)
    }

    /// The `messages`.
    pub(super) fn messages(&mut self, node: Node<'_>) -> ReadResult<Vec<Item>> {
        let mut items = Vec::new();
        node.each(usize::MAX, |node| self.message(node, &mut items))?;
        require_content(items, node)
    }

    fn message(&mut self, node: Node<'_>, items: &mut Vec<Item>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let role = match fields.need("role", node::string)?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            // Claude Code puts operator reminders between the turns (beta mid-conversation-system).
            "system" => Role::System,
            "developer" => Role::Developer,
            other => return Err(fields.unknown("role", other)),
        };
        let before = items.len();
        let mut message = OpenMessage { role, parts: Vec::new(), items };
        fields.need("content", |node| self.content(node, &mut message))?;
        message.flush();
        if items.len() == before {
            self.notes.add("dropped an empty message");
        }
        self.unread("messages", fields);
        Ok(())
    }

    fn content(&mut self, node: Node<'_>, message: &mut OpenMessage<'_>) -> ReadResult<()> {
        if node.is(Shape::String) {
            let text = node.text()?;
            self.add_text(text, message);
            return Ok(());
        }
        if !node.is(Shape::Array) {
            return Err(node.wrong("a string or an array of content blocks"));
        }
        node.each(usize::MAX, |node| self.block(node, message)).map(|_| ())
    }

    /// Text of the message's speaker.
    pub(super) fn add_text(&mut self, text: Text, message: &mut OpenMessage<'_>) {
        let operator = matches!(message.role, Role::System | Role::Developer);
        message.text(if operator { self.unbilled(text) } else { text });
    }
}

/// A client's text after a label of ours.
pub(super) fn label(name: &str, text: &Text) -> String {
    format!("{name}: {}", text.plain())
}
