//! The check of every body from outside, before any other code reads it.

use std::borrow::Cow;

use super::scan::{Body, Scan, Snag};
use crate::failure::{Failure, Kind};

/// Deepest nesting that is read; one level more is refused.
pub const MAX_DEPTH: u32 = 128;
/// Most values (containers included) in one body.
pub const MAX_NODES: u32 = 1_000_000;

/// Top-level fields that must not be repeated: two readers of such a body could see two different requests.
const SINGLE: [&str; 6] = ["model", "stream", "tools", "previous_response_id", "messages", "input"];

/// Checks that `body` is one JSON object in valid UTF-8, no deeper than [`MAX_DEPTH`], no larger than [`MAX_NODES`], without lone
/// surrogates, and names none of its security-relevant top-level fields twice. Errors: `Invalid`, with the offset of the offending byte
/// or the name of the repeated field.
pub fn check(body: &[u8]) -> Result<(), Failure> {
    if let Err(error) = std::str::from_utf8(body) {
        return Err(malformed(&format!("it is not valid UTF-8 at byte {}", error.valid_up_to())));
    }
    let mut scan = Scan::new(body);
    if scan.next_token().is_some_and(|byte| byte != b'{') {
        return Err(malformed("it must be a JSON object"));
    }
    let mut checker = Checker { bytes: body, scan, depth: 0, objects: 0, nodes: 0, seen: 0, strict: true };
    checker.document().map_err(|trouble| checker.explain(&trouble))
}

/// Whether `bytes` are one valid JSON value within the same limits; lone surrogates are allowed, because upstreams split pairs across
/// deltas.
pub fn valid(bytes: &[u8]) -> bool {
    let scan = Scan::new(bytes);
    let mut checker = Checker { bytes, scan, depth: 0, objects: 0, nodes: 0, seen: u8::MAX, strict: false };
    std::str::from_utf8(bytes).is_ok() && checker.document().is_ok()
}

struct Checker<'a> {
    bytes: &'a [u8],
    scan: Scan<'a>,
    depth: u32,
    /// One bit per level, the innermost lowest: whether the container is an object.
    objects: u128,
    nodes: u32,
    /// One bit for each field of [`SINGLE`] that was seen; all bits set when repeats are allowed.
    seen: u8,
    strict: bool,
}

enum Trouble {
    Snag(Snag),
    Depth,
    Nodes,
    Twice(usize),
    Trailing,
}

impl From<Snag> for Trouble {
    fn from(snag: Snag) -> Self {
        Self::Snag(snag)
    }
}

impl Checker<'_> {
    fn document(&mut self) -> Result<(), Trouble> {
        loop {
            self.value()?;
            if !self.more()? {
                break;
            }
        }
        match self.scan.next_token() {
            None => Ok(()),
            Some(_) => Err(Trouble::Trailing),
        }
    }

    /// Reads opening brackets up to and including a scalar or an empty container.
    fn value(&mut self) -> Result<(), Trouble> {
        loop {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(Trouble::Nodes);
            }
            match self.scan.next_token().ok_or(Snag::End)? {
                b'"' => {
                    self.scan.string(self.strict)?;
                    return Ok(());
                }
                b'{' => {
                    self.open(true)?;
                    if self.scan.next_token() == Some(b'}') {
                        return Ok(());
                    }
                    self.key()?;
                }
                b'[' => {
                    self.open(false)?;
                    if self.scan.next_token() == Some(b']') {
                        return Ok(());
                    }
                }
                _ => return Ok(self.scan.scalar()?),
            }
        }
    }

    fn open(&mut self, object: bool) -> Result<(), Trouble> {
        if self.depth == MAX_DEPTH {
            return Err(Trouble::Depth);
        }
        self.scan.bump();
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        Ok(())
    }

    /// Reads closing brackets and one comma with its key; `false` at the end of the document.
    fn more(&mut self) -> Result<bool, Trouble> {
        while self.depth > 0 {
            let object = self.objects & 1 == 1;
            match self.scan.next_token().ok_or(Snag::End)? {
                b',' => {
                    self.scan.bump();
                    if object {
                        self.key()?;
                    }
                    return Ok(true);
                }
                byte if byte == if object { b'}' } else { b']' } => {
                    self.scan.bump();
                    self.depth -= 1;
                    self.objects >>= 1;
                }
                _ => return Err(Snag::Byte.into()),
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<(), Trouble> {
        let name = self.scan.string(self.strict)?;
        self.scan.expect(b':')?;
        if self.depth == 1 && self.seen != u8::MAX { self.once(name) } else { Ok(()) }
    }

    fn once(&mut self, name: Body) -> Result<(), Trouble> {
        let raw = &self.bytes[name.start..name.end];
        let plain = if name.escaped { unescaped(self.bytes, name) } else { Cow::Borrowed(raw) };
        let Some(index) = SINGLE.iter().position(|single| single.as_bytes() == &*plain) else { return Ok(()) };
        if self.seen & (1 << index) != 0 {
            return Err(Trouble::Twice(index));
        }
        self.seen |= 1 << index;
        Ok(())
    }

    fn explain(&self, trouble: &Trouble) -> Failure {
        let at = self.scan.at();
        match *trouble {
            Trouble::Snag(Snag::End) => malformed("it ends too early"),
            Trouble::Snag(Snag::Byte) => malformed(&format!("unexpected character at byte {at}")),
            Trouble::Snag(Snag::Control) => malformed(&format!("raw control character in a string at byte {at}")),
            Trouble::Snag(Snag::Escape) => malformed(&format!("unknown escape in a string before byte {at}")),
            Trouble::Snag(Snag::Surrogate) => malformed(&format!("lone surrogate in a string before byte {at}")),
            Trouble::Depth => malformed(&format!("it is nested deeper than {MAX_DEPTH} levels")),
            Trouble::Nodes => malformed(&format!("it holds more than {MAX_NODES} values")),
            Trouble::Trailing => malformed(&format!("there is something after its end at byte {at}")),
            Trouble::Twice(index) => {
                let name = SINGLE[index];
                malformed(&format!("the field '{name}' appears twice")).at(name)
            }
        }
    }
}

fn unescaped(bytes: &[u8], name: Body) -> Cow<'_, [u8]> {
    let quoted = &bytes[name.start - 1..=name.end];
    serde_json::from_slice::<String>(quoted).map_or(Cow::Borrowed(&bytes[..0]), |plain| Cow::Owned(plain.into_bytes()))
}

fn malformed(why: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("The request body is not valid JSON: {why}.")).code("invalid_json")
}
