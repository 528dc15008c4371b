//! Turns the conversation, chat messages or a responses `input`, into items.

use std::collections::HashSet;

use bytes::Bytes;

use super::Scope;
use super::parts::Allowed;
use crate::canon::{CallKind, Item, ItemKind, Part, Role};
use crate::dialect::output_format::require_content;
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::Text;

/// State of earlier messages that later ones need.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Ids of custom calls, to recognise their results.
    custom: HashSet<Bytes>,
    /// The legacy call that waits for its result: legacy calls have a name and no id.
    legacy: Option<(Text, Text)>,
    /// Number of legacy calls so far.
    legacy_calls: usize,
}

impl History {
    fn legacy_call(&mut self, name: &Text) -> Text {
        self.legacy_calls += 1;
        let id = Text::from_plain(&format!("call_legacy_{}", self.legacy_calls));
        self.legacy = Some((name.clone(), id.clone()));
        id
    }

    fn legacy_result(&mut self, name: &Text) -> Text {
        match self.legacy.take() {
            Some((called, id)) if called == *name => id,
            _ => self.legacy_call(name),
        }
    }

    /// Records a custom call.
    pub(super) fn custom_call(&mut self, call_id: &Text) {
        self.custom.insert(call_id.escaped().clone());
    }

    fn kind(&self, call_id: &Text) -> CallKind {
        if self.custom.contains(call_id.escaped()) { CallKind::Custom } else { CallKind::Function }
    }
}

impl Scope {
    /// Chat `messages`.
    pub(super) fn messages(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<Vec<Item>> {
        let mut items = Vec::new();
        node.each(usize::MAX, |node| self.message(node, history, &mut items))?;
        require_content(items, node)
    }

    fn message(&mut self, node: Node<'_>, history: &mut History, items: &mut Vec<Item>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let role = fields.need("role", node::string)?;
        match role.as_str() {
            "system" => items.push(self.content_message(&mut fields, Role::System, Allowed::Text)?),
            "developer" => items.push(self.content_message(&mut fields, Role::Developer, Allowed::Text)?),
            "user" => items.push(self.content_message(&mut fields, Role::User, Allowed::Everything)?),
            "assistant" => self.assistant(&mut fields, history, items)?,
            "tool" => items.push(self.tool_result(&mut fields, history)?),
            "function" => items.push(self.function_result(&mut fields, history)?),
            other => return Err(fields.unknown("role", other)),
        }
        self.notes.unread("messages", fields);
        Ok(())
    }

    fn content_message(&mut self, fields: &mut Fields<'_>, role: Role, allowed: Allowed) -> ReadResult<Item> {
        let parts = fields.need("content", |node| self.content(node, allowed))?;
        Ok(ItemKind::message(role, parts).into())
    }

    fn assistant(&mut self, fields: &mut Fields<'_>, history: &mut History, items: &mut Vec<Item>) -> ReadResult<()> {
        let before = items.len();
        let mut parts = fields.read("content", |node| self.content(node, Allowed::Assistant))?.unwrap_or_default();
        let refusal = fields.read("refusal", node::text)?;
        parts.extend(refusal.filter(|refusal| !refusal.is_empty()).map(Part::Refusal));
        let calls = fields.read("tool_calls", |node| node.each(usize::MAX, |node| self.call(node, history)))?;
        let legacy = fields.read("function_call", |node| self.legacy(node, history))?;
        if !parts.iter().all(Part::is_empty) {
            items.push(ItemKind::message(Role::Assistant, parts).into());
        }
        items.extend(calls.into_iter().flatten().chain(legacy));
        self.replayed(fields)?;
        if items.len() == before {
            self.notes.add("dropped an empty assistant message");
        }
        Ok(())
    }

    /// Members of earlier replies that clients send back.
    fn replayed(&mut self, fields: &mut Fields<'_>) -> ReadResult<()> {
        fields.read("audio", |node| Err::<(), _>(node.unsupported("audio is not supported.")))?;
        for name in ["reasoning_content", "reasoning", "reasoning_details"] {
            // Reasoning without encrypted state is accepted only by some chat relays, and those get the client's own body.
            if fields.take(name).is_some() {
                self.notes.add(format!("dropped messages.{name}"));
            }
        }
        let cited = fields.take("annotations").is_some_and(|json| json.elements().next().is_some());
        if cited {
            self.notes.add("dropped messages.annotations");
        }
        Ok(())
    }

    fn call(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<Item> {
        let mut fields = node.object()?;
        let call_id = fields.need("id", node::filled)?;
        let kind = fields.read("type", node::string)?.unwrap_or_else(|| "function".to_owned());
        // Streamed calls have an index; some clients send it back.
        fields.take("index");
        let (kind, name, input) = match kind.as_str() {
            "function" => {
                let (name, input) = fields.need("function", |node| self.called(node, "arguments"))?;
                (CallKind::Function, name, input)
            }
            "custom" => {
                history.custom_call(&call_id);
                let (name, input) = fields.need("custom", |node| self.called(node, "input"))?;
                (CallKind::Custom, name, input)
            }
            other => return Err(fields.unknown("type", other)),
        };
        self.notes.unread("messages.tool_calls", fields);
        Ok(ItemKind::Call { kind, id: None, call_id, name, namespace: None, input }.into())
    }

    /// `{name, arguments}` or `{name, input}`.
    fn called(&mut self, node: Node<'_>, input: &'static str) -> ReadResult<(Text, Text)> {
        let mut fields = node.object()?;
        let name = fields.need("name", node::filled)?;
        let input = fields.read(input, |node| {
            // Some servers send arguments as an object, so some clients send them back that way.
            if node.is(Shape::Object) { Ok(Text::from_plain(node.json().as_str())) } else { node.text() }
        })?;
        self.notes.unread("messages.tool_calls", fields);
        Ok((name, input.unwrap_or_default()))
    }

    fn legacy(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<Item> {
        let (name, input) = self.called(node, "arguments")?;
        let call_id = history.legacy_call(&name);
        Ok(ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input }.into())
    }

    fn tool_result(&mut self, fields: &mut Fields<'_>, history: &History) -> ReadResult<Item> {
        let call_id = fields.need("tool_call_id", node::filled)?;
        let parts = self.result(fields)?;
        fields.take("name");
        Ok(ItemKind::Output { kind: history.kind(&call_id), call_id, parts, failed: false }.into())
    }

    fn function_result(&mut self, fields: &mut Fields<'_>, history: &mut History) -> ReadResult<Item> {
        let name = fields.need("name", node::filled)?;
        let parts = self.result(fields)?;
        let call_id = history.legacy_result(&name);
        Ok(ItemKind::Output { kind: CallKind::Function, call_id, parts, failed: false }.into())
    }

    /// A tool's result: text, images and files; a missing one is the empty text.
    fn result(&mut self, fields: &mut Fields<'_>) -> ReadResult<Vec<Part>> {
        let parts = fields.read("content", |node| self.content(node, Allowed::Everything))?;
        Ok(parts.unwrap_or_else(|| vec![Part::from(Text::default())]))
    }
}
