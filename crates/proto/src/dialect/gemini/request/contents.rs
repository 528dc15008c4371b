//! Turns `contents` into items.

use super::history::History;
use super::{Scope, several};
use crate::canon::{Item, Part};
use crate::dialect::output_format::require_content;
use crate::json::Shape;
use crate::json::node::{self, Node, ReadResult};
use crate::text::{Json, Text};

/// The role of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    User,
    Model,
}

impl Scope {
    pub(super) fn contents(&mut self, node: Node<'_>) -> ReadResult<Vec<Item>> {
        let mut history = History::default();
        several(node, |node| self.content(node, &mut history))?;
        require_content(history.finish(), node)
    }

    fn content(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<()> {
        if node.is(Shape::String) {
            history.user(vec![Part::from(node.text()?)]);
            return Ok(());
        }
        let mut fields = node.object()?;
        let speaker = fields.either("role", speaker)?.unwrap_or(Speaker::User);
        let mut parts = Vec::new();
        let read = |node: Node<'_>| match speaker {
            Speaker::User => self.user_part(node, history, &mut parts),
            Speaker::Model => self.model_part(node, history),
        };
        let count = fields.either("parts", |node| several(node, read))?.unwrap_or_default().len();
        if speaker == Speaker::User {
            history.user(parts);
        }
        if count == 0 {
            self.notes.add("dropped an empty content");
        }
        self.leftover("contents", fields);
        Ok(())
    }

    fn user_part(&mut self, node: Node<'_>, history: &mut History, parts: &mut Vec<Part>) -> ReadResult<()> {
        let mut fields = node.object()?;
        let result = fields.either("functionResponse", |inner| {
            history.user(std::mem::take(parts));
            self.result(inner, history)
        })?;
        if result.is_some() {
            // Gemini does not use a signature here.
            fields.either("thoughtSignature", node::text)?;
            self.leftover("contents.parts", fields);
            return Ok(());
        }
        parts.extend(self.part(&mut fields)?.filter(|part| !part.is_empty()));
        self.leftover("contents.parts", fields);
        Ok(())
    }

    fn model_part(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<()> {
        let mut fields = node.object()?;
        let thought = fields.either("thought", node::boolean)?.unwrap_or(false);
        let signature = fields.either("thoughtSignature", node::text)?.filter(|text| !text.is_empty());
        let thought = if thought { fields.either("text", node::text)? } else { None };
        if let Some(text) = &thought {
            history.thought(text);
        }
        if let Some(signature) = &signature {
            history.signature(signature);
        }
        if let Some((id, name, input)) = fields.either("functionCall", |node| self.call(node))? {
            history.call(id, name, input);
        }
        match self.part(&mut fields)? {
            Some(Part::Text { text, .. }) => history.speech(&text),
            Some(part) => history.shown(part),
            None => {}
        }
        self.leftover("contents.parts", fields);
        Ok(())
    }

    fn call(&mut self, node: Node<'_>) -> ReadResult<(Option<Text>, Text, Text)> {
        let mut fields = node.object()?;
        let id = fields.either("id", node::text)?.filter(|id| !id.is_empty());
        let name = fields.either("name", node::filled)?.ok_or_else(|| fields.missing("name"))?;
        let args = fields.either("args", |node| node.shaped(Shape::Object, "an object"))?;
        let input = args.map_or_else(|| Text::from_plain("{}"), |args| Text::from_plain(args.as_str()));
        self.leftover("contents.parts.functionCall", fields);
        Ok((id, name, input))
    }

    fn result(&mut self, node: Node<'_>, history: &mut History) -> ReadResult<()> {
        let mut fields = node.object()?;
        let id = fields.either("id", node::text)?.filter(|id| !id.is_empty());
        let name = fields.either("name", node::text)?.filter(|name| !name.is_empty());
        if id.is_none() && name.is_none() {
            return Err(fields.missing("name"));
        }
        let (text, failed) = fields.either("response", response)?.unwrap_or_default();
        let mut parts = vec![Part::from(text)];
        let shown = fields.either("parts", |node| several(node, |node| self.shown(node)))?;
        parts.extend(shown.into_iter().flatten().flatten());
        self.leftover("contents.parts.functionResponse", fields);
        history.result((id, name), (parts, failed));
        Ok(())
    }

    /// An image or file in the result of a function.
    fn shown(&mut self, node: Node<'_>) -> ReadResult<Option<Part>> {
        let mut fields = node.object()?;
        let part = self.part(&mut fields)?;
        self.leftover("contents.parts.functionResponse.parts", fields);
        Ok(part)
    }
}

fn speaker(node: Node<'_>) -> ReadResult<Speaker> {
    match node.string()?.as_str() {
        "" | "user" | "function" | "tool" => Ok(Speaker::User),
        "model" => Ok(Speaker::Model),
        _ => Err(node.bad("the roles are 'user' and 'model'.")),
    }
}

/// The result of a function as text, and whether the function failed: the API names the two cases `output` and `error`.
fn response(node: Node<'_>) -> ReadResult<(Text, bool)> {
    if node.is(Shape::String) {
        return Ok((node.text()?, false));
    }
    let json = node.shaped(Shape::Object, "an object")?;
    let mut members = json.fields();
    let only = members.next().filter(|_| members.next().is_none());
    let (value, failed) = match only {
        Some((key, value)) if key.is("output") => (value, false),
        Some((key, value)) if key.is("error") => (value, true),
        _ => {
            let failed = json.get("error").is_some();
            (json, failed)
        }
    };
    Ok((value.as_text().unwrap_or_else(|| json_text(&value)), failed))
}

/// A value as text.
fn json_text(value: &Json) -> Text {
    Text::from_plain(value.as_str())
}
