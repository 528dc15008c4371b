//! Message content: a string or an array of parts.

use super::Scope;
use crate::canon::{Part, Source};
use crate::dialect::request_values::{begins, is_web, web_url};
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::{Text, standard_base64};

/// The kinds of parts that a role may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Text only.
    Text,
    /// Text and refusals.
    Assistant,
    /// Text, images and files.
    Everything,
}

impl Scope {
    /// A string or an array of parts.
    pub(super) fn content(&mut self, node: Node<'_>, allowed: Allowed) -> ReadResult<Vec<Part>> {
        if node.is(Shape::String) {
            return Ok(vec![Part::from(node.text()?)]);
        }
        if !node.is(Shape::Array) {
            return Err(node.wrong("a string or an array of parts"));
        }
        node.each(usize::MAX, |node| self.part(node, allowed))
    }

    fn part(&mut self, node: Node<'_>, allowed: Allowed) -> ReadResult<Part> {
        let mut fields = node.object()?;
        let kind = fields.need("type", node::string)?;
        let part = self.typed(&kind, &mut fields)?;
        let fits = match part {
            Part::Text { .. } => true,
            Part::Refusal(_) => allowed != Allowed::Text,
            _ => allowed == Allowed::Everything,
        };
        if !fits {
            return Err(fields.unknown("type", &kind));
        }
        self.notes.unread("messages.content", fields);
        Ok(part)
    }

    fn typed(&mut self, kind: &str, fields: &mut Fields<'_>) -> ReadResult<Part> {
        match kind {
            "text" | "input_text" | "output_text" => {
                // Replayed replies have these fields; the gateway cannot send them back.
                fields.take("annotations");
                fields.take("logprobs");
                Ok(Part::from(fields.need("text", node::text)?))
            }
            "refusal" => fields.need("refusal", node::text).map(Part::Refusal),
            "image_url" => {
                let detail = fields.read("detail", node::text)?;
                fields.need("image_url", |node| self.image(node, detail))
            }
            "input_image" => self.input_image(fields),
            "file" => fields.need("file", |node| {
                let mut fields = node.object()?;
                let file = self.file(&mut fields)?;
                self.notes.unread("messages.content.file", fields);
                Ok(file)
            }),
            "input_file" => self.file(fields),
            "input_audio" | "audio" => {
                Err(fields.unsupported("type", "audio input is not supported; send a transcript as text."))
            }
            other => Err(fields.unknown("type", other)),
        }
    }

    /// `{url, detail}`, or the bare URL.
    fn image(&mut self, node: Node<'_>, detail: Option<Text>) -> ReadResult<Part> {
        if node.is(Shape::String) {
            return Ok(Part::Image { source: Source::Url(image_url(node)?), detail });
        }
        let mut fields = node.object()?;
        let url = fields.need("url", image_url)?;
        let detail = fields.read("detail", node::text)?.or(detail);
        self.notes.unread("messages.content.image_url", fields);
        Ok(Part::Image { source: Source::Url(url), detail })
    }

    /// The responses form: `image_url` as a string, or `file_id`.
    fn input_image(&mut self, fields: &mut Fields<'_>) -> ReadResult<Part> {
        let detail = fields.read("detail", node::text)?;
        let id = fields.read("file_id", node::filled)?;
        match (fields.read("image_url", |node| self.image(node, detail.clone()))?, id) {
            (Some(image), _) => Ok(image),
            (None, Some(id)) => Ok(Part::Image { source: Source::Id(id), detail }),
            (None, None) => Err(fields.missing("image_url")),
        }
    }

    /// `file_data`, `file_id` or `file_url`, and `filename`.
    fn file(&mut self, fields: &mut Fields<'_>) -> ReadResult<Part> {
        let name = fields.read("filename", node::text)?;
        let data = fields.read("file_data", |node| self.file_data(node, name.as_ref()))?;
        let url = fields.read("file_url", web_url)?;
        let id = fields.read("file_id", node::filled)?;
        let source = data.or(url).map(Source::Url).or(id.map(Source::Id));
        let source = source.ok_or_else(|| fields.missing("file_data"))?;
        Ok(Part::File { source, name })
    }

    /// A data URL, or bare base64, which becomes a data URL by the file's extension.
    fn file_data(&mut self, node: Node<'_>, name: Option<&Text>) -> ReadResult<Text> {
        let data = node.filled()?;
        let plain = data.plain();
        if begins(&plain, "data:") {
            return base64_url(node, &plain, "data:").map(|()| data.clone());
        }
        let base64 = standard_base64(&plain).ok_or_else(|| node.bad("expected a data URL or base64."))?;
        self.notes.add("guessed a file type by its name");
        let name = name.map(|name| name.plain().to_ascii_lowercase()).unwrap_or_default();
        Ok(Text::from_plain(&format!("data:{};base64,{base64}", media_type(&name))))
    }
}

/// An image for the model: inline or fetched by the upstream, never by the gateway.
fn image_url(node: Node<'_>) -> ReadResult<Text> {
    let url = node.filled()?;
    let plain = url.plain();
    if begins(&plain, "data:") {
        base64_url(node, &plain, "data:image/")?;
    } else if !is_web(&plain) {
        return Err(node.bad("expected an http, https or base64 data URL."));
    }
    Ok(url)
}

fn base64_url(node: Node<'_>, plain: &str, prefix: &str) -> ReadResult<()> {
    let parts = plain.split_once(',').filter(|(head, data)| head.ends_with(";base64") && !data.is_empty());
    if parts.is_some() && begins(plain, prefix) {
        return Ok(());
    }
    Err(node.bad(&format!("expected a data URL of the form '{prefix}...;base64,...' with some data.")))
}

fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    match extension {
        Some("txt" | "log") => "text/plain",
        Some("md") => "text/markdown",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("html" | "htm") => "text/html",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("pptx") => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        _ => "application/pdf",
    }
}
