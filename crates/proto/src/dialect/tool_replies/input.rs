//! Extracts the text of a free-text tool from the arguments of the function that replaces it, `{"input":"..."}`, while they stream.

use std::fmt::Write as _;

use bytes::Bytes;

use crate::json;
use crate::text::{Json, Text};

/// The position in the arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Before the text.
    #[default]
    Before,
    Inside,
    After,
}

/// Reads the arguments piece by piece. The text stays escaped, since it is the content of a JSON string already.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    stage: Stage,
    /// Bytes that cannot be interpreted before more arrive.
    held: String,
}

impl Input {
    /// Reads a piece of the arguments; returns the text that it adds.
    pub(super) fn feed(&mut self, piece: &str) -> Text {
        self.held.push_str(piece);
        if self.stage == Stage::Before
            && let Some(rest) = begin(&self.held)
        {
            self.held = rest.to_owned();
            self.stage = Stage::Inside;
        }
        let mut out = String::new();
        if self.stage == Stage::Inside {
            let read = self.inside(&mut out);
            self.held.drain(..read);
        }
        Text::from_escaped(Bytes::from(out))
    }

    /// Whether the text has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.stage != Stage::Before
    }

    /// Copies the text up to its end, or up to an incomplete escape; returns how many bytes were read.
    fn inside(&mut self, out: &mut String) -> usize {
        let mut at = 0;
        while let Some(c) = self.held[at..].chars().next() {
            match c {
                '"' => {
                    self.stage = Stage::After;
                    return self.held.len();
                }
                '\\' => match escape(&self.held[at..]) {
                    Escape::Cut => return at,
                    Escape::Whole(len) => {
                        out.push_str(&self.held[at..at + len]);
                        at += len;
                    }
                    Escape::Lone => {
                        out.push_str("\\ufffd");
                        at += 6;
                    }
                    Escape::Wrong => {
                        out.push_str("\\\\");
                        at += 1;
                    }
                },
                c if c < ' ' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                    at += 1;
                }
                c => {
                    out.push(c);
                    at += c.len_utf8();
                }
            }
        }
        at
    }
}

/// The text in complete arguments; the arguments themselves if they are not a single text.
pub(super) fn whole(arguments: &Text) -> Text {
    let plain = arguments.plain();
    let mut input = Input::default();
    let text = input.feed(&plain);
    if input.has_begun() {
        return text;
    }
    if !json::valid(plain.as_bytes()) {
        return arguments.clone();
    }
    let object = Json::from_valid(Bytes::copy_from_slice(plain.as_bytes()));
    if plain.trim() == "{}" { Text::default() } else { object.text("input").unwrap_or_else(|| arguments.clone()) }
}

/// The rest after `{"input":"`.
fn begin(text: &str) -> Option<&str> {
    let after = |text: &'_ str, part: &str| -> Option<usize> {
        let rest = text.trim_start();
        rest.starts_with(part).then(|| text.len() - rest.len() + part.len())
    };
    let mut rest = text;
    for part in ["{", "\"input\"", ":", "\""] {
        rest = &rest[after(rest, part)?..];
    }
    Some(rest)
}

/// The result of reading an escape.
enum Escape {
    /// Incomplete; more bytes are needed.
    Cut,
    /// A valid escape of this many bytes.
    Whole(usize),
    /// Half of a surrogate pair.
    Lone,
    /// Not a JSON escape.
    Wrong,
}

fn escape(text: &str) -> Escape {
    match text.as_bytes().get(1) {
        None => Escape::Cut,
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::Whole(2),
        Some(b'u') => unit(text),
        Some(_) => Escape::Wrong,
    }
}

/// `\uXXXX`, or a pair of them.
fn unit(text: &str) -> Escape {
    let unit = |at: usize| {
        let digits = text.get(at + 2..at + 6).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    match unit(0) {
        None if text.len() < 6 => Escape::Cut,
        None => Escape::Wrong,
        Some(0xdc00..=0xdfff) => Escape::Lone,
        Some(0xd800..=0xdbff) => {
            let next = &text.as_bytes()[6..];
            match unit(6).filter(|_| next.starts_with(b"\\u")) {
                Some(0xdc00..=0xdfff) => Escape::Whole(12),
                None if next.len() < 6 && b"\\u".starts_with(&next[..next.len().min(2)]) => Escape::Cut,
                _ => Escape::Lone,
            }
        }
        Some(_) => Escape::Whole(6),
    }
}
