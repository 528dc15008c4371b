//! Schemas for upstreams that apply a schema to their output: every object closed, every property required.
//!
//! Every change only narrows: a value that fits the sent schema fits the client's, once the module `envelope` converted it back. An
//! optional property becomes a required one, and may be null only where its type leads back to itself and so could never end. A schema that
//! cannot be narrowed in this way (free keys, conditions) has no strict form, and the error names the reason.

use std::collections::HashSet;

use super::keywords::Under;
use super::tree::Tree;
use super::{keywords, refs};
use crate::json::Shape;
use crate::text::Text;

/// The property that holds the answer when the client's schema is not one of an object.
pub(crate) const ROOT: &str = "__value";
/// Prefix of the properties that hold a tuple's elements; the element's index follows.
pub(crate) const ELEMENT: &str = "__";

/// Keywords that cannot be removed without allowing a wrong value.
const HARD: [&str; 10] = [
    "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties", "propertyNames",
    "contains", "unevaluatedProperties",
];
/// Keywords that strict mode refuses and that matter little.
const SOFT: [&str; 17] = [
    "default", "nullable", "example", "examples", "uniqueItems", "minContains", "maxContains", "minProperties",
    "maxProperties", "readOnly", "writeOnly", "deprecated", "$comment", "contentEncoding", "contentMediaType",
    "discriminator", "unevaluatedItems",
];
/// String formats that strict mode supports.
const FORMATS: [&str; 9] = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Whether replies can be converted back before the client sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Replies pass as they are: a tuple stays an array.
    Plain,
    /// A tuple is sent as an object, and a value that is not an object inside one.
    Envelope,
}

/// Makes `schema` strict. Errors: the reason why it has no strict form.
pub(super) fn make(schema: &mut Tree, form: Form) -> Result<(), &'static str> {
    if !refs::complete(schema) {
        return Err("a $ref to somewhere else");
    }
    refs::expand_root(schema);
    let circles = refs::circular(schema);
    if !is_plain_object(schema) {
        if form == Form::Plain {
            return Err("a root that is not an object");
        }
        wrap(schema);
    }
    Maker { circles, form }.schema(schema)
}

/// Whether a reply to this schema must be converted back when the schema was sent in an envelope.
pub(super) fn needs_envelope(schema: &Tree) -> bool {
    !reserved(schema) && (!root_is_object(schema) || has_tuple(schema))
}

/// Puts a schema of another type than object into an object.
pub(super) fn wrap_root(schema: &mut Tree) {
    if !root_is_object(schema) {
        refs::expand_root(schema);
        wrap(schema);
    }
}

fn root_is_object(schema: &Tree) -> bool {
    let mut root = schema.clone();
    refs::expand_root(&mut root);
    is_plain_object(&root)
}

fn is_plain_object(schema: &Tree) -> bool {
    let named = schema.get("type").and_then(Tree::text);
    let object = named.map_or(schema.has("properties") && !schema.has("type"), |kind| kind.is("object"));
    object && !["anyOf", "oneOf", "enum", "const"].iter().any(|word| schema.has(word))
}

/// Whether a property's name could be mistaken for one of the envelope's.
fn reserved(schema: &Tree) -> bool {
    let own = schema.get("properties").map_or(&[][..], Tree::members);
    own.iter().any(|(name, _)| name.plain().starts_with(ELEMENT)) || keywords::children(schema).any(reserved)
}

fn has_tuple(schema: &Tree) -> bool {
    keywords::is_tuple(schema) || keywords::children(schema).any(has_tuple)
}

/// Puts the schema into the one property of an object; the definitions stay at the root.
fn wrap(schema: &mut Tree) {
    refs::shift(schema, &format!("/properties/{ROOT}"));
    let definitions: Vec<(Text, Tree)> = ["$schema", "$defs", "definitions"]
        .iter()
        .filter_map(|name| Some((Text::from_plain(name), schema.take(name)?)))
        .collect();
    let inner = std::mem::replace(schema, Tree::object([]));
    schema.set("type", Tree::string("object"));
    schema.set("properties", Tree::object([(ROOT, inner)]));
    schema.set("required", Tree::Array(vec![Tree::string(ROOT)]));
    schema.set("additionalProperties", Tree::literal("false"));
    if let Tree::Object(members) = schema {
        members.extend(definitions);
    }
}

