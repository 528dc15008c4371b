//! Fingerprints of items: of their bytes, and of what they say however they are written.

use std::hash::{DefaultHasher, Hasher};

use crate::text::{Json, Text};

/// A fingerprint: 128 bits, so that two different items never look alike by chance.
pub(super) type Print = [u64; 2];

/// Of bytes as they are.
pub(super) fn exact(bytes: &[u8]) -> Print {
    let mut pen = Pen::default();
    pen.bytes(bytes);
    pen.print()
}

/// An item of a reply, as a client may send it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said {
    print: Print,
    /// Whether a client may leave it out: the other end keeps it.
    pub(super) optional: bool,
}

impl Said {
    /// What an item says. Its id, status, annotations and the like are not compared: clients of other protocols lose them.
    pub(super) fn of(item: &Json) -> Self {
        let kind = item.text("type").map_or_else(|| "message".to_owned(), |kind| kind.plain().into_owned());
        let mut pen = Pen::default();
        pen.bytes(kind.as_bytes());
        let optional = match kind.as_str() {
            "message" => {
                pen.text(item.text("role").as_ref());
                parts(item, &mut pen);
                false
            }
            "function_call" | "custom_tool_call" => {
                pen.text(item.text("call_id").as_ref());
                pen.text(item.text("name").as_ref());
                match item.text("arguments") {
                    Some(arguments) => pen.compact(&arguments),
                    None => pen.text(item.text("input").as_ref()),
                }
                false
            }
            "reasoning" => {
                pen.text(item.text("encrypted_content").as_ref());
                true
            }
            "web_search_call" => {
                pen.text(item.text("id").as_ref());
                true
            }
            _ => {
                pen.bytes(item.bytes());
                false
            }
        };
        Self { print: pen.print(), optional }
    }

    /// Whether both say the same.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

fn parts(item: &Json, pen: &mut Pen) {
    let Some(content) = item.get("content") else { return };
    if let Some(text) = content.as_text() {
        return pen.text(Some(&text));
    }
    for part in content.elements() {
        match part.text("text").or_else(|| part.text("refusal")) {
            Some(text) => pen.text(Some(&text)),
            None => pen.bytes(part.bytes()),
        }
    }
}

/// Writes a fingerprint; each piece carries its length, so that no two lists of pieces look alike.
struct Pen([DefaultHasher; 2]);

impl Default for Pen {
    fn default() -> Self {
        let mut second = DefaultHasher::new();
        second.write_u8(1);
        Self([DefaultHasher::new(), second])
    }
}

impl Pen {
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

    /// JSON in a text, whatever its whitespace: clients that read arguments write them anew.
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

    fn print(&self) -> Print {
        [self.0[0].finish(), self.0[1].finish()]
    }
}
