//! The data of one part: text, inline bytes or a file's URL.

use std::borrow::Cow;

use super::Scope;
use crate::canon::{Part, Source};
use crate::dialect::request_values::{is_at_google, is_web};
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::{Text, media_type, standard_base64};

/// Parts that only Gemini's own tools make.
const GOOGLES: [&str; 5] = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse", "videoMetadata"];

impl Scope {
    /// The data of a part; `None` when it has none that another protocol could carry.
    pub(super) fn part(&mut self, fields: &mut Fields<'_>) -> ReadResult<Option<Part>> {
        let text = fields.either("text", node::text)?;
        let inline = fields.either("inlineData", |node| self.inline(node))?;
        let file = fields.either("fileData", |node| self.file(node))?;
        for name in GOOGLES {
            fields.either(name, |node| {
                node.shaped(Shape::Object, "an object")?;
                self.keep(&format!("contents.parts.{name}"), node.json());
                Ok(())
            })?;
        }
        let text = text.map(Part::from);
        Ok(text.or(inline).or(file))
    }

    fn inline(&mut self, node: Node<'_>) -> ReadResult<Part> {
        let mut fields = node.object()?;
        let kind = fields.either("mimeType", mime)?.ok_or_else(|| fields.missing("mimeType"))?;
        let data = fields.either("data", base64)?.ok_or_else(|| fields.missing("data"))?;
        let name = fields.either("displayName", node::text)?;
        self.leftover("contents.parts.inlineData", fields);
        let source = Source::Url(Text::from_plain(&format!("data:{kind};base64,{data}")));
        Ok(part(&kind, source, name))
    }

    fn file(&mut self, node: Node<'_>) -> ReadResult<Part> {
        let mut fields = node.object()?;
        let kind = fields.either("mimeType", mime)?.unwrap_or_default();
        let uri = fields.either("fileUri", uri)?.ok_or_else(|| fields.missing("fileUri"))?;
        let name = fields.either("displayName", node::text)?;
        self.leftover("contents.parts.fileData", fields);
        let web = uri.escaped().starts_with(b"http");
        Ok(part(&kind, if web { Source::Url(uri) } else { Source::Id(uri) }, name))
    }
}

fn part(kind: &str, source: Source, name: Option<Text>) -> Part {
    if kind.starts_with("image/") { Part::Image { source, detail: None } } else { Part::File { source, name } }
}

fn mime(node: Node<'_>) -> ReadResult<String> {
    media_type(&node.string()?).ok_or_else(|| node.bad("expected a media type such as 'image/png'."))
}

fn base64(node: Node<'_>) -> ReadResult<String> {
    let text = node.filled()?;
    standard_base64(&text.plain()).map(Cow::into_owned).ok_or_else(|| node.bad("expected base64."))
}

/// The URL of a file, on the web or at Google. The gateway never fetches it.
fn uri(node: Node<'_>) -> ReadResult<Text> {
    let uri = node.filled()?;
    let plain = uri.plain();
    if (is_web(&plain) || is_at_google(&plain)) && !plain.bytes().any(|b| b <= b' ') {
        return Ok(uri.clone());
    }
    Err(node.bad("expected an http, https or gs URL."))
}
