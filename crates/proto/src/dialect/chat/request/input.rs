//! Responses `input` on the chat path: some editors post it there with chat's other fields.

use super::Scope;
use super::messages::{History, message};
use super::parts::Allowed;
use crate::canon::{CallKind, Item, ItemKind, Part, Role};
use crate::dialect::output_format::require_content;
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::Text;

impl Scope {
    /// A string, or a list of responses items.
    pub(super) fn input(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<Vec<Item>> {
        if node.is(Shape::String) {
            let text = node.text()?;
            return Ok(vec![message(Role::User, vec![Part::Text { text, annotations: None }])]);
        }
        let items = node.each(usize::MAX, |node| self.input_item(node, history))?;
        require_content(items, node)
    }

    fn input_item(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<Item> {
        let mut fields = node.object()?;
        let kind = fields.read("type", node::string)?.unwrap_or_else(|| "message".to_owned());
        let kind = match kind.as_str() {
            "message" => return self.input_message(&mut fields),
            "function_call" => call(&mut fields, CallKind::Function)?,
            "custom_tool_call" => call(&mut fields, CallKind::Custom)?,
            "function_call_output" => self.input_output(&mut fields, CallKind::Function)?,
            "custom_tool_call_output" => self.input_output(&mut fields, CallKind::Custom)?,
            "reasoning" => reasoning(&mut fields)?,
            _ => ItemKind::Other { kind },
        };
        if let ItemKind::Call { kind: CallKind::Custom, call_id, .. } = &kind {
            history.custom_call(call_id);
        }
        Ok(Item { kind, raw: Some(node.json()) })
    }

    fn input_message(&mut self, fields: &mut Fields<'_>) -> ReadResult<Item> {
        let (role, allowed) = match fields.need("role", node::string)?.as_str() {
            "system" => (Role::System, Allowed::Text),
            "developer" => (Role::Developer, Allowed::Text),
            "user" => (Role::User, Allowed::Everything),
            "assistant" => (Role::Assistant, Allowed::Assistant),
            other => return Err(fields.unknown("role", other)),
        };
        let parts = fields.need("content", |node| self.content(node, allowed))?;
        Ok(message(role, parts))
    }

    fn input_output(&mut self, fields: &mut Fields<'_>, kind: CallKind) -> ReadResult<ItemKind> {
        let call_id = fields.need("call_id", node::filled)?;
        let parts = fields.need("output", |node| self.content(node, Allowed::Everything))?;
        Ok(ItemKind::Output { kind, call_id, parts, failed: false })
    }
}

fn call(fields: &mut Fields<'_>, kind: CallKind) -> ReadResult<ItemKind> {
    let input = match kind {
        CallKind::Function => "arguments",
        CallKind::Custom => "input",
    };
    Ok(ItemKind::Call {
        kind,
        id: fields.read("id", node::text)?,
        call_id: fields.need("call_id", node::filled)?,
        name: fields.need("name", node::filled)?,
        namespace: fields.read("namespace", node::text)?,
        input: fields.need(input, node::text)?,
    })
}

fn reasoning(fields: &mut Fields<'_>) -> ReadResult<ItemKind> {
    Ok(ItemKind::Reasoning {
        id: fields.read("id", node::text)?,
        summary: fields.read("summary", paragraphs)?.unwrap_or_default(),
        text: fields.read("content", paragraphs)?.unwrap_or_default(),
        encrypted: fields.read("encrypted_content", node::text)?,
    })
}

fn paragraphs(node: Node<'_>) -> ReadResult<Vec<Text>> {
    node.each(usize::MAX, |node| node.object()?.need("text", node::text))
}
