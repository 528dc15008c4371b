//! Images, documents and search results that a client sends.

use std::borrow::Cow;

use super::Scope;
use super::content::text_part;
use super::history::label;
use crate::canon::{Part, Source};
use crate::dialect::request_values::web_url;
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::{Text, media_type, standard_base64};

/// The source of an image or document.
enum Origin {
    /// Inline or on the web.
    Url(Text),
    /// Text as it is.
    Plain(Text),
    /// A list of text and images.
    Parts(Vec<Part>),
    /// A file that is stored only at Anthropic.
    Stored,
}

impl Scope {
    /// An image; an image stored at Anthropic passes unchanged, for writers to judge.
    pub(super) fn image(&mut self, fields: &mut Fields<'_>, node: Node<'_>) -> ReadResult<Part> {
        let origin = fields.need("source", |node| self.source(node, "image/"))?;
        match origin {
            Origin::Url(url) => Ok(Part::Image { source: Source::Url(url), detail: None }),
            _ => Ok(Part::Other(node.json())),
        }
    }

    /// A document: a file for the model to read, or text inside the message itself.
    pub(super) fn document(
        &mut self,
        fields: &mut Fields<'_>,
        node: Node<'_>,
        parts: &mut Vec<Part>,
    ) -> ReadResult<()> {
        let title = fields.read("title", node::text)?.filter(|title| !title.is_empty());
        let context = fields.read("context", node::text)?.filter(|context| !context.is_empty());
        let origin = fields.need("source", |node| self.source(node, ""))?;
        if matches!(origin, Origin::Plain(_) | Origin::Parts(_)) {
            parts.extend(title.iter().map(|title| text_part(&label("Document", title))));
        }
        parts.extend(context.map(Part::from));
        match origin {
            Origin::Url(url) => parts.push(Part::File { name: name(title, &url), source: Source::Url(url) }),
            Origin::Plain(text) => parts.push(Part::from(text)),
            Origin::Parts(inner) => parts.extend(inner),
            Origin::Stored => parts.push(Part::Other(node.json())),
        }
        Ok(())
    }

    /// `{title, source, content}`: a passage with its source.
    pub(super) fn search_result(&mut self, fields: &mut Fields<'_>, parts: &mut Vec<Part>) -> ReadResult<()> {
        let title = fields.read("title", node::text)?.unwrap_or_default();
        let source = fields.read("source", node::text)?.unwrap_or_default();
        parts.push(text_part(&format!("{}\n{}", label("Search result", &title), label("Source", &source))));
        parts.extend(fields.need("content", |node| self.inner(node))?);
        Ok(())
    }

    fn source(&mut self, node: Node<'_>, media: &str) -> ReadResult<Origin> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        match kind.as_str() {
            "base64" => inline(&mut fields, media).map(Origin::Url),
            "url" => fields.need("url", web_url).map(Origin::Url),
            "text" if media.is_empty() => fields.need("data", node::text).map(Origin::Plain),
            "content" if media.is_empty() => fields.need("content", |node| self.inner(node)).map(Origin::Parts),
            "file" => fields.need("file_id", node::filled).map(|_| Origin::Stored),
            other => Err(fields.unknown("type", other)),
        }
    }

    /// Text and images inside a document.
    fn inner(&mut self, node: Node<'_>) -> ReadResult<Vec<Part>> {
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
            if !matches!(kind.as_str(), "text" | "image") {
                return Err(fields.unknown("type", &kind));
            }
            self.shown(&kind, &mut fields, node, &mut parts)
        })?;
        Ok(parts)
    }
}

/// `{media_type, data}` as a data URL.
fn inline(fields: &mut Fields<'_>, media: &str) -> ReadResult<Text> {
    let kind = fields.need("media_type", |node| {
        let such = if media.is_empty() { "application/pdf" } else { "image/png" };
        let kind = media_type(&node.string()?).filter(|kind| kind.starts_with(media));
        kind.ok_or_else(|| node.bad(&format!("expected a media type such as '{such}'.")))
    })?;
    let data = fields.need("data", |node| {
        let data = node.filled()?;
        standard_base64(&data.plain()).map(Cow::into_owned).ok_or_else(|| node.bad("expected base64."))
    })?;
    Ok(Text::from_escaped(format!("data:{kind};base64,{data}").into()))
}

/// A file's name: some upstreams refuse inline files without one.
fn name(title: Option<Text>, url: &Text) -> Option<Text> {
    let inline = url.as_str().starts_with("data:");
    title.or_else(|| inline.then(|| Text::from("document.pdf")))
}
