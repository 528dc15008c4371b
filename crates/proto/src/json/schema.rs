//! JSON schemas of tools and of structured output: the only module that knows the upstreams' requirements for them.
//!
//! There are three forms. *JSON Schema* is the form of the canonical model, as the client wrote it. *Strict* is the form that OpenAI's
//! upstreams apply to their output ([`strict()`]); *permissive* is the form with the few properties that they require of every other schema
//! ([`parameters`], [`permissive()`]). *Gemini's own dialect* is read by [`from_gemini`] and written by [`to_gemini`]. A schema that needs
//! no change keeps its bytes.

mod google;
mod keywords;
mod permissive;
mod refs;
mod strict;
mod tree;

#[cfg(test)]
mod tests;

use self::tree::Tree;
use super::node::{Node, ReadResult};
use super::scan::Scan;
use super::{Path, Shape};
use crate::text::Json;
pub(crate) use strict::{ELEMENT, Form, ROOT};

/// Most values in one schema.
const MOST: usize = 50_000;

/// Reads a schema of a request: an object of at most 50,000 values.
pub(crate) fn read(node: Node<'_>) -> ReadResult<Json> {
    let json = node.shaped(Shape::Object, "an object")?;
    if size(&json) > MOST {
        return Err(node.bad(&format!("a schema of more than {MOST} values is not supported.")));
    }
    Ok(json)
}

/// About how many values a schema holds.
fn size(json: &Json) -> usize {
    let mut scan = Scan::new(json.bytes());
    let mut count = 1;
    while let Some(byte) = scan.next_token() {
        match byte {
            b'"' => drop(scan.string(false)),
            b',' | b'{' | b'[' => {
                count += 1;
                scan.bump();
            }
            _ => scan.bump(),
        }
    }
    count
}

/// The schema for an upstream that applies it to its output. Errors: the feature that has no strict form.
pub(crate) fn strict(schema: &Json, form: Form) -> Result<Json, &'static str> {
    let before = Tree::of(schema);
    let mut after = before.clone();
    strict::make(&mut after, form)?;
    Ok(if after == before { schema.clone() } else { after.json() })
}

/// Whether the module `envelope` must convert replies to [`Form::Envelope`] back.
pub(crate) fn needs_envelope(schema: &Json) -> bool {
    strict::needs_envelope(&Tree::of(schema))
}

/// The schema for an upstream that does not enforce it, inside an object when it is not one itself and `form` requires that.
pub(crate) fn permissive(schema: &Json, form: Form) -> Json {
    let folds = form == Form::Envelope && needs_envelope(schema);
    if !folds && permissive::conforms(schema, false) {
        return schema.clone();
    }
    let mut tree = Tree::of(schema);
    if folds {
        strict::wrap_root(&mut tree);
    }
    permissive::fill(&mut tree);
    tree.json()
}

/// The schema with every object closed that names its properties without `additionalProperties`, as Anthropic's upstreams require of an
/// output format.
pub(crate) fn closed(schema: &Json) -> Json {
    let before = Tree::of(schema);
    let mut after = before.clone();
    permissive::close(&mut after);
    if after == before { schema.clone() } else { after.json() }
}

/// The schema of a function's arguments, which may be non-strict.
pub(crate) fn parameters(schema: &Json) -> Json {
    if permissive::conforms(schema, true) {
        return schema.clone();
    }
    let mut tree = Tree::of(schema);
    permissive::root(&mut tree);
    permissive::fill(&mut tree);
    tree.json()
}

/// Reads a schema in Gemini's dialect into JSON Schema. `path` is its path in the body. Errors: `Invalid` with the path of a value that no
/// schema allows.
pub(crate) fn from_gemini(schema: &Json, path: &Path<'_>) -> ReadResult<Json> {
    let mut tree = Tree::of(schema);
    google::read(&mut tree, path)?;
    Ok(tree.json())
}

/// Reads a value that should be JSON Schema. The router of gemini-cli (0.61.0, seen 2026-11-21) writes Gemini's types into it, which
/// Google's own servers accept; such a schema is read as one in Gemini's dialect. The upstream may refuse a schema in neither form.
pub(crate) fn from_plain(schema: Json, path: &Path<'_>) -> Json {
    let gemini = google::speaks(&Tree::of(&schema)).then(|| from_gemini(&schema, path).ok());
    gemini.flatten().unwrap_or(schema)
}

/// Writes JSON Schema in Gemini's dialect; `None` when the dialect cannot express it.
pub(crate) fn to_gemini(schema: &Json) -> Option<Json> {
    google::write(&Tree::of(schema)).map(|tree| tree.json())
}