struct Maker {
    /// Pointers that lead back to themselves.
    circles: HashSet<String>,
    form: Form,
}

impl Maker {
    fn schema(&self, schema: &mut Tree) -> Result<(), &'static str> {
        if !matches!(schema, Tree::Object(_)) {
            return Err("a value of any kind");
        }
        unwrap_all_of(schema)?;
        if HARD.iter().any(|word| schema.has(word)) {
            return Err("conditions");
        }
        for word in SOFT {
            schema.take(word);
        }
        drop_format(schema);
        if schema.has("$ref") {
            stand_alone(schema);
            return Ok(());
        }
        if let Some(choices) = schema.take("oneOf") {
            schema.set("anyOf", choices);
        }
        self.typed(schema)?;
        let Tree::Object(members) = schema else { return Ok(()) };
        members.iter_mut().try_for_each(|(key, value)| self.keyword(key, value))
    }

    fn keyword(&self, key: &Text, value: &mut Tree) -> Result<(), &'static str> {
        match keywords::under(key.escaped()) {
            Under::Schema if key.is("additionalProperties") => Ok(()),
            Under::Schema | Under::List => self.under(value),
            Under::Map => self.map(value),
            Under::Other => Ok(()),
        }
    }

    /// Makes the schema strict by its type.
    fn typed(&self, schema: &mut Tree) -> Result<(), &'static str> {
        if !schema.has("type") {
            match guess(schema) {
                Some(kind) => schema.set("type", kind),
                None if schema.has("anyOf") => return Ok(()),
                None => return Err("a value of any kind"),
            }
        }
        if keywords::is_type(schema, "array") {
            self.array(schema)?;
        }
        if keywords::is_type(schema, "object") { self.object(schema) } else { Ok(()) }
    }

    fn object(&self, schema: &mut Tree) -> Result<(), &'static str> {
        let named = schema.get("properties").is_some_and(|properties| !properties.members().is_empty());
        match schema.get("additionalProperties") {
            Some(free) if free.is_literal("false") => {}
            Some(free) if !free.is_literal("true") => return Err("free keys"),
            _ if named => {}
            _ => return Err("free keys"),
        }
        schema.set("additionalProperties", Tree::literal("false"));
        if !matches!(schema.get("properties"), Some(Tree::Object(_))) {
            schema.set("properties", Tree::object([]));
        }
        self.require(schema);
        Ok(())
    }

    /// Makes every property required.
    fn require(&self, schema: &mut Tree) {
        let listed: Vec<Text> =
            schema.get("required").map_or(&[][..], Tree::elements).iter().filter_map(Tree::text).collect();
        let wanted: HashSet<&Text> = listed.iter().collect();
        let mut names = Vec::new();
        let Some(Tree::Object(properties)) = schema.get_mut("properties") else { return };
        let mut once = HashSet::new();
        for (name, value) in properties {
            if !wanted.contains(name) && self.endless(value) {
                let inner = std::mem::replace(value, Tree::object([]));
                *value = keywords::any_of(vec![inner, Tree::object([("type", Tree::string("null"))])]);
            }
            if once.insert(name.clone()) {
                names.push(name.clone());
            }
        }
        if listed.len() != names.len() || !names.iter().all(|name| wanted.contains(name)) {
            schema.set("required", Tree::strings(&names));
        }
    }

    /// Whether each value of this schema would contain another value of a type that leads back to itself.
    fn endless(&self, schema: &Tree) -> bool {
        if let Some(pointer) = schema.get("$ref").and_then(Tree::text) {
            return self.circles.contains(pointer.plain().as_ref());
        }
        let properties = schema.get("properties").map_or(&[][..], Tree::members);
        let parts = schema.get("allOf").map_or(&[][..], Tree::elements);
        properties.iter().map(|(_, value)| value).chain(parts).any(|value| self.endless(value))
    }

    fn array(&self, schema: &mut Tree) -> Result<(), &'static str> {
        if keywords::is_tuple(schema) {
            return self.tuple(schema);
        }
        schema.take("additionalItems");
        if schema.has("items") { Ok(()) } else { Err("an array of anything") }
    }

    fn tuple(&self, schema: &mut Tree) -> Result<(), &'static str> {
        let alone = schema.get("type").and_then(Tree::text).is_some();
        let open = schema.get("prefixItems").map_or("additionalItems", |_| "items");
        let open = schema.get(open).is_some_and(|rest| !rest.is_literal("false"));
        if self.form == Form::Plain || open || !alone {
            keywords::flatten(schema);
            return if schema.get("items").is_some_and(|items| !items.members().is_empty()) {
                Ok(())
            } else {
                Err("an array of anything")
            };
        }
        let Some((elements, _)) = keywords::tuple(schema) else { return Ok(()) };
        let most = schema.take("maxItems").and_then(|most| most.json().as_u64());
        let most = most.map_or(elements.len(), |most| usize::try_from(most).unwrap_or(usize::MAX));
        schema.take("minItems");
        let properties = elements.into_iter().take(most).enumerate();
        let properties = properties.map(|(at, element)| (Text::from_plain(&format!("{ELEMENT}{at}")), element));
        let properties = Tree::Object(properties.collect());
        schema.set("type", Tree::string("object"));
        schema.set("properties", properties);
        schema.set("additionalProperties", Tree::literal("false"));
        Ok(())
    }

    fn under(&self, under: &mut Tree) -> Result<(), &'static str> {
        match under {
            Tree::Array(choices) => choices.iter_mut().try_for_each(|choice| self.schema(choice)),
            Tree::Object(_) => self.schema(under),
            Tree::Leaf(_) => Err("a value of any kind"),
        }
    }

    fn map(&self, map: &mut Tree) -> Result<(), &'static str> {
        let Tree::Object(members) = map else { return Ok(()) };
        members.iter_mut().try_for_each(|(_, value)| self.schema(value))
    }
}

