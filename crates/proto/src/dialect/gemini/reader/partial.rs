//! Arguments that arrive in pieces, each with the JSON path of its value (`$.days[0].name`).

use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// Maximum depth of a path.
const DEPTH: usize = 64;

/// The arguments so far.
#[derive(Debug, Default)]
pub(super) struct Partial {
    root: Option<Value>,
}

#[derive(Debug)]
enum Value {
    Object(Vec<(Text, Value)>),
    Array(Vec<Value>),
    /// Escaped text; more may follow.
    String(Vec<u8>),
    Leaf(Json),
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Field(Text),
    Index(usize),
}

impl Partial {
    /// Adds the elements of `partialArgs`.
    pub(super) fn add(&mut self, pieces: &Json) {
        for piece in pieces.elements() {
            let path = piece.text("jsonPath").and_then(|path| steps(&path.plain()));
            let Some(path) = path else { continue };
            let root = self.root.get_or_insert_with(|| Value::Object(Vec::new()));
            let Some(target) = find(root, &path) else { continue };
            set(target, &piece);
        }
    }

    /// The arguments as a JSON object.
    pub(super) fn json(&self) -> Json {
        let Some(root) = &self.root else { return emit::json(|_| {}) };
        let mut out = bytes::BytesMut::new();
        write(&mut out, root);
        Json::from_valid(out.freeze())
    }

    /// Whether no piece has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }
}

fn set(target: &mut Value, piece: &Json) {
    if let Some(text) = piece.text("stringValue") {
        match target {
            Value::String(so_far) => so_far.extend_from_slice(text.escaped()),
            _ => *target = Value::String(text.escaped().to_vec()),
        }
        return;
    }
    let value = piece.get("numberValue").or_else(|| piece.get("boolValue"));
    let null = || Json::from_valid(bytes::Bytes::from_static(b"null"));
    *target = Value::Leaf(value.unwrap_or_else(null));
}

/// The value at a path; missing values on the way are created.
fn find<'v>(root: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    let mut at = root;
    for step in path {
        at = match step {
            Step::Field(name) => {
                if !matches!(at, Value::Object(_)) {
                    *at = Value::Object(Vec::new());
                }
                let Value::Object(members) = at else { return None };
                let known = members.iter().position(|(key, _)| key == name);
                let index = known.unwrap_or_else(|| {
                    members.push((name.clone(), empty()));
                    members.len() - 1
                });
                &mut members[index].1
            }
            Step::Index(index) => {
                if !matches!(at, Value::Array(_)) {
                    *at = Value::Array(Vec::new());
                }
                let Value::Array(elements) = at else { return None };
                // A list only grows at its end: an arbitrary index must not cost memory.
                if elements.len() == *index {
                    elements.push(empty());
                }
                elements.get_mut(*index)?
            }
        };
    }
    Some(at)
}

fn empty() -> Value {
    Value::Leaf(Json::from_valid(bytes::Bytes::from_static(b"null")))
}

/// Splits `$.a.b[0]['c d']` into steps.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if steps.len() == DEPTH {
            return None;
        }
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            steps.push(Step::Field(Text::from_plain(&after[..end])));
            rest = &after[end..];
            continue;
        }
        let inside = rest.strip_prefix('[')?;
        let quoted = inside.strip_prefix(['\'', '"']);
        if let Some(name) = quoted {
            let end = name.find(&['\'', '"'][..])?;
            steps.push(Step::Field(Text::from_plain(&name[..end])));
            rest = name[end + 1..].strip_prefix(']')?;
        } else {
            let end = inside.find(']')?;
            steps.push(Step::Index(inside[..end].parse().ok()?));
            rest = &inside[end + 1..];
        }
    }
    (!steps.is_empty()).then_some(steps)
}

fn write(out: &mut bytes::BytesMut, value: &Value) {
    match value {
        Value::Leaf(json) => out.extend_from_slice(json.bytes()),
        Value::String(text) => {
            out.extend_from_slice(b"\"");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\"");
        }
        Value::Array(elements) => emit::array(out, elements, write),
        Value::Object(members) => {
            emit::object(out, |writer| members.iter().for_each(|(key, value)| member(writer, key, value)));
        }
    }
}

fn member(writer: &mut ObjectWriter<'_>, key: &Text, value: &Value) {
    let mut out = bytes::BytesMut::new();
    write(&mut out, value);
    writer.member(key, &Json::from_valid(out.freeze()));
}
