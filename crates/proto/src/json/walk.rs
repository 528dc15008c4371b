//! Walks through values that are known to be valid. This code does not recurse or copy, and parses only the bytes on its way.

use std::ops::Range;

use bytes::Bytes;

use super::scan::{Body, Scan};
use crate::text::{Json, Text};

/// The type of a [`Json`] value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number in any spelling.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Json {
    /// The type of the value.
    pub fn shape(&self) -> Shape {
        match Scan::new(self.bytes()).next_token() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::String,
            Some(b't' | b'f') => Shape::Bool,
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.shape() == Shape::Null
    }

    /// The fields of an object in their order; none for other values.
    pub fn fields(&self) -> Fields {
        Fields { bytes: self.bytes().clone(), at: enter(self.bytes(), b'{') }
    }

    /// The elements of an array; none for other values.
    pub fn elements(&self) -> Elements {
        Elements { bytes: self.bytes().clone(), at: enter(self.bytes(), b'[') }
    }

    /// The last field called `name`, as most parsers read repeated names; `None` where that field is `null`.
    pub fn get(&self, name: &str) -> Option<Json> {
        let [value] = self.get_each([name]);
        value
    }

    /// [`Json::get`] of several names in one pass.
    pub fn get_each<const N: usize>(&self, names: [&str; N]) -> [Option<Json>; N] {
        let bytes = self.bytes();
        let mut found = [const { None }; N];
        let mut at = enter(bytes, b'{');
        // Only the requested values are cut out: each cut changes the buffer's reference count.
        while let Some(member) = at.and_then(|at| Member::read(bytes, at)) {
            if let Some(n) = names.iter().position(|name| member.is(bytes, name)) {
                found[n] = Some(member.value);
            }
            at = member.next;
        }
        found.map(|value| value.map(|value| Json::from_valid(bytes.slice(value))).filter(|value| !value.is_null()))
    }

    /// The field `name` when it is a string.
    pub fn text(&self, name: &str) -> Option<Text> {
        self.get(name)?.as_text()
    }

    /// The value when it is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.bytes().trim_ascii() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value when it is a whole number from 0 to 2^64 - 1; `7.0` and `7e0` count as whole.
    pub fn as_u64(&self) -> Option<u64> {
        let digits = self.as_str().trim_ascii();
        if let Ok(number) = digits.parse() {
            return Some(number);
        }
        let number: f64 = if self.shape() == Shape::Number { digits.parse().ok()? } else { return None };
        let whole = number.fract() == 0.0 && (0.0..9e15).contains(&number);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked in the line above")]
        whole.then_some(number as u64)
    }
}

/// Iterator over the fields of an object.
#[derive(Clone, Debug)]
pub struct Fields {
    bytes: Bytes,
    at: Option<usize>,
}

/// Iterator over the elements of an array.
#[derive(Clone, Debug)]
pub struct Elements {
    bytes: Bytes,
    at: Option<usize>,
}

impl Iterator for Fields {
    type Item = (Text, Json);

    fn next(&mut self) -> Option<Self::Item> {
        let member = Member::read(&self.bytes, self.at.take()?)?;
        self.at = member.next;
        Some((member.key(&self.bytes), Json::from_valid(self.bytes.slice(member.value))))
    }
}

impl Iterator for Elements {
    type Item = Json;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, next) = value(Scan::from(&self.bytes, self.at.take()?))?;
        self.at = next;
        Some(Json::from_valid(self.bytes.slice(value)))
    }
}

/// Whether `list` is an array of exactly these values: whether they were cut out of it, one after the other. Equal values from elsewhere do
/// not count. Reads none of the values.
pub(crate) fn is_list_of(list: &Json, values: &[Json]) -> bool {
    let bytes = list.bytes();
    let mut scan = Scan::new(bytes);
    let mut open = b'[';
    for value in values {
        if scan.expect(open).is_err() || scan.next_token().is_none() {
            return false;
        }
        let rest = &bytes[scan.at()..];
        if rest.as_ptr() != value.bytes().as_ptr() || rest.len() < value.bytes().len() {
            return false;
        }
        scan = Scan::from(bytes, scan.at() + value.bytes().len());
        open = b',';
    }
    (!values.is_empty() || scan.expect(open).is_ok()) && scan.expect(b']').is_ok()
}

/// Where the first member of a container begins; `None` when it is empty or something else.
fn enter(bytes: &[u8], opening: u8) -> Option<usize> {
    let mut scan = Scan::new(bytes);
    scan.expect(opening).ok()?;
    (!matches!(scan.next_token()?, b'}' | b']')).then(|| scan.at())
}

/// The position of an object's field.
struct Member {
    key: Body,
    value: Range<usize>,
    /// Where the next field begins.
    next: Option<usize>,
}

impl Member {
    /// Reads the field that begins at `at`.
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let mut scan = Scan::from(bytes, at);
        let key = scan.checked_string().ok()?;
        scan.expect(b':').ok()?;
        let (value, next) = value(scan)?;
        Some(Self { key, value, next })
    }

    fn key(&self, bytes: &Bytes) -> Text {
        Text::from_escaped(bytes.slice(self.key.start..self.key.end))
    }

    fn is(&self, bytes: &Bytes, name: &str) -> bool {
        if self.key.escaped {
            self.key(bytes).is(name)
        } else {
            bytes[self.key.start..self.key.end] == *name.as_bytes()
        }
    }
}

/// The range of the value that begins at `scan`, and the start of the next member.
fn value(mut scan: Scan<'_>) -> Option<(Range<usize>, Option<usize>)> {
    scan.next_token()?;
    let start = scan.at();
    scan.skip_checked()?;
    let end = scan.at();
    let next = scan.expect(b',').is_ok().then(|| scan.at());
    Some((start..end, next))
}