/// Replaces an `allOf` of one schema by that schema.
fn unwrap_all_of(schema: &mut Tree) -> Result<(), &'static str> {
    let Some(all) = schema.take("allOf") else { return Ok(()) };
    match all {
        Tree::Array(mut parts) if parts.len() == 1 => {
            let Some(Tree::Object(members)) = parts.pop() else { return Err("a value of any kind") };
            if members.iter().any(|(key, value)| schema.get(&key.plain()).is_some_and(|own| own != value)) {
                return Err("several schemas at once");
            }
            for (key, value) in members {
                schema.set(&key.plain(), value);
            }
            Ok(())
        }
        Tree::Array(parts) if parts.is_empty() => Ok(()),
        _ => Err("several schemas at once"),
    }
}

/// A `$ref` must have no keywords beside it, so they move to a schema around it.
fn stand_alone(schema: &mut Tree) {
    if schema.members().len() == 1 {
        return;
    }
    let Some(pointer) = schema.take("$ref") else { return };
    let outer: Vec<(Text, Tree)> = ["title", "description", "$defs", "definitions"]
        .iter()
        .filter_map(|name| Some((Text::from_plain(name), schema.take(name)?)))
        .collect();
    *schema = Tree::object([("$ref", pointer)]);
    if !outer.is_empty() {
        let inner = std::mem::replace(schema, Tree::object([]));
        *schema = keywords::any_of(vec![inner]);
        if let Tree::Object(members) = schema {
            members.extend(outer);
        }
    }
}

fn drop_format(schema: &mut Tree) {
    let format = schema.get("format").and_then(Tree::text);
    if format.is_some_and(|format| !FORMATS.contains(&format.plain().as_ref())) {
        schema.take("format");
    }
}

/// The type of a schema without `type`.
fn guess(schema: &Tree) -> Option<Tree> {
    if schema.has("properties") {
        return Some(Tree::string("object"));
    }
    if schema.has("items") || schema.has("prefixItems") {
        return Some(Tree::string("array"));
    }
    let constant = schema.get("const").into_iter();
    let mut kinds: Vec<&str> = Vec::new();
    for value in schema.get("enum").map_or(&[][..], Tree::elements).iter().chain(constant) {
        let kind = match value {
            Tree::Leaf(json) => match json.shape() {
                Shape::String => "string",
                Shape::Number => "number",
                Shape::Bool => "boolean",
                _ => "null",
            },
            _ => return None,
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.as_slice() {
        [] => None,
        [kind] => Some(Tree::string(kind)),
        kinds => Some(Tree::Array(kinds.iter().map(|kind| Tree::string(kind)).collect())),
    }
}
