//! The keywords of JSON Schema and the types of their values.

use std::collections::HashSet;

use super::tree::Tree;

/// The type of a keyword's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Under {
    /// A schema, or a list of them (`items` in its older form).
    Schema,
    /// Names with a schema each; the names are the client's and have no meaning here.
    Map,
    /// A list of schemas.
    List,
    /// A value without a schema.
    Other,
}

/// The type of the value of the keyword `key`, which is still escaped.
pub(super) fn under(key: &[u8]) -> Under {
    match key {
        b"items"
        | b"additionalProperties"
        | b"additionalItems"
        | b"not"
        | b"if"
        | b"then"
        | b"else"
        | b"contains"
        | b"propertyNames"
        | b"unevaluatedItems"
        | b"unevaluatedProperties" => Under::Schema,
        b"properties" | b"$defs" | b"definitions" | b"patternProperties" | b"dependentSchemas" => Under::Map,
        b"anyOf" | b"oneOf" | b"allOf" | b"prefixItems" => Under::List,
        _ => Under::Other,
    }
}

/// The schemas right below `schema`.
pub(super) fn children(schema: &Tree) -> impl Iterator<Item = &Tree> {
    schema.members().iter().flat_map(|(key, value)| {
        let inside: Vec<&Tree> = match (under(key.escaped()), value) {
            (Under::Schema, Tree::Object(_)) => vec![value],
            (Under::Schema | Under::List, Tree::Array(elements)) => elements.iter().collect(),
            (Under::Map, Tree::Object(members)) => members.iter().map(|(_, value)| value).collect(),
            _ => Vec::new(),
        };
        inside
    })
}

/// Calls `change` for each schema right below `schema`.
pub(super) fn each(schema: &mut Tree, mut change: impl FnMut(&mut Tree)) {
    let Tree::Object(members) = schema else { return };
    for (key, value) in members {
        match (under(key.escaped()), value) {
            (Under::Schema, value @ Tree::Object(_)) => change(value),
            (Under::Schema | Under::List, Tree::Array(elements)) => elements.iter_mut().for_each(&mut change),
            (Under::Map, Tree::Object(members)) => members.iter_mut().for_each(|(_, value)| change(value)),
            _ => {}
        }
    }
}

/// Whether `type` names `kind`, alone or in a list.
pub(super) fn is_type(schema: &Tree, kind: &str) -> bool {
    let named = |value: &Tree| value.text().is_some_and(|text| text.is(kind));
    schema.get("type").is_some_and(|value| named(value) || value.elements().iter().any(named))
}

/// The elements of a tuple, in either form, and the schema of further elements; `None` for other schemas.
pub(super) fn tuple(schema: &mut Tree) -> Option<(Vec<Tree>, Option<Tree>)> {
    if let Some(Tree::Array(elements)) = schema.take("prefixItems") {
        let rest = schema.take("items").filter(|rest| !rest.is_literal("false"));
        return Some((elements, rest));
    }
    if !matches!(schema.get("items"), Some(Tree::Array(_))) {
        return None;
    }
    let Some(Tree::Array(elements)) = schema.take("items") else { return None };
    let rest = schema.take("additionalItems").filter(|rest| !rest.is_literal("false"));
    Some((elements, rest))
}

/// Whether the schema is a tuple.
pub(super) fn is_tuple(schema: &Tree) -> bool {
    matches!(schema.get("prefixItems"), Some(Tree::Array(_))) || matches!(schema.get("items"), Some(Tree::Array(_)))
}

/// Turns a tuple into an array of the tuple's length whose elements may each be any of the tuple's; the description names the order. Every
/// tuple is such an array.
pub(super) fn flatten(schema: &mut Tree) {
    let Some((elements, rest)) = tuple(schema) else { return };
    let order: Vec<String> = elements.iter().map(name).collect();
    let open = rest.is_some();
    let mut seen = HashSet::new();
    let mut kinds: Vec<Tree> = elements.into_iter().chain(rest).collect();
    kinds.retain(|element| seen.insert(element.json().bytes().clone()));
    let same = kinds.len() <= 1;
    let items = if same { kinds.pop().unwrap_or_else(|| Tree::object([])) } else { any_of(kinds) };
    schema.set("items", items);
    let count = Tree::Leaf(crate::text::Json::of(&order.len()));
    if !schema.has("minItems") {
        schema.set("minItems", count.clone());
    }
    if !open && !schema.has("maxItems") {
        schema.set("maxItems", count);
    }
    if !same {
        describe(schema, &format!("In this order: {}.", order.join(", ")));
    }
}

/// A choice between schemas.
pub(super) fn any_of(choices: Vec<Tree>) -> Tree {
    Tree::object([("anyOf", Tree::Array(choices))])
}

/// Adds a sentence to the description.
pub(super) fn describe(schema: &mut Tree, sentence: &str) {
    let old = schema.get("description").and_then(Tree::text).map(|text| text.plain().into_owned());
    let text = match old.filter(|old| !old.is_empty()) {
        Some(old) => format!("{old} {sentence}"),
        None => sentence.to_owned(),
    };
    schema.set("description", Tree::string(&text));
}

/// The type of a tuple's element, in one word or a few.
fn name(schema: &Tree) -> String {
    let word = |name: &str| schema.get(name).and_then(Tree::text).map(|text| text.plain().into_owned());
    let kind = word("type").unwrap_or_else(|| "value".to_owned());
    let label = word("title").or_else(|| word("description")).filter(|label| label.len() <= 60);
    label.map_or(kind.clone(), |label| format!("{kind} ({label})"))
}
