//! Gemini's own schema dialect: a part of OpenAPI's, with types in upper case, `nullable`, `propertyOrdering` and formats that name number
//! widths. Source: the `Schema` message of the Gemini API, v1beta, autumn 2026.

use std::collections::{HashMap, HashSet};

use super::keywords::{self, Under};
use super::tree::Tree;
use crate::json::node::ReadResult;
use crate::json::{Path, Shape};
use crate::text::{Json, Text};

/// The types, as Gemini spells them and as JSON Schema does.
const TYPES: [(&str, &str); 7] = [
    ("STRING", "string"),
    ("NUMBER", "number"),
    ("INTEGER", "integer"),
    ("BOOLEAN", "boolean"),
    ("ARRAY", "array"),
    ("OBJECT", "object"),
    ("NULL", "null"),
];

/// Keywords in the spelling of Gemini's other clients, and two of Vertex's.
const SPELLINGS: [(&str, &str); 12] = [
    ("any_of", "anyOf"),
    ("prefix_items", "prefixItems"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("property_ordering", "propertyOrdering"),
    ("additional_properties", "additionalProperties"),
    ("ref", "$ref"),
    ("defs", "$defs"),
];

/// Counts, which the JSON form of 64-bit integers puts between quotes.
const COUNTS: [&str; 6] = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// Formats without more information than the type.
const WIDTHS: [&str; 6] = ["enum", "int32", "int64", "float", "double", "unspecified"];

/// Keywords that Gemini's dialect has under the same name. All others need [`Tree`] to travel as JSON Schema.
const SHARED: [&str; 18] = [
    "type", "title", "description", "enum", "items", "minItems", "maxItems", "minLength", "maxLength", "pattern",
    "properties", "minProperties", "maxProperties", "required", "anyOf", "minimum", "maximum", "default",
];

/// Reads a schema in Gemini's dialect, or one that is JSON Schema already, into JSON Schema. Errors: `Invalid` with the path of a keyword
/// whose value no schema allows.
pub(super) fn read(schema: &mut Tree, path: &Path<'_>) -> ReadResult<()> {
    let Tree::Object(members) = schema else {
        return if matches!(schema, Tree::Leaf(json) if json.shape() == Shape::Bool) {
            Ok(())
        } else {
            Err(path.wrong("a schema", &schema.json()))
        };
    };
    for (key, _) in members.iter_mut() {
        if let Some((_, name)) = SPELLINGS.iter().find(|(other, _)| key.is(other)) {
            *key = Text::from_plain(name);
        }
    }
    point(schema);
    below(schema, path)?;
    types(schema, path)?;
    counts(schema);
    order(schema);
    nullable(schema);
    if let Some(example) = schema.take("example") {
        schema.set("examples", Tree::Array(vec![example]));
    }
    let format = schema.get("format").and_then(Tree::text);
    if format.is_some_and(|format| WIDTHS.contains(&format.plain().as_ref())) {
        schema.take("format");
    }
    Ok(())
}

/// Whether a type in the schema has Gemini's spelling.
pub(super) fn speaks(schema: &Tree) -> bool {
    TYPES.iter().any(|(upper, _)| keywords::is_type(schema, upper)) || keywords::children(schema).any(speaks)
}

/// Vertex points to `#/defs/...`, where JSON Schema has `$defs`.
fn point(schema: &mut Tree) {
    let pointer = schema.get("$ref").and_then(Tree::text);
    if let Some(name) = pointer.as_ref().and_then(|pointer| pointer.as_str().strip_prefix("#/defs/")) {
        let moved = Text::from_plain(&format!("#/$defs/{name}"));
        schema.set("$ref", Tree::Leaf(moved.quoted()));
    }
}

fn below(schema: &mut Tree, path: &Path<'_>) -> ReadResult<()> {
    let Tree::Object(members) = schema else { return Ok(()) };
    for (key, value) in members {
        let name = key.plain();
        let path = path.field(&name);
        match (keywords::under(key.escaped()), &mut *value) {
            (Under::Schema | Under::List, Tree::Array(elements)) => {
                for (at, element) in elements.iter_mut().enumerate() {
                    read(element, &path.index(at))?;
                }
            }
            (Under::Schema, value) => read(value, &path)?,
            (Under::Map, Tree::Object(members)) => {
                for (name, value) in members {
                    read(value, &path.field(&name.plain()))?;
                }
            }
            (Under::List, value) => return Err(path.wrong("an array of schemas", &value.json())),
            (Under::Map, value) => return Err(path.wrong("an object", &value.json())),
            (Under::Other, _) => {}
        }
    }
    Ok(())
}

fn types(schema: &mut Tree, path: &Path<'_>) -> ReadResult<()> {
    let path = path.field("type");
    let unspecified = |value: &Tree| value.text().is_some_and(|text| text.is("TYPE_UNSPECIFIED"));
    match schema.get_mut("type") {
        None => {}
        Some(Tree::Array(kinds)) => {
            for (at, kind) in kinds.iter_mut().enumerate() {
                *kind = lower(kind, &path.index(at))?;
            }
        }
        Some(kind) if unspecified(kind) => drop(schema.take("type")),
        Some(kind) => *kind = lower(kind, &path)?,
    }
    Ok(())
}

fn lower(kind: &Tree, path: &Path<'_>) -> ReadResult<Tree> {
    let Some(word) = kind.text() else { return Err(path.wrong("a string", &kind.json())) };
    let word = word.plain();
    let known = TYPES.iter().find(|(upper, _)| word.eq_ignore_ascii_case(upper));
    known.map(|(_, lower)| Tree::string(lower)).ok_or_else(|| path.bad("it is not a type of a schema."))
}

fn counts(schema: &mut Tree) {
    for name in COUNTS {
        let Some(value) = schema.get_mut(name) else { continue };
        if let Some(count) = value.text().and_then(|text| text.plain().parse::<u64>().ok()) {
            *value = Tree::Leaf(Json::of(&count));
        }
    }
}

/// Puts the properties into the order that the client wants them in.
fn order(schema: &mut Tree) {
    let Some(wanted) = schema.take("propertyOrdering") else { return };
    let wanted: Vec<Text> = wanted.elements().iter().filter_map(Tree::text).collect();
    let Some(Tree::Object(properties)) = schema.get_mut("properties") else { return };
    let positions: HashMap<&Text, usize> = wanted.iter().zip(0..).collect();
    properties.sort_by_key(|(name, _)| positions.get(name).copied().unwrap_or(usize::MAX));
}

/// `nullable: true` becomes one more type.
fn nullable(schema: &mut Tree) {
    if !schema.take("nullable").is_some_and(|value| value.is_literal("true")) {
        return;
    }
    let null = || Tree::string("null");
    if let Some(Tree::Array(values)) = schema.get_mut("enum")
        && !values.iter().any(|value| value.is_literal("null"))
    {
        values.push(Tree::literal("null"));
    }
    match schema.get_mut("type") {
        Some(Tree::Array(kinds)) => {
            if !kinds.contains(&null()) {
                kinds.push(null());
            }
        }
        Some(kind) => *kind = Tree::Array(vec![kind.clone(), null()]),
        None => {
            let null = Tree::object([("type", null())]);
            if let Some(Tree::Array(choices)) = schema.get_mut("anyOf") {
                choices.push(null);
            } else if schema.has("$ref") {
                let inner = std::mem::replace(schema, Tree::object([]));
                *schema = keywords::any_of(vec![inner, null]);
            }
        }
    }
}

/// Writes JSON Schema in Gemini's dialect; `None` when the dialect cannot express it.
pub(super) fn write(schema: &Tree) -> Option<Tree> {
    let mut out = Vec::new();
    let mut names = None;
    for (key, value) in schema.members() {
        let name = key.plain();
        match name.as_ref() {
            "$schema" | "$id" | "$comment" => {}
            "additionalProperties" if value.is_literal("false") => {}
            "type" => kinds(value, &mut out)?,
            "const" => out.push((Text::from_plain("enum"), Tree::Array(vec![Tree::Leaf(value.text()?.quoted())]))),
            "enum" if value.elements().iter().all(|value| value.text().is_some_and(|text| !text.is_empty())) => {
                out.push((key.clone(), value.clone()));
            }
            "format" if value.text().is_some_and(|format| format.is("date-time")) => {
                out.push((key.clone(), value.clone()));
            }
            "items" => out.push((key.clone(), write(object(value)?)?)),
            "anyOf" => {
                let choices: Option<Vec<Tree>> = value.elements().iter().map(|choice| write(object(choice)?)).collect();
                out.push((key.clone(), Tree::Array(choices?)));
            }
            "properties" => {
                let written = value.members().iter().map(|(name, value)| Some((name.clone(), write(object(value)?)?)));
                out.push((key.clone(), Tree::Object(written.collect::<Option<Vec<_>>>()?)));
                names = Some(Tree::strings(value.members().iter().map(|(name, _)| name)));
            }
            "enum" => return None,
            shared if SHARED.contains(&shared) => out.push((key.clone(), value.clone())),
            _ => return None,
        }
    }
    let has = |out: &[(Text, Tree)], name: &str| out.iter().any(|(key, _)| key.is(name));
    // Gemini accepts values to choose from for strings only, and the schema has no others here.
    if has(&out, "enum") && !has(&out, "type") {
        out.insert(0, (Text::from_plain("type"), Tree::string("STRING")));
    }
    // Without `propertyOrdering` the order of the answer is undefined.
    if let Some(names) = names.filter(|names| names.elements().len() > 1) {
        out.push((Text::from_plain("propertyOrdering"), names));
    }
    let out = Tree::Object(out);
    is_accepted(&out).then_some(out)
}

/// Whether a schema passes Gemini's checks: a type where there is no choice, `items` for every array and no other type, properties
/// for every object and no other type, and every required property defined.
fn is_accepted(schema: &Tree) -> bool {
    let is = |kind: &str| keywords::is_type(schema, kind);
    let properties = schema.get("properties").map(Tree::members).unwrap_or_default();
    let names: HashSet<&Text> = properties.iter().map(|(name, _)| name).collect();
    let required = schema.get("required").map(Tree::elements).unwrap_or_default();
    (schema.has("type") || schema.has("anyOf"))
        && is("ARRAY") == schema.has("items")
        && is("OBJECT") != names.is_empty()
        && required.iter().all(|name| name.text().is_some_and(|name| names.contains(&name)))
}

/// The schema itself; `None` for `true` and `false`.
fn object(schema: &Tree) -> Option<&Tree> {
    matches!(schema, Tree::Object(_)).then_some(schema)
}

/// `type` in upper case, and `nullable` for a second type of null.
fn kinds(value: &Tree, out: &mut Vec<(Text, Tree)>) -> Option<()> {
    let all = match value {
        Tree::Array(kinds) => kinds.iter().map(Tree::text).collect::<Option<Vec<_>>>()?,
        kind => vec![kind.text()?],
    };
    let null = all.len() > 1 && all.iter().any(|kind| kind.is("null"));
    let mut named = all.iter().filter(|kind| !(null && kind.is("null")));
    let (first, None) = (named.next()?, named.next()) else { return None };
    let (upper, _) = TYPES.iter().find(|(_, lower)| first.is(lower))?;
    out.push((Text::from_plain("type"), Tree::string(upper)));
    if null {
        out.push((Text::from_plain("nullable"), Tree::literal("true")));
    }
    Some(())
}
