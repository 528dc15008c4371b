//! Parts of messages and tool outputs.

use bytes::BytesMut;

use crate::canon::{Part, Source};
use crate::json::Shape;
use crate::json::emit::{self, ObjectWriter};
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::patch::{Edit, patch, set};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// Most parts in one list.
const MOST: usize = 100_000;

/// The author of the parts; decides the `type` of a text part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Anyone but the model.
    Input,
    /// The model.
    Output,
}

/// A list of parts.
pub(super) struct Parts {
    pub(super) parts: Vec<Part>,
    /// The list in the dialect's own form, if it came in another.
    pub(super) normal: Option<Json>,
}

/// Reads a string or a list of parts.
pub(super) fn list(node: Node<'_>, side: Side) -> ReadResult<Parts> {
    if node.is(Shape::String) {
        let text = node.text()?;
        let mut out = BytesMut::new();
        emit::array(&mut out, [&text], |out, text| emit::object(out, |writer| self::text(writer, side.text(), text)));
        let normal = Some(Json::from_valid(out.freeze()));
        return Ok(Parts { parts: vec![Part::from(text)], normal });
    }
    if !node.is(Shape::Array) {
        return Err(node.wrong("a string or an array of content parts"));
    }
    let mut changed = false;
    let read = node.each(MOST, |node| {
        let read = part(node, side)?;
        changed |= read.1 != node.json();
        Ok(read)
    })?;
    let normal = changed.then(|| emit::list(read.iter().map(|(_, json)| json)));
    Ok(Parts { parts: read.into_iter().map(|(part, _)| part).collect(), normal })
}

/// A part and its form in this dialect.
fn part(node: Node<'_>, side: Side) -> ReadResult<(Part, Json)> {
    if node.is(Shape::String) {
        let text = node.text()?;
        let json = emit::json(|writer| self::text(writer, side.text(), &text));
        return Ok((Part::from(text), json));
    }
    let mut fields = node.object()?;
    let kind = fields.need("type", node::string)?;
    Ok(match kind.as_str() {
        "input_text" | "output_text" | "text" => {
            let text = fields.need("text", node::text)?;
            let part = Part::Text {
                text,
                annotations: fields.read("annotations", |node| node.shaped(Shape::Array, "an array"))?,
            };
            (part, renamed(node.json(), &kind, side))
        }
        "refusal" => (Part::Refusal(fields.need("refusal", node::text)?), node.json()),
        "input_image" | "image_url" => image(&mut fields, node)?,
        "input_file" => (file(&mut fields)?, node.json()),
        _ => (Part::Other(node.json()), node.json()),
    })
}

impl Side {
    fn text(self) -> &'static str {
        match self {
            Self::Input => "input_text",
            Self::Output => "output_text",
        }
    }
}

/// A text part with the `type` of its side; upstreams refuse the other one.
fn renamed(json: Json, kind: &str, side: Side) -> Json {
    if kind == side.text() { json } else { set(&json, "type", &Json::of(side.text())) }
}

fn image(fields: &mut Fields<'_>, node: Node<'_>) -> ReadResult<(Part, Json)> {
    let mut detail = fields.read("detail", node::text)?;
    let mut nested = false;
    let url = fields.read("image_url", |url| {
        if url.is(Shape::String) {
            return url.text();
        }
        nested = true;
        let mut inner = url.object()?;
        detail = inner.read("detail", node::text)?.or_else(|| detail.take());
        inner.need("url", node::text)
    })?;
    let id = fields.read("file_id", node::text)?;
    let source = match (url, id) {
        (Some(url), _) => Source::Url(url),
        (None, Some(id)) => Source::Id(id),
        (None, None) => return Err(fields.missing("image_url")),
    };
    let part = Part::Image { source, detail };
    let chat_style = nested || !node.json().text("type").is_some_and(|kind| kind.is("input_image"));
    let json = if chat_style { emit::json(|writer| write(writer, &part, Side::Input)) } else { node.json() };
    Ok((part, json))
}

fn file(fields: &mut Fields<'_>) -> ReadResult<Part> {
    let name = fields.read("filename", node::text)?;
    let data = fields.read("file_data", node::text)?;
    let url = fields.read("file_url", node::text)?;
    let id = fields.read("file_id", node::text)?;
    let source = match (data.or(url), id) {
        (Some(url), _) => Source::Url(url),
        (None, Some(id)) => Source::Id(id),
        (None, None) => return Err(fields.missing("file_data")),
    };
    Ok(Part::File { source, name })
}

/// Writes the members of a text part.
pub(crate) fn text(writer: &mut ObjectWriter<'_>, kind: &str, text: &Text) {
    writer.string("type", kind);
    writer.text("text", text);
}

/// Writes the members of one part of an input item. `Other` parts must be of this dialect.
pub(crate) fn write(writer: &mut ObjectWriter<'_>, part: &Part, side: Side) {
    match part {
        Part::Text { text, .. } => self::text(writer, side.text(), text),
        Part::Refusal(refusal) => {
            writer.string("type", "refusal");
            writer.text("refusal", refusal);
        }
        Part::Image { source, detail } => {
            writer.string("type", "input_image");
            match source {
                Source::Url(url) => writer.text("image_url", url),
                Source::Id(id) => writer.text("file_id", id),
            }
            writer.optional_text("detail", detail.as_ref());
        }
        Part::File { source, name } => {
            writer.string("type", "input_file");
            writer.optional_text("filename", name.as_ref());
            match source {
                Source::Id(id) => writer.text("file_id", id),
                Source::Url(url) if url.as_str().starts_with("http") => writer.text("file_url", url),
                Source::Url(url) => writer.text("file_data", url),
            }
        }
        Part::Other(json) => json.fields().for_each(|(key, value)| writer.member(&key, &value)),
    }
}

/// A message or tool output without the `detail` of its images, which lite models refuse; part lists elsewhere stay unchanged.
pub(crate) fn without_detail(raw: &Json, notes: &mut Notes) -> Json {
    let edit = |key: &Text, value: &Json| {
        if !(key.is("content") || key.is("output")) || value.shape() != Shape::Array {
            return Edit::Keep;
        }
        let has =
            |part: &Json| part.text("type").is_some_and(|kind| kind.is("input_image")) && part.get("detail").is_some();
        if !value.elements().any(|part| has(&part)) {
            return Edit::Keep;
        }
        notes.add("dropped image detail");
        let strip = |key: &Text, _: &Json| if key.is("detail") { Edit::Drop } else { Edit::Keep };
        Edit::Set(emit::list(value.elements().map(|part| if has(&part) { patch(&part, strip, []) } else { part })))
    };
    patch(raw, edit, [])
}
