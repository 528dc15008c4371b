//! Reads a request body one object at a time: each value stays raw until its own reader parses it, and fields that no reader took are left
//! over to be noted.

use super::path::Path;
use super::walk::Shape;
use crate::failure::Failure;
use crate::text::{Json, Text};

/// The result of a reader of one value; the failure names the value's path.
pub(crate) type ReadResult<T> = Result<T, Failure>;

/// One value of the body and its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'n> {
    json: &'n Json,
    path: &'n Path<'n>,
}

impl<'n> Node<'n> {
    /// The value `json` at `path`.
    pub(crate) fn new(json: &'n Json, path: &'n Path<'n>) -> Self {
        Self { json, path }
    }

    /// The fields of an object.
    pub(crate) fn object(self) -> ReadResult<Fields<'n>> {
        self.expect(Shape::Object, "an object")?;
        Ok(Fields { path: self.path, list: self.json.fields().collect() })
    }

    /// Reads each element of an array of at most `most` elements.
    pub(crate) fn each<T>(self, most: usize, mut read: impl FnMut(Node<'_>) -> ReadResult<T>) -> ReadResult<Vec<T>> {
        self.expect(Shape::Array, "an array")?;
        let element = |(at, json)| {
            if at >= most {
                return Err(self.bad(&format!("at most {most} elements are supported.")));
            }
            read(Node::new(&json, &self.path.index(at)))
        };
        self.json.elements().enumerate().map(element).collect()
    }

    /// The path of the value.
    pub(crate) fn path(self) -> &'n Path<'n> {
        self.path
    }

    /// Whether the value has this shape.
    pub(crate) fn is(self, shape: Shape) -> bool {
        self.json.shape() == shape
    }

    /// A string, still escaped.
    pub(crate) fn text(self) -> ReadResult<Text> {
        self.json.as_text().ok_or_else(|| self.path.wrong("a string", self.json))
    }

    /// A string that is not empty.
    pub(crate) fn filled(self) -> ReadResult<Text> {
        let text = self.text()?;
        if text.is_empty() { Err(self.bad("it must not be empty.")) } else { Ok(text) }
    }

    /// A short string, unescaped.
    pub(crate) fn string(self) -> ReadResult<String> {
        self.text().map(|text| text.plain().into_owned())
    }

    /// A boolean.
    pub(crate) fn boolean(self) -> ReadResult<bool> {
        self.json.as_bool().ok_or_else(|| self.path.wrong("a boolean", self.json))
    }

    /// An integer of at least 1.
    pub(crate) fn positive(self) -> ReadResult<u64> {
        self.expect(Shape::Number, "an integer")?;
        let number = self.json.as_u64().filter(|number| *number >= 1);
        number.ok_or_else(|| self.bad("expected an integer of at least 1."))
    }

    /// The value as it came.
    pub(crate) fn json(self) -> Json {
        self.json.clone()
    }

    /// The value as it came, which must have this shape.
    pub(crate) fn shaped(self, shape: Shape, name: &str) -> ReadResult<Json> {
        self.expect(shape, name)?;
        Ok(self.json())
    }

    /// A failure: the gateway cannot serve this value; `why` is a whole sentence.
    pub(crate) fn bad(self, why: &str) -> Failure {
        self.path.bad(why)
    }

    /// A failure: the value has another shape than `expected`.
    pub(crate) fn wrong(self, expected: &str) -> Failure {
        self.path.wrong(expected, self.json)
    }

    /// A failure: the client asks for something that the gateway cannot deliver; `what` is a whole sentence.
    pub(crate) fn unsupported(self, what: &str) -> Failure {
        self.path.bad(what).code("unsupported_value")
    }

    fn expect(self, shape: Shape, name: &str) -> ReadResult<()> {
        if self.is(shape) { Ok(()) } else { Err(self.path.wrong(name, self.json)) }
    }
}

/// [`Node::text`] as a reader of a field.
pub(crate) fn text(node: Node<'_>) -> ReadResult<Text> {
    node.text()
}

