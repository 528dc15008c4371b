//! Turns a request body into a canonical request. Google's SDKs mix the two spellings of a name in one body, so every field is read in both
//! spellings.

mod contents;
mod history;
mod options;
mod parts;
mod tools;

use bytes::Bytes;

use crate::canon::Request;
use crate::dialect::Dialect;
use crate::dialect::request_values::joined;
use crate::failure::{Failure, Kind};
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Path, Shape};
use crate::notes::{self, Notes};
use crate::text::{Json, Text};

/// Most unknown fields that are stored by name; the client chooses the names.
const MOST_UNKNOWN: usize = 16;
/// Fields that only Gemini upstreams can honour and that change the answer, and the reason for the refusal.
const OURS: [(&str, &str); 2] = [
    ("cachedContent", "cached contents lie with Google; send the whole conversation in 'contents'."),
    ("generationConfig.responseModalities", "audio output is not supported."),
];

/// Reads a request.
pub(super) fn read(body: &Bytes) -> ReadResult<(Request, Notes)> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut scope = Scope::default();
    let mut request = scope.request(Node::new(&json, &Path::ROOT))?;
    request.raw = Some(body.clone());
    request.rest = scope.rest;
    Ok((request, scope.notes))
}

/// Refuses fields that only Gemini upstreams can honour.
pub(super) fn reject_gemini_only(request: &Request) -> Result<(), Failure> {
    if request.origin != Some(Dialect::Gemini) {
        return Ok(());
    }
    for (name, why) in OURS {
        if request.rest.iter().any(|(field, _)| field == name) {
            let message = format!("Invalid value for '{name}': {why}");
            return Err(Failure::new(Kind::Invalid, message).at(name).code("unsupported_value"));
        }
    }
    Ok(())
}

/// State that the readers of single fields share.
#[derive(Default)]
struct Scope {
    notes: Notes,
    /// Fields that no other protocol has, by their path.
    rest: Vec<(String, Json)>,
}

impl Scope {
    fn request(&mut self, node: Node<'_>) -> ReadResult<Request> {
        let mut fields = node.object()?;
        let mut request = Request { origin: Some(Dialect::Gemini), ..Request::default() };
        request.model = fields.either("model", node::string)?.map(|name| bare(&name).to_owned());
        request.instructions = fields.either("systemInstruction", system)?.flatten();
        let items = fields.either("contents", |node| self.contents(node))?;
        request.items = items.ok_or_else(|| fields.missing("contents"))?;
        request.tools = fields.either("tools", |node| self.tools(node))?.unwrap_or_default();
        fields.either("toolConfig", |node| self.tool_config(node, &mut request))?;
        fields.either("generationConfig", |node| self.generation(node, &mut request))?;
        request.tier = fields.either("serviceTier", node::string)?.map(|tier| tier.to_ascii_lowercase());
        fields.either("safetySettings", |node| {
            node.each(64, |node| node.object().map(drop))?;
            self.keep("safetySettings", node.json());
            Ok(())
        })?;
        fields.either("cachedContent", |node| {
            node.filled()?;
            self.keep("cachedContent", node.json());
            Ok(())
        })?;
        self.leftover("", fields);
        Ok(request)
    }

    /// Stores a field that no other protocol has.
    fn keep(&mut self, path: &str, json: Json) {
        if !self.rest.iter().any(|(known, _)| known == path) {
            self.rest.push((path.to_owned(), json));
        }
    }

    /// Stores the unread fields.
    fn leftover(&mut self, path: &str, fields: Fields<'_>) {
        for (name, json) in fields.rest().filter(|(_, json)| !json.is_null()) {
            let name = name.plain();
            let plain = notes::is_plain(&name);
            let name = if plain && self.rest.len() < MOST_UNKNOWN { name.as_ref() } else { "unknown" };
            let dot = if path.is_empty() { "" } else { "." };
            self.keep(&format!("{path}{dot}{name}"), json);
        }
    }
}

/// A content object, its parts, or a string.
fn system(node: Node<'_>) -> ReadResult<Option<Text>> {
    if node.is(Shape::String) {
        return node.text().map(|text| Some(text).filter(|text| !text.is_empty()));
    }
    let texts = if node.is(Shape::Array) {
        system_parts(node)?
    } else {
        let mut fields = node.object()?;
        fields.either("role", node::text)?;
        fields.either("parts", system_parts)?.unwrap_or_default()
    };
    Ok(joined(&texts))
}

fn system_parts(node: Node<'_>) -> ReadResult<Vec<Text>> {
    let texts = several(node, |node| {
        if node.is(Shape::String) {
            return node.text();
        }
        let mut fields = node.object()?;
        let text = fields.either("text", node::text)?;
        text.ok_or_else(|| node.bad("a system instruction is text only."))
    })?;
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

/// Reads a list, or its only element: Google's servers accept both.
fn several<T>(node: Node<'_>, mut read: impl FnMut(Node<'_>) -> ReadResult<T>) -> ReadResult<Vec<T>> {
    if node.is(Shape::Object) || node.is(Shape::String) { Ok(vec![read(node)?]) } else { node.each(usize::MAX, read) }
}

/// A model's name without the `models/` prefix.
fn bare(name: &str) -> &str {
    name.strip_prefix("models/").unwrap_or(name)
}
