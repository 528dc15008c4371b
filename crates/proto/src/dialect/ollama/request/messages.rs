//! The conversation.

use super::Scope;
use crate::canon::{CallKind, Item, ItemKind, Part, Role};
use crate::dialect::output_format::require_content;
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::Text;

/// The calls that wait for their results: a result names its tool, but has an id only sometimes.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Name and id, oldest first.
    open: Vec<(Text, Text)>,
    made: usize,
    /// Whether a message of another role came since the last call: when the model calls again, calls that are still open are dropped.
    left: bool,
}

impl Calls {
    /// Makes an id for a call without one: the same id in every turn of a conversation.
    fn id(&mut self) -> Text {
        self.made += 1;
        Text::from_plain(&format!("call_ollama_{}", self.made))
    }

    /// Records a call.
    fn begin(&mut self, name: &Text, id: &Text) {
        if std::mem::take(&mut self.left) {
            self.open.clear();
        }
        self.open.push((name.clone(), id.clone()));
    }

    /// Removes and returns the id of the call that a result answers: by its id, else the oldest call of that tool, else the oldest call.
    fn answer(&mut self, id: Option<&Text>, name: Option<&Text>) -> Option<Text> {
        let by_id = id.and_then(|id| self.open.iter().position(|(_, other)| other == id));
        let by_name = || name.and_then(|name| self.open.iter().position(|(other, _)| other == name));
        let oldest = || (name.is_none() && !self.open.is_empty()).then_some(0);
        let at = by_id.or_else(by_name).or_else(oldest)?;
        Some(self.open.remove(at).1)
    }
}

impl Scope {
    pub(super) fn messages(&mut self, node: Node<'_>, calls: &mut Calls) -> ReadResult<Vec<Item>> {
        let mut items = Vec::new();
        node.each(usize::MAX, |node| self.message(node, calls, &mut items))?;
        require_content(items, node)
    }

    fn message(&mut self, node: Node<'_>, calls: &mut Calls, items: &mut Vec<Item>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let role = fields.need("role", node::string)?;
        calls.left |= role != "assistant";
        match role.as_str() {
            "system" => items.push(operator_message(&mut fields, Role::System)?),
            "developer" => items.push(operator_message(&mut fields, Role::Developer)?),
            "user" => {
                let parts = self.shown(&mut fields)?;
                items.push(ItemKind::message(Role::User, parts).into());
            }
            "assistant" => self.assistant(&mut fields, calls, items)?,
            "tool" => items.push(self.result(&mut fields, calls)?),
            other => return Err(fields.unknown("role", other)),
        }
        // Every message of some clients has all members, empty ones too.
        for name in ["images", "tool_calls", "tool_name", "tool_call_id", "thinking"] {
            if super::is_empty(&fields, name) {
                fields.take(name);
            }
        }
        self.notes.unread("messages", fields);
        Ok(())
    }

    /// Text, then images.
    fn shown(&mut self, fields: &mut Fields<'_>) -> ReadResult<Vec<Part>> {
        let text = fields.read("content", node::text)?.unwrap_or_default();
        let images = fields.read("images", |node| self.images(node))?.unwrap_or_default();
        let text = Some(text).filter(|text| !text.is_empty() || images.is_empty());
        Ok(text.map(Part::from).into_iter().chain(images).collect())
    }

    fn assistant(&mut self, fields: &mut Fields<'_>, calls: &mut Calls, items: &mut Vec<Item>) -> ReadResult<()> {
        let before = items.len();
        let text = fields.read("content", node::text)?.filter(|text| !text.is_empty());
        items.extend(text.map(|text| ItemKind::message(Role::Assistant, vec![text.into()]).into()));
        let made = fields.read("tool_calls", |node| node.each(usize::MAX, |node| self.call(node, calls)))?;
        items.extend(made.into_iter().flatten());
        let thinking = fields.read("thinking", node::text)?;
        if thinking.is_some_and(|text| !text.is_empty()) {
            // Reasoning without encrypted state is accepted only by some chat relays, next to the call that it led to.
            self.notes.add("dropped messages.thinking");
        }
        if items.len() == before {
            self.notes.add("dropped an empty assistant message");
        }
        Ok(())
    }

    /// `{id, function: {name, arguments}}`
    fn call(&mut self, node: Node<'_>, calls: &mut Calls) -> ReadResult<Item> {
        let mut fields = node.object()?;
        let call_id = fields.read("id", node::text)?.filter(|id| !id.is_empty()).unwrap_or_else(|| calls.id());
        fields.take("type");
        let (name, input) = fields.need("function", |node| self.called(node))?;
        calls.begin(&name, &call_id);
        self.notes.unread("messages.tool_calls", fields);
        Ok(ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input }.into())
    }

    fn called(&mut self, node: Node<'_>) -> ReadResult<(Text, Text)> {
        let mut fields = node.object()?;
        let name = fields.need("name", node::filled)?;
        // Some clients send the arguments as a string, as in OpenAI's API.
        let input = fields.read("arguments", |node| match node {
            node if node.is(Shape::String) => node.text(),
            node => Ok(Text::from_plain(node.shaped(Shape::Object, "an object")?.as_str())),
        })?;
        fields.take("index");
        fields.take("description");
        self.notes.unread("messages.tool_calls.function", fields);
        Ok((name, input.unwrap_or_else(|| Text::from_plain("{}"))))
    }

    fn result(&mut self, fields: &mut Fields<'_>, calls: &mut Calls) -> ReadResult<Item> {
        let named = fields.read("tool_name", node::text)?;
        let name = fields.read("name", node::text)?;
        let name = named.or(name).filter(|name| !name.is_empty());
        let id = fields.read("tool_call_id", node::text)?;
        // The writers repair a result without its call.
        let call_id = calls.answer(id.as_ref(), name.as_ref()).or(id).unwrap_or_else(|| calls.id());
        let parts = self.shown(fields)?;
        Ok(ItemKind::Output { kind: CallKind::Function, call_id, parts, failed: false }.into())
    }
}

/// A message of the operator: text only.
fn operator_message(fields: &mut Fields<'_>, role: Role) -> ReadResult<Item> {
    let text = fields.read("content", node::text)?.unwrap_or_default();
    Ok(ItemKind::message(role, vec![text.into()]).into())
}
