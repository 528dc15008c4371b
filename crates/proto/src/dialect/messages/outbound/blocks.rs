//! Content blocks.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::NO_PAD};
use bytes::{BufMut, BytesMut};

use super::super::reasoning_state::Sealed;
use super::messages::Block;
use super::{id, refused};
use crate::canon::{CallKind, Part, Source};
use crate::dialect::request_values::is_web;
use crate::failure::Failure;
use crate::json;
use crate::json::emit::{self, ObjectWriter};
use crate::notes::Notes;
use crate::text::{self, Text, media_type, standard_base64};

/// Some encoders leave bits set after the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// Deepest nesting of arguments; the body around them adds a few levels.
const DEPTH: usize = 100;

/// Writes one block.
pub(super) fn write(out: &mut BytesMut, block: &Block<'_>, notes: &mut Notes) -> Result<(), Failure> {
    emit::object(out, |writer| match block {
        Block::Part(part) => one(writer, part),
        Block::Thought { summary, state } => {
            thought(writer, summary, state);
            Ok(())
        }
        Block::Call { kind, id: call_id, name, input } => {
            writer.string("type", "tool_use");
            writer.text("id", &id(call_id));
            writer.text("name", name);
            arguments(writer.key("input"), *kind, input, notes);
            Ok(())
        }
        Block::Result { id: call_id, parts, failed } => {
            writer.string("type", "tool_result");
            writer.text("tool_use_id", &id(call_id));
            if *failed {
                writer.literal("is_error", "true");
            }
            result(writer, parts)
        }
    })
}

fn thought(writer: &mut ObjectWriter<'_>, summary: &[Text], state: &Sealed) {
    match state {
        Sealed::Redacted(data) => {
            writer.string("type", "redacted_thinking");
            writer.text("data", data);
        }
        Sealed::Signature(signature) => {
            writer.string("type", "thinking");
            let out = writer.key("thinking");
            out.put_u8(b'"');
            for (at, paragraph) in summary.iter().enumerate() {
                out.put_slice(if at > 0 { b"\\n\\n" } else { b"" });
                out.put_slice(paragraph.escaped());
            }
            out.put_u8(b'"');
            writer.text("signature", signature);
        }
    }
}

/// The input of a call, which is an object in this dialect; the text of a custom tool becomes the object's only member.
fn arguments(out: &mut BytesMut, kind: CallKind, input: &Text, notes: &mut Notes) {
    let plain = input.plain();
    if kind == CallKind::Function {
        if plain.trim().is_empty() {
            return out.put_slice(b"{}");
        }
        // Arguments are a string in other protocols and a part of the body in this one, so they must pass the checks on bodies.
        if json::check(plain.as_bytes()).is_ok() && depth(plain.as_bytes()) <= DEPTH {
            return out.put_slice(plain.as_bytes());
        }
        notes.add("wrapped arguments that are no JSON object");
    }
    emit::object(out, |writer| writer.text("input", input));
}

/// The nesting depth of a valid value.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut open, mut text, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => open += 1,
            b'}' | b']' if !text => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

fn result(writer: &mut ObjectWriter<'_>, parts: &[Part]) -> Result<(), Failure> {
    let shown: Vec<&Part> = parts.iter().filter(|part| !part.is_empty()).collect();
    match shown[..] {
        [] => {}
        [Part::Text { text, .. }] => writer.text("content", text),
        _ => return writer.try_array("content", shown, |out, part| emit::object(out, |writer| one(writer, part))),
    }
    Ok(())
}

fn one(writer: &mut ObjectWriter<'_>, part: &Part) -> Result<(), Failure> {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) => {
            writer.string("type", "text");
            writer.text("text", text);
        }
        Part::Image { source: Source::Url(url), .. } => {
            writer.string("type", "image");
            match inline(url) {
                Some((media, data)) if media.starts_with("image/") => base64_source(writer, &media, &data),
                None if is_web(&url.plain()) => url_source(writer, url),
                _ => return Err(refused("an image by such a URL")),
            }
        }
        Part::Image { source: Source::Id(_), .. } => return Err(refused("an image by file id")),
        Part::File { source: Source::Url(url), name } => document(writer, url, name.as_ref())?,
        Part::File { source: Source::Id(_), .. } => return Err(refused("a file by id")),
        // One of this dialect's own blocks; blocks of other dialects were refused before.
        Part::Other(json) => json.fields().for_each(|(key, value)| writer.member(&key, &value)),
    }
    Ok(())
}

fn document(writer: &mut ObjectWriter<'_>, url: &Text, name: Option<&Text>) -> Result<(), Failure> {
    writer.string("type", "document");
    match inline(url) {
        None if is_web(&url.plain()) => url_source(writer, url),
        None => return Err(refused("a file by such a URL")),
        Some((media, data)) if media == "application/pdf" => base64_source(writer, &media, &data),
        Some((media, data)) => {
            let readable = media.starts_with("text/") || media == "application/json";
            let bytes = decode(&data.plain()).filter(|_| readable);
            let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
                return Err(refused("a file that is neither PDF nor text"));
            };
            writer.object("source", |writer| {
                writer.string("type", "text");
                writer.string("media_type", "text/plain");
                writer.string("data", &text);
            });
        }
    }
    writer.optional_text("title", name);
    Ok(())
}

fn base64_source(writer: &mut ObjectWriter<'_>, media: &str, data: &Text) {
    writer.object("source", |writer| {
        writer.string("type", "base64");
        writer.string("media_type", media);
        writer.text("data", data);
    });
}

fn url_source(writer: &mut ObjectWriter<'_>, url: &Text) {
    writer.object("source", |writer| {
        writer.string("type", "url");
        writer.text("url", url);
    });
}

/// Media type and base64 of a data URL.
fn inline(url: &Text) -> Option<(String, Text)> {
    let plain = url.plain();
    let (head, data) = plain.split_once(";base64,").filter(|(_, data)| !data.is_empty())?;
    let media = media_type(head.strip_prefix("data:")?)?;
    let data = match standard_base64(data)? {
        Cow::Borrowed(same) => Text::from_escaped(text::slice_of(url.escaped(), same.as_bytes())),
        Cow::Owned(other) => Text::from_plain(&other),
    };
    Some((media, data))
}

/// The bytes of base64; `None` if the text is not base64. Reads both alphabets, padding and line breaks.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| !b"\r\n=".contains(byte)).map(standard).collect();
    BASE64.decode(digits).ok()
}
