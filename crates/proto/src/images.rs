//! Image requests in OpenAI's format (`/v1/images/generations`, `/v1/images/edits`), for a backend that supports few of their fields: the
//! gateway refuses a field that the backend would reject, and names it.
//!
//! Source: the official client 0.169.0 on the wire (November 2026) for generations, openai/codex's `codex-api/src/images.rs` for
//! edits.

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};

use crate::failure::Failure;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Path, Shape, emit};
use crate::text::{Json, Text};

/// The image model of accounts.
pub const MODEL: &str = "gpt-image-2";
/// Most images in one request.
const MOST: usize = 16;

/// Fields with their allowed values; the first value is the default.
const CHOICES: [(&str, &[&str]); 3] = [
    ("background", &["auto", "opaque", "transparent"]),
    ("quality", &["auto", "low", "medium", "high"]),
    ("size", &["auto", "1024x1024", "1536x1024", "1024x1536"]),
];
/// Fields that must have their default value.
const FIXED: [(&str, &str); 5] = [
    ("n", "1"),
    ("response_format", "b64_json"),
    ("output_format", "png"),
    ("moderation", "auto"),
    ("stream", "false"),
];
/// Fields that the backend rejects.
const REFUSED: [&str; 5] = ["mask", "input_fidelity", "style", "output_compression", "partial_images"];
/// Fields without influence on the image.
const IDLE: [&str; 2] = ["model", "user"];

/// A part of a multipart form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Its content.
    pub data: Bytes,
}

/// The backend's body for a new image. Errors: `Invalid` with the name of the field that is missing, wrong or rejected there.
pub fn generation(body: &Bytes) -> Result<Bytes, Failure> {
    write(body, false)
}

/// The backend's body for editing images. Errors: as [`generation`].
pub fn edit(body: &Bytes) -> Result<Bytes, Failure> {
    write(body, true)
}

/// As [`edit`], from a form: `image` and `image[]` are files, all other fields are text. Errors: as [`generation`]; also a file that is not
/// an image.
pub fn form(parts: &[Part]) -> Result<Bytes, Failure> {
    let (files, texts): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| is_file(&part.name));
    let pictures = files.into_iter().map(picture).collect::<ReadResult<Vec<Json>>>()?;
    let mut fields = Vec::with_capacity(texts.len());
    for part in texts {
        // A refused field may hold any bytes, such as a mask.
        let data = if REFUSED.contains(&part.name.as_str()) { b"" } else { &part.data[..] };
        let text = std::str::from_utf8(data).map_err(|_| bad(&part.name, "it is no text in UTF-8."))?;
        fields.push((Text::from_plain(&part.name), Json::of(text)));
    }
    let json = emit::json(|writer| {
        for (name, value) in &fields {
            writer.member(name, value);
        }
        writer.array("images", &pictures, |out, picture| out.extend_from_slice(picture.bytes()));
    });
    write(json.bytes(), true)
}

fn is_file(name: &str) -> bool {
    matches!(name, "image" | "image[]" | "images" | "images[]")
}

fn write(body: &Bytes, edits: bool) -> Result<Bytes, Failure> {
    crate::json::check(body)?;
    let json = Json::from_valid(body.clone());
    let mut fields = Node::new(&json, &Path::ROOT).object()?;
    let prompt = fields.need("prompt", node::filled)?;
    refuse(&mut fields)?;
    let chosen = choices(&mut fields)?;
    let pictures = if edits { fields.need("images", pictures)? } else { Vec::new() };
    let strange = |name: &Text, value: &Json| !value.is_null() && !IDLE.iter().any(|idle| name.is(idle));
    if let Some((name, _)) = fields.rest().find(|(name, value)| strange(name, value)) {
        return Err(Path::ROOT.field(&name.plain()).bad("it is not supported here.").code("unknown_parameter"));
    }
    let mut out =
        BytesMut::with_capacity(pictures.iter().map(|url: &Text| url.escaped().len() + 32).sum::<usize>() + 512);
    emit::object(&mut out, |writer| {
        if edits {
            writer.array("images", &pictures, |out, url| emit::object(out, |writer| writer.text("image_url", url)));
        }
        writer.text("prompt", &prompt);
        let [background, quality, size] = chosen;
        writer.string("background", background);
        writer.string("model", MODEL);
        writer.string("quality", quality);
        writer.string("size", size);
    });
    Ok(out.freeze())
}

fn refuse(fields: &mut Fields<'_>) -> ReadResult<()> {
    for name in REFUSED {
        if fields.has(name) {
            return Err(fields.unsupported(name, "accounts cannot honour it; a relay with images can."));
        }
    }
    for (name, only) in FIXED {
        let same = |value: &Json| match value.as_text() {
            Some(text) => text.is(only),
            None => value.as_str() == only,
        };
        if fields.take(name).is_some_and(|value| !same(&value)) {
            return Err(fields.unsupported(name, &format!("only {only} is supported for accounts.")));
        }
    }
    Ok(())
}

fn choices(fields: &mut Fields<'_>) -> ReadResult<[&'static str; 3]> {
    let mut chosen = [""; 3];
    for ((name, allowed), choice) in CHOICES.into_iter().zip(&mut chosen) {
        let read = |node: Node<'_>| {
            let value = node.string()?;
            let known = allowed.iter().find(|known| **known == value);
            known.copied().ok_or_else(|| node.bad(&format!("expected one of {}.", allowed.join(", "))))
        };
        *choice = fields.read(name, read)?.unwrap_or(allowed[0]);
    }
    Ok(chosen)
}

/// Images as data URLs: `[{"image_url": "data:image/png;base64,..."}]`.
fn pictures(node: Node<'_>) -> ReadResult<Vec<Text>> {
    let pictures = if node.is(Shape::Array) { node.each(MOST, url)? } else { vec![url(node)?] };
    if pictures.is_empty() { Err(node.bad("at least one picture is needed.")) } else { Ok(pictures) }
}

fn url(node: Node<'_>) -> ReadResult<Text> {
    let mut fields = node.object()?;
    fields.need("image_url", |node| {
        let url = node.filled()?;
        let data =
            url.escaped().starts_with(b"data:image/") && memchr::memmem::find(url.escaped(), b";base64,").is_some();
        if data { Ok(url) } else { Err(node.bad("expected a picture as a data URL in base64.")) }
    })
}

/// A file as an image.
fn picture(part: &Part) -> ReadResult<Json> {
    let kind = match &part.data[..] {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [0xff, 0xd8, 0xff, ..] => "jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        [b'G', b'I', b'F', b'8', ..] => "gif",
        _ => return Err(bad(&part.name, "expected a picture: PNG, JPEG, WebP or GIF.")),
    };
    let url = format!("data:image/{kind};base64,{}", STANDARD.encode(&part.data));
    Ok(emit::json(|writer| writer.string("image_url", &url)))
}

fn bad(name: &str, why: &str) -> Failure {
    Path::ROOT.field(name).bad(why)
}
