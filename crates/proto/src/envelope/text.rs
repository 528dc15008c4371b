//! Converts the text of one answer, piece by piece. The text is JSON inside a JSON string, and stays escaped throughout: a quote of the
//! inner text is `\"` here.

use bytes::{BufMut, BytesMut};

use crate::canon::SchemaEnvelope;
use crate::json::schema::{ELEMENT, ROOT};
use crate::text::Text;

/// One text in progress.
#[derive(Debug)]
pub(super) struct TextUnwrapper {
    /// Open containers, innermost last.
    stack: Vec<Open>,
    state: State,
    /// The beginning of an object whose first name is not known yet, as it came.
    held: BytesMut,
    /// The first name so far, where it has no escapes.
    name: String,
    /// Whether the answer, which has not begun, must become a bare word instead of a JSON string.
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Object,
    Array,
    /// An object that is a tuple.
    Tuple,
    /// The object around the whole answer.
    Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between values.
    Value,
    /// In a string; whether the previous character was a backslash.
    String(bool),
    /// In the string that is the whole answer, which is written without its quotes.
    BareString(bool),
    /// In the digits of an escape in that string; how many digits are missing.
    UnicodeEscape(u8),
    /// After the `{` of an object.
    ObjectStart,
    /// In the first name of an object.
    FirstName(bool),
    /// Before a name of the envelope, which is dropped, and inside that name.
    SkipName { inside: bool },
    /// After the end of the answer.
    End,
}

impl TextUnwrapper {
    pub(super) fn new(envelope: SchemaEnvelope) -> Self {
        Self {
            stack: Vec::new(),
            state: State::Value,
            held: BytesMut::new(),
            name: String::new(),
            bare: envelope == SchemaEnvelope::BareString,
        }
    }

    /// Converts the next piece, as far as its meaning is known.
    pub(super) fn feed(&mut self, piece: &Text) -> Text {
        let bytes = piece.escaped();
        let mut out = BytesMut::with_capacity(bytes.len());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (unit, char) = unit(rest);
            rest = &rest[unit.len()..];
            self.step(unit, char, &mut out);
        }
        Text::from_escaped(out.freeze())
    }

    fn step(&mut self, unit: &[u8], char: u8, out: &mut BytesMut) {
        match self.state {
            State::Value => self.value(unit, char, out),
            State::String(escape) => {
                out.put_slice(unit);
                self.state = match (escape, char) {
                    (false, b'"') => State::Value,
                    (false, b'\\') => State::String(true),
                    _ => State::String(false),
                };
            }
            State::BareString(escape) => self.bare_string(escape, unit, char, out),
            State::UnicodeEscape(left) => self.unicode_escape(left, unit, out),
            State::ObjectStart => self.object_start(unit, char, out),
            State::FirstName(escape) => self.first_name(escape, unit, char, out),
            State::SkipName { inside } => {
                self.state = match char {
                    b'"' => State::SkipName { inside: !inside },
                    b':' if !inside => State::Value,
                    _ => self.state,
                };
            }
            State::End => {}
        }
    }

    fn value(&mut self, unit: &[u8], char: u8, out: &mut BytesMut) {
        let inner = self.stack.last().copied();
        match char {
            b'{' => {
                self.held.clear();
                self.name.clear();
                self.held.put_slice(unit);
                self.state = State::ObjectStart;
                return;
            }
            b'[' => self.stack.push(Open::Array),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' if std::mem::take(&mut self.bare) => {
                self.state = State::BareString(false);
                return;
            }
            b'"' => self.state = State::String(false),
            b',' if inner == Some(Open::Tuple) => self.state = State::SkipName { inside: false },
            b'}' if inner == Some(Open::Tuple) => {
                self.stack.pop();
                return out.put_u8(b']');
            }
            // Only the end can follow the answer.
            b',' | b'}' if inner == Some(Open::Root) => {
                self.state = State::End;
                return;
            }
            b']' | b'}' => drop(self.stack.pop()),
            _ => self.bare = false,
        }
        out.put_slice(unit);
    }

    /// In the digits of a `\uXXXX` escape, which must stay in one piece.
    fn unicode_escape(&mut self, left: u8, unit: &[u8], out: &mut BytesMut) {
        self.held.put_slice(unit);
        self.state = State::UnicodeEscape(left - 1);
        if left == 1 {
            out.put_slice(&self.held);
            self.state = State::BareString(false);
        }
    }

    /// After a `{`.
    fn object_start(&mut self, unit: &[u8], char: u8, out: &mut BytesMut) {
        self.held.put_slice(unit);
        match char {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => self.state = State::FirstName(false),
            b'}' => {
                out.put_slice(&self.held);
                self.state = State::Value;
            }
            _ => self.as_object(State::Value, out),
        }
    }

    /// In the first name of an object.
    fn first_name(&mut self, escape: bool, unit: &[u8], char: u8, out: &mut BytesMut) {
        self.held.put_slice(unit);
        match (escape, char) {
            (false, b'"') => {}
            (false, b'\\') => return self.as_object(State::String(true), out),
            _ => {
                self.name.push(char::from(char));
                let ours =
                    ROOT.starts_with(&self.name) || self.name.starts_with(ELEMENT) || ELEMENT.starts_with(&self.name);
                if !ours || self.name.len() > ROOT.len() {
                    self.as_object(State::String(false), out);
                }
                return;
            }
        }
        let zero = self.name.strip_prefix(ELEMENT) == Some("0");
        if zero {
            self.stack.push(Open::Tuple);
            out.put_u8(b'[');
        } else if self.stack.is_empty() && self.name == ROOT {
            self.stack.push(Open::Root);
        } else {
            return self.as_object(State::Value, out);
        }
        self.state = State::SkipName { inside: false };
    }

    /// The object is the client's own.
    fn as_object(&mut self, state: State, out: &mut BytesMut) {
        out.put_slice(&self.held);
        self.stack.push(Open::Object);
        self.state = state;
    }

    /// In the string that is the whole answer: its escapes become those of the outer string.
    fn bare_string(&mut self, escape: bool, unit: &[u8], char: u8, out: &mut BytesMut) {
        match (escape, char) {
            (false, b'"') => {
                self.state = State::End;
                return;
            }
            (false, b'\\') => {
                self.state = State::BareString(true);
                return;
            }
            (true, b'u') => {
                self.held.clear();
                self.held.put_slice(b"\\u");
                self.state = State::UnicodeEscape(4);
                return;
            }
            (true, b'n' | b't' | b'r' | b'b' | b'f') => {
                out.put_u8(b'\\');
                out.put_slice(unit);
            }
            _ => out.put_slice(unit),
        }
        self.state = State::BareString(false);
    }
}

/// The first character of an escaped text: its bytes as they came, and its value when it is ASCII. Other characters come byte by byte with
/// the value 0x80.
fn unit(rest: &[u8]) -> (&[u8], u8) {
    let first = rest[0];
    if first != b'\\' {
        return (&rest[..1], if first.is_ascii() { first } else { 0x80 });
    }
    let Some(second) = rest.get(1).copied() else { return (rest, 0x80) };
    if second != b'u' {
        let char = match second {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' | b'f' => 0x80,
            other => other,
        };
        return (&rest[..2], char);
    }
    let length = rest.len().min(6);
    let digits = std::str::from_utf8(&rest[2..length]).ok();
    let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let char = code.and_then(|code| u8::try_from(code).ok()).filter(u8::is_ascii);
    (&rest[..length], char.unwrap_or(0x80))
}
