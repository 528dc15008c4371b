//! The requirements of every OpenAI upstream for a schema, strict or not: objects name their properties, arrays their items, and the
//! arguments of a function are an object.

use std::collections::HashSet;

use super::keywords::{self, Under};
use super::tree::{Tree, closes};
use crate::json::scan::Scan;
use crate::text::{Json, Text};

/// Whether the schema needs no change. Reads each byte once and allocates nothing, because every tool of every request passes here.
pub(super) fn conforms(schema: &Json, root: bool) -> bool {
    let mut scan = Scan::new(schema.bytes());
    check(&mut scan, root).is_some()
}

/// The keywords and types that one schema has, one bit each.
type TypeSet = u8;

const OBJECT: TypeSet = 1;
const PROPERTIES: TypeSet = 2;
const ARRAY: TypeSet = 4;
const ITEMS: TypeSet = 8;
/// A keyword that the root of a function's arguments must not have.
const CHOICE: TypeSet = 16;

fn check(scan: &mut Scan<'_>, root: bool) -> Option<()> {
    if scan.next_token()? != b'{' {
        return scan.skip_checked();
    }
    scan.bump();
    let mut seen = 0;
    while !closes(scan, b'}')? {
        let key = scan.string(false).ok()?;
        let key = scan.part(key.start, key.end);
        scan.expect(b':').ok()?;
        member(scan, key, &mut seen)?;
    }
    let has = |bits: TypeSet| seen & bits != 0;
    let shaped = (!has(OBJECT) || has(PROPERTIES)) && (!has(ARRAY) || has(ITEMS));
    let rooted = !root || (has(OBJECT) && !has(ARRAY | CHOICE));
    (shaped && rooted).then_some(())
}

fn member(scan: &mut Scan<'_>, key: &[u8], seen: &mut TypeSet) -> Option<()> {
    let next = scan.next_token()?;
    match key {
        b"prefixItems" => return None,
        b"items" if next == b'[' => return None,
        b"items" => *seen |= ITEMS,
        b"properties" if next == b'{' => *seen |= PROPERTIES,
        b"anyOf" | b"oneOf" | b"allOf" | b"not" | b"enum" | b"$ref" => *seen |= CHOICE,
        b"type" => {
            let start = scan.at();
            scan.skip_checked()?;
            let value = scan.part(start, scan.at());
            let names = |kind: &[u8]| memchr::memmem::find(value, kind).is_some();
            // A list of types is not allowed at the root.
            for (bit, named) in [(OBJECT, names(b"\"object\"")), (ARRAY, names(b"\"array\"")), (CHOICE, next == b'[')] {
                *seen |= if named { bit } else { 0 };
            }
            return Some(());
        }
        _ => {}
    }
    match (keywords::under(key), next) {
        (Under::Schema, b'{') => check(scan, false),
        (Under::List | Under::Schema, b'[') => list(scan),
        (Under::Map, b'{') => map(scan),
        _ => scan.skip_checked(),
    }
}

fn list(scan: &mut Scan<'_>) -> Option<()> {
    scan.bump();
    while !closes(scan, b']')? {
        check(scan, false)?;
    }
    Some(())
}

fn map(scan: &mut Scan<'_>) -> Option<()> {
    scan.bump();
    while !closes(scan, b'}')? {
        scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        check(scan, false)?;
    }
    Some(())
}

/// Fills in missing keywords, here and below.
pub(super) fn fill(schema: &mut Tree) {
    if !matches!(schema, Tree::Object(_)) {
        return;
    }
    if keywords::is_tuple(schema) {
        keywords::flatten(schema);
    }
    if keywords::is_type(schema, "object") && !matches!(schema.get("properties"), Some(Tree::Object(_))) {
        schema.set("properties", Tree::object([]));
    }
    if keywords::is_type(schema, "array") && !schema.has("items") {
        schema.set("items", Tree::object([]));
    }
    keywords::each(schema, fill);
}

/// Closes every object that names its properties and does not state whether others are allowed.
pub(super) fn close(schema: &mut Tree) {
    let object = keywords::is_type(schema, "object") || !schema.has("type");
    let named = matches!(schema.get("properties"), Some(Tree::Object(_)));
    if object && named && !schema.has("additionalProperties") {
        schema.set("additionalProperties", Tree::literal("false"));
    }
    keywords::each(schema, close);
}

/// Makes the root the schema of an object. Alternatives become one object with the properties of all of them; properties that all
/// alternatives require stay required.
pub(super) fn root(schema: &mut Tree) {
    super::refs::expand_root(schema);
    for word in ["allOf", "anyOf", "oneOf"] {
        let Some(Tree::Array(parts)) = schema.take(word) else { continue };
        merge(schema, &parts, word == "allOf");
    }
    schema.take("not");
    schema.take("enum");
    schema.set("type", Tree::string("object"));
    for word in ["items", "prefixItems"] {
        schema.take(word);
    }
}

fn merge(schema: &mut Tree, parts: &[Tree], all: bool) {
    let parts: Vec<Tree> = parts.iter().map(|part| super::refs::resolved(schema, part)).collect();
    let mut properties = match schema.take("properties") {
        Some(Tree::Object(members)) => members,
        _ => Vec::new(),
    };
    let mut known: HashSet<Text> = properties.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in parts.iter().flat_map(|part| part.get("properties").map_or(&[][..], Tree::members)) {
        if known.insert(name.clone()) {
            properties.push((name.clone(), value.clone()));
        }
    }
    let mut required = names(schema);
    let mut lists = parts.iter().map(names);
    let mut more = lists.next().unwrap_or_default();
    for list in lists {
        let list: HashSet<Text> = list.into_iter().collect();
        if all { more.extend(list) } else { more.retain(|name| list.contains(name)) }
    }
    required.extend(more);
    let mut once = HashSet::new();
    required.retain(|name| known.contains(name) && once.insert(name.clone()));
    schema.set("properties", Tree::Object(properties));
    schema.take("required");
    if !required.is_empty() {
        schema.set("required", Tree::strings(&required));
    }
}

fn names(schema: &Tree) -> Vec<Text> {
    schema.get("required").map_or(&[][..], Tree::elements).iter().filter_map(Tree::text).collect()
}
