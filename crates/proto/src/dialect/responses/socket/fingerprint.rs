//! Fingerprints of items: of their exact bytes, and of their content regardless of its encoding.

use std::hash::{DefaultHasher, Hasher};

use crate::text::{Json, Text};

/// A fingerprint: 128 bits, so that two different items never collide by chance.
pub(super) type Fingerprint = [u64; 2];

/// The fingerprint of the exact bytes.
pub(super) fn exact(bytes: &[u8]) -> Fingerprint {
    let mut writer = FingerprintHasher::default();
    writer.bytes(bytes);
    writer.finish()
}

/// An item of a reply, as a client may send it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ItemFingerprint {
    fingerprint: Fingerprint,
    /// Whether a client may leave the item out, because the other end keeps it.
    pub(super) optional: bool,
}

impl ItemFingerprint {
    /// The fingerprint of an item's content. It excludes id, status, annotations and the like: clients of other protocols lose them.
    pub(super) fn of(item: &Json) -> Self {
        let kind = item.text("type").map_or_else(|| "message".to_owned(), |kind| kind.plain().into_owned());
        let mut writer = FingerprintHasher::default();
        writer.bytes(kind.as_bytes());
        let optional = match kind.as_str() {
            "message" => {
                writer.text(item.text("role").as_ref());
                parts(item, &mut writer);
                false
            }
            "function_call" | "custom_tool_call" => {
                writer.text(item.text("call_id").as_ref());
                writer.text(item.text("name").as_ref());
                match item.text("arguments") {
                    Some(arguments) => writer.compact(&arguments),
                    None => writer.text(item.text("input").as_ref()),
                }
                false
            }
            "reasoning" => {
                writer.text(item.text("encrypted_content").as_ref());
                true
            }
            "web_search_call" => {
                writer.text(item.text("id").as_ref());
                true
            }
            _ => {
                writer.bytes(item.bytes());
                false
            }
        };
        Self { fingerprint: writer.finish(), optional }
    }

    /// Whether both items have the same content.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

fn parts(item: &Json, writer: &mut FingerprintHasher) {
    let Some(content) = item.get("content") else { return };
    if let Some(text) = content.as_text() {
        return writer.text(Some(&text));
    }
    for part in content.elements() {
        match part.text("text").or_else(|| part.text("refusal")) {
            Some(text) => writer.text(Some(&text)),
            None => writer.bytes(part.bytes()),
        }
    }
}

/// Writes a fingerprint; each piece is hashed with its length, so that different lists of pieces differ.
struct FingerprintHasher([DefaultHasher; 2]);

impl Default for FingerprintHasher {
    fn default() -> Self {
        let mut second = DefaultHasher::new();
        second.write_u8(1);
        Self([DefaultHasher::new(), second])
    }
}

impl FingerprintHasher {
    fn bytes(&mut self, bytes: &[u8]) {
        for hasher in &mut self.0 {
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        }
    }

    fn text(&mut self, text: Option<&Text>) {
        match text {
            Some(text) => self.bytes(text.plain().as_bytes()),
            None => self.bytes(b"\0none"),
        }
    }

    /// Hashes JSON in a text without its whitespace: clients that parse arguments serialise them again.
    fn compact(&mut self, text: &Text) {
        let plain = text.plain();
        let mut string = false;
        let mut escaped = false;
        let keep = |c: &char| {
            let inside = string;
            string = if *c == '"' && !escaped { !string } else { string };
            escaped = inside && *c == '\\' && !escaped;
            inside || !c.is_ascii_whitespace()
        };
        let compact: String = plain.chars().filter(keep).collect();
        self.bytes(compact.as_bytes());
    }

    fn finish(&self) -> Fingerprint {
        [self.0[0].finish(), self.0[1].finish()]
    }
}
