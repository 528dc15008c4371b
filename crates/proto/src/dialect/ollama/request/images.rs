//! Images: bare base64, as in Ollama's API, or URLs.

use super::Scope;
use crate::canon::{Part, Source};
use crate::dialect::request_values::{begins, is_web};
use crate::json::node::{Node, ReadResult};
use crate::text::{Text, standard_base64};

/// Most images in one message.
const MAX_IMAGES: usize = 256;
/// The first base64 characters of each image type.
const MAGIC: [(&str, &str); 5] = [
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("Qk", "image/bmp"),
];

impl Scope {
    pub(super) fn images(&mut self, node: Node<'_>) -> ReadResult<Vec<Part>> {
        node.each(MAX_IMAGES, |node| self.image(node))
    }

    fn image(&mut self, node: Node<'_>) -> ReadResult<Part> {
        let text = node.filled()?;
        let plain = text.plain();
        let source = if is_url(&plain) { text.clone() } else { self.inline(node, &plain)? };
        Ok(Part::Image { source: Source::Url(source), detail: None })
    }

    /// Bare base64 as a data URL.
    fn inline(&mut self, node: Node<'_>, base64: &str) -> ReadResult<Text> {
        let base64 = standard_base64(base64)
            .ok_or_else(|| node.bad("expected base64, or an http, https or data URL of an image."))?;
        let kind = MAGIC.iter().find(|(magic, _)| base64.starts_with(magic)).map(|(_, kind)| *kind);
        if kind.is_none() {
            self.notes.add("guessed that an image is PNG");
        }
        let kind = kind.unwrap_or("image/png");
        Ok(Text::from_plain(&format!("data:{kind};base64,{base64}")))
    }
}

fn is_url(text: &str) -> bool {
    let data = begins(text, "data:image/") && text.split_once(";base64,").is_some_and(|(_, data)| !data.is_empty());
    data || is_web(text)
}
