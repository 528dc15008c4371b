//! The text of one answer, piece by piece. It is JSON inside a JSON string, and stays escaped all the way: a quote of the inner
//! text is `\"` here.

use bytes::{BufMut, BytesMut};

use crate::canon::Folded;
use crate::json::schema::{ELEMENT, ROOT};
use crate::text::Text;

/// One text in progress.
#[derive(Debug)]
pub(super) struct Turn {
    /// What is open, innermost last.
    stack: Vec<Open>,
    place: Place,
    /// An object's beginning whose first name is not known yet, as it came.
    held: BytesMut,
    /// The first name so far, where it is plain.
    name: String,
    /// Whether the answer, which has not begun, is to be a bare word instead of a JSON string.
    bare: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Object,
    Array,
    /// An object that is a tuple.
    Tuple,
    /// The object around the answer.
    Root,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between values.
    Plain,
    /// In a string; whether a backslash came before.
    String(bool),
    /// In the string that is the whole answer, which goes out without its quotes.
    Word(bool),
    /// In the digits of an escape in that string; how many are to come.
    Code(u8),
    /// After the `{` of an object.
    Begin,
    /// In the first name of an object.
    First(bool),
    /// Before a name of ours that goes, and in it.
    Drop { inside: bool },
    /// After the answer's own end.
    Over,
}

impl Turn {
    pub(super) fn new(folded: Folded) -> Self {
        Self {
            stack: Vec::new(),
            place: Place::Plain,
            held: BytesMut::new(),
            name: String::new(),
            bare: folded == Folded::Bare,
        }
    }

    /// The next piece, turned back as far as that can be told.
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
        match self.place {
            Place::Plain => self.plain(unit, char, out),
            Place::String(escape) => {
                out.put_slice(unit);
                self.place = match (escape, char) {
                    (false, b'"') => Place::Plain,
                    (false, b'\\') => Place::String(true),
                    _ => Place::String(false),
                };
            }
            Place::Word(escape) => self.word(escape, unit, char, out),
            Place::Code(left) => self.code(left, unit, out),
            Place::Begin => self.begin(unit, char, out),
            Place::First(escape) => self.first(escape, unit, char, out),
            Place::Drop { inside } => {
                self.place = match char {
                    b'"' => Place::Drop { inside: !inside },
                    b':' if !inside => Place::Plain,
                    _ => self.place,
                };
            }
            Place::Over => {}
        }
    }

    fn plain(&mut self, unit: &[u8], char: u8, out: &mut BytesMut) {
        let inner = self.stack.last().copied();
        match char {
            b'{' => {
                self.held.clear();
                self.name.clear();
                self.held.put_slice(unit);
                self.place = Place::Begin;
                return;
            }
            b'[' => self.stack.push(Open::Array),
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' if std::mem::take(&mut self.bare) => {
                self.place = Place::Word(false);
                return;
            }
            b'"' => self.place = Place::String(false),
            b',' if inner == Some(Open::Tuple) => self.place = Place::Drop { inside: false },
            b'}' if inner == Some(Open::Tuple) => {
                self.stack.pop();
                return out.put_u8(b']');
            }
            // Nothing but the end can follow the answer.
            b',' | b'}' if inner == Some(Open::Root) => {
                self.place = Place::Over;
                return;
            }
            b']' | b'}' => drop(self.stack.pop()),
            _ => self.bare = false,
        }
        out.put_slice(unit);
    }

    /// In the digits of a `\uXXXX`, which must not be cut.
    fn code(&mut self, left: u8, unit: &[u8], out: &mut BytesMut) {
        self.held.put_slice(unit);
        self.place = Place::Code(left - 1);
        if left == 1 {
            out.put_slice(&self.held);
            self.place = Place::Word(false);
        }
    }

    /// After a `{`.
    fn begin(&mut self, unit: &[u8], char: u8, out: &mut BytesMut) {
        self.held.put_slice(unit);
        match char {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => self.place = Place::First(false),
            b'}' => {
                out.put_slice(&self.held);
                self.place = Place::Plain;
            }
            _ => self.as_object(Place::Plain, out),
        }
    }

    /// In the first name of an object.
    fn first(&mut self, escape: bool, unit: &[u8], char: u8, out: &mut BytesMut) {
        self.held.put_slice(unit);
        match (escape, char) {
            (false, b'"') => {}
            (false, b'\\') => return self.as_object(Place::String(true), out),
            _ => {
                self.name.push(char::from(char));
                let ours =
                    ROOT.starts_with(&self.name) || self.name.starts_with(ELEMENT) || ELEMENT.starts_with(&self.name);
                if !ours || self.name.len() > ROOT.len() {
                    self.as_object(Place::String(false), out);
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
            return self.as_object(Place::Plain, out);
        }
        self.place = Place::Drop { inside: false };
    }

    /// The object is the client's own.
    fn as_object(&mut self, place: Place, out: &mut BytesMut) {
        out.put_slice(&self.held);
        self.stack.push(Open::Object);
        self.place = place;
    }

    /// In the string that is the answer: its escapes are the outer string's now.
    fn word(&mut self, escape: bool, unit: &[u8], char: u8, out: &mut BytesMut) {
        match (escape, char) {
            (false, b'"') => {
                self.place = Place::Over;
                return;
            }
            (false, b'\\') => {
                self.place = Place::Word(true);
                return;
            }
            (true, b'u') => {
                self.held.clear();
                self.held.put_slice(b"\\u");
                self.place = Place::Code(4);
                return;
            }
            (true, b'n' | b't' | b'r' | b'b' | b'f') => {
                out.put_u8(b'\\');
                out.put_slice(unit);
            }
            _ => out.put_slice(unit),
        }
        self.place = Place::Word(false);
    }
}

/// The first character of an escaped text: its bytes as they came, and what it is when it is ASCII. Other characters come byte by
/// byte and are 0x80.
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
