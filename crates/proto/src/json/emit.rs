//! Writes JSON straight into a buffer: keys are the gateway's own, values are slices that are already escaped.

use std::borrow::Borrow;
use std::io::Write;

use bytes::{BufMut, BytesMut};

use crate::text::{Json, Text};

/// Writes the members of one object.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut BytesMut,
    first: bool,
}

impl ObjectWriter<'_> {
    /// Writes a member name that needs no escapes and returns the buffer for its value.
    pub(crate) fn key(&mut self, key: &str) -> &mut BytesMut {
        self.comma();
        self.out.put_u8(b'"');
        self.out.put_slice(key.as_bytes());
        self.out.put_slice(b"\":");
        self.out
    }

    /// Writes a member as it is, its name still escaped.
    pub(crate) fn member(&mut self, key: &Text, value: &Json) {
        self.comma();
        quote(self.out, key);
        self.out.put_u8(b':');
        self.out.put_slice(value.bytes());
    }

    fn comma(&mut self) {
        if !self.first {
            self.out.put_u8(b',');
        }
        self.first = false;
    }

    /// A string that is already escaped.
    pub(crate) fn text(&mut self, key: &str, text: &Text) {
        quote(self.key(key), text);
    }

    /// A string that is already escaped, left out when there is none.
    pub(crate) fn optional_text(&mut self, key: &str, text: Option<&Text>) {
        self.optional(key, text, ObjectWriter::text);
    }

    /// A value that `write` writes, left out when there is none.
    pub(crate) fn optional<V>(&mut self, key: &str, value: Option<V>, write: impl FnOnce(&mut Self, &str, V)) {
        if let Some(value) = value {
            write(self, key, value);
        }
    }

    /// A value that `write` writes, or `null`.
    pub(crate) fn nullable<V>(&mut self, key: &str, value: Option<V>, write: impl FnOnce(&mut Self, &str, V)) {
        match value {
            Some(value) => write(self, key, value),
            None => self.literal(key, "null"),
        }
    }

    /// A string of bytes that are already escaped.
    pub(crate) fn escaped(&mut self, key: &str, bytes: &[u8]) {
        let out = self.key(key);
        out.put_u8(b'"');
        out.put_slice(bytes);
        out.put_u8(b'"');
    }

    /// A plain string, which is escaped here.
    pub(crate) fn string(&mut self, key: &str, plain: &str) {
        escape(self.key(key), plain);
    }

    /// A value as it is.
    pub(crate) fn json(&mut self, key: &str, json: &Json) {
        self.key(key).put_slice(json.bytes());
    }

    /// A JSON literal: `true`, `null`, `[]`.
    pub(crate) fn literal(&mut self, key: &str, word: &str) {
        self.key(key).put_slice(word.as_bytes());
    }

    /// A number.
    pub(crate) fn number(&mut self, key: &str, number: u64) {
        digits(self.key(key), number);
    }

    /// An object.
    pub(crate) fn object<T>(&mut self, key: &str, write: impl FnOnce(&mut ObjectWriter<'_>) -> T) -> T {
        object(self.key(key), write)
    }

    /// An array of values as they are.
    pub(crate) fn list<J: Borrow<Json>>(&mut self, key: &str, values: impl IntoIterator<Item = J>) {
        self.array(key, values, raw);
    }

    /// An array, one element for each of `items`.
    pub(crate) fn array<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut BytesMut, T),
    ) {
        array(self.key(key), items, write);
    }

    /// An array; an element may fail to have a JSON form. Errors: the first of these failures.
    pub(crate) fn try_array<T, E>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut BytesMut, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut written = Ok(());
        self.array(key, items, |out, item| {
            let one = write(out, item);
            if written.is_ok() {
                written = one;
            }
        });
        written
    }
}

/// Writes an object.
pub(crate) fn object<T>(out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>) -> T) -> T {
    out.put_u8(b'{');
    let value = write(&mut ObjectWriter { out, first: true });
    out.put_u8(b'}');
    value
}

/// Writes the members of an object whose braces are written elsewhere.
pub(crate) fn members(out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    write(&mut ObjectWriter { out, first: true });
}

/// An object as a value.
pub(crate) fn json(write: impl FnOnce(&mut ObjectWriter<'_>)) -> Json {
    let mut out = BytesMut::new();
    object(&mut out, write);
    Json::from_valid(out.freeze())
}

/// Writes a value as it is.
fn raw<J: Borrow<Json>>(out: &mut BytesMut, json: J) {
    out.put_slice(json.borrow().bytes());
}

/// Writes an array, one element for each of `items`.
pub(crate) fn array<T>(
    out: &mut BytesMut,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut BytesMut, T),
) {
    out.put_u8(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        write(out, item);
    }
    out.put_u8(b']');
}

/// An array of values as they are.
pub(crate) fn list<J: Borrow<Json>>(elements: impl IntoIterator<Item = J>) -> Json {
    let mut out = BytesMut::new();
    array(&mut out, elements, raw);
    Json::from_valid(out.freeze())
}

/// Writes an escaped text between quotes.
pub(crate) fn quote(out: &mut BytesMut, text: &Text) {
    out.put_u8(b'"');
    out.put_slice(text.escaped());
    out.put_u8(b'"');
}

/// Escapes a plain string and writes it between quotes.
pub(crate) fn escape(out: &mut BytesMut, plain: &str) {
    serde_json::to_writer(out.writer(), plain).expect("invariant: a string serialises into memory");
}

/// Writes a number.
pub(crate) fn digits(out: &mut BytesMut, number: u64) {
    write!(out.writer(), "{number}").expect("invariant: memory takes every write");
}