/// [`Node::filled`] as a reader of a field.
pub(crate) fn filled(node: Node<'_>) -> ReadResult<Text> {
    node.filled()
}

/// [`Node::string`] as a reader of a field.
pub(crate) fn string(node: Node<'_>) -> ReadResult<String> {
    node.string()
}

/// [`Node::boolean`] as a reader of a field.
pub(crate) fn boolean(node: Node<'_>) -> ReadResult<bool> {
    node.boolean()
}

/// [`Node::positive`] as a reader of a field.
pub(crate) fn positive(node: Node<'_>) -> ReadResult<u64> {
    node.positive()
}

/// The fields of one object that no reader took yet, in their order. Of a repeated name the last field counts, as in [`Json::get`] and for
/// most parsers: the gateway must check the value that an upstream reads. Taking a field takes its repeats too.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    path: &'n Path<'n>,
    list: Vec<(Text, Json)>,
}

impl Fields<'_> {
    /// Takes the field `name` out; `None` when it is missing or null.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        let found = self.list.extract_if(.., |(key, _)| key.is(name)).last();
        found.map(|(_, json)| json).filter(|json| !json.is_null())
    }

    /// Takes the field `name` out and reads it; `None` when it is missing or null.
    pub(crate) fn read<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Node<'_>) -> ReadResult<T>,
    ) -> ReadResult<Option<T>> {
        let Some(json) = self.take(name) else { return Ok(None) };
        read(Node::new(&json, &self.path.field(name))).map(Some)
    }

    /// Takes out and reads the field whose name is `camel`, in that spelling or in snake case; `None` when it is missing or null. Failures
    /// name the field in the request's spelling.
    pub(crate) fn either<T>(
        &mut self,
        camel: &str,
        read: impl FnOnce(Node<'_>) -> ReadResult<T>,
    ) -> ReadResult<Option<T>> {
        let spelled = |(key, json): &mut (Text, Json)| spells(key.escaped(), camel) && !json.is_null();
        let Some((key, json)) = self.list.extract_if(.., spelled).last() else { return Ok(None) };
        read(Node::new(&json, &self.path.field(&key.plain()))).map(Some)
    }

    /// Takes the field `name` out and reads it.
    pub(crate) fn need<T>(&mut self, name: &str, read: impl FnOnce(Node<'_>) -> ReadResult<T>) -> ReadResult<T> {
        self.read(name, read)?.ok_or_else(|| self.missing(name))
    }

    /// Whether the field `name` is there and not null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The field `name`, without taking it out; `None` when it is missing or null.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.list.iter().rev().find(|(key, _)| key.is(name)).map(|(_, json)| json).filter(|json| !json.is_null())
    }

    /// A failure: the field `name` must be there.
    pub(crate) fn missing(&self, name: &str) -> Failure {
        self.path.field(name).missing()
    }

    /// A failure: the field `name` has the unknown value `value`.
    pub(crate) fn unknown(&self, name: &str, value: &str) -> Failure {
        let short: String = value.chars().filter(|c| !c.is_control()).take(40).collect();
        self.path.field(name).bad(&format!("'{short}' is not supported here."))
    }

    /// A failure: the field `name` asks for something that the gateway cannot deliver; `what` is a whole sentence.
    pub(crate) fn unsupported(&self, name: &str, what: &str) -> Failure {
        self.path.field(name).bad(what).code("unsupported_value")
    }

    /// The fields that no reader took, nulls included.
    pub(crate) fn rest(self) -> impl Iterator<Item = (Text, Json)> {
        self.list.into_iter()
    }
}

/// Whether `key` is `camel`, or the same in snake case.
fn spells(key: &[u8], camel: &str) -> bool {
    let mut key = key.iter();
    let same = camel.bytes().all(|wanted| match key.next() {
        Some(b'_') if wanted.is_ascii_uppercase() => key.next() == Some(&wanted.to_ascii_lowercase()),
        byte => byte == Some(&wanted),
    });
    same && key.next().is_none()
}
