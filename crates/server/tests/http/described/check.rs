//! Checks requests and responses against the description of the admin API.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::wire::Answer;

/// The description.
pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(server::OPENAPI).unwrap());

/// Panics when a call of the admin API is not as described.
pub(crate) fn check(line: &str, body: &[u8], answer: &Answer) {
    if let Some(fault) = fault(line, body, answer) {
        panic!("{line}, answered {}, is not as described: {fault}\n{}", answer.status, answer.text());
    }
}

/// Every operation: path, method in capitals, and its description.
pub(super) fn operations() -> impl Iterator<Item = (&'static str, String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let each = item.as_object().unwrap().iter();
        each.map(|(method, operation)| (path.as_str(), method.to_ascii_uppercase(), operation))
    })
}

/// How a call differs from the description; `None` if it does not differ or is not described at all.
pub(super) fn fault(line: &str, body: &[u8], answer: &Answer) -> Option<String> {
    let (_, _, operation) = meant(line)?;
    let Some(described) = operation["responses"].get(answer.status.to_string()) else {
        return Some("there is no such status".to_owned());
    };
    let asked = || if answer.status < 300 { wrong(&operation["requestBody"], body, false) } else { None };
    given(resolve(described), answer).or_else(asked)
}

/// The operation of a request line: path, method, and its description.
pub(super) fn meant(line: &str) -> Option<(&'static str, String, &'static Value)> {
    let (method, target) = line.split_once(' ')?;
    let path = target.split('?').next()?;
    operations().find(|(pattern, named, _)| named == method && fits(pattern, path))
}

/// The first violation of the schema with this name by a value.
pub(super) fn misshapen(name: &str, value: &Value) -> Option<String> {
    let validator = jsonschema::validator_for(&whole(&DOCUMENT["components"]["schemas"][name], true, true)).unwrap();
    validator.iter_errors(value).next().map(|error| format!("{} at {}", error, error.instance_path()))
}

/// Resolves a reference.
pub(super) fn resolve(value: &'static Value) -> &'static Value {
    let Some(reference) = value["$ref"].as_str() else { return value };
    DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap()
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == found || wanted.starts_with('{') && !found.is_empty() => {}
            _ => return false,
        }
    }
}

fn given(described: &'static Value, answer: &Answer) -> Option<String> {
    let Some(content) = described.get("content") else {
        return (!answer.body.is_empty()).then(|| "there is a body".to_owned());
    };
    let media = answer.header("content-type").unwrap_or_default();
    if content.get(media).is_none() {
        return Some(format!("its type is {media}"));
    }
    wrong(described, &answer.body, true)
}

/// The first violation of a body's JSON schema; `closed` forbids fields that are not described.
fn wrong(described: &'static Value, body: &[u8], closed: bool) -> Option<String> {
    let schema = &described["content"]["application/json"]["schema"];
    if schema.is_null() || body.is_empty() && described.get("required").is_some_and(|required| required == false) {
        return None;
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return Some("it is no JSON".to_owned()) };
    let schema = whole(schema, closed, true);
    let validator = jsonschema::validator_for(&schema).unwrap();
    validator.iter_errors(&value).next().map(|error| format!("{} at {}", error, error.instance_path()))
}

/// A schema with all references inlined. `closed` forbids fields that no part of the schema names; `alone` is whether there are no other
/// parts beside this one.
fn whole(schema: &'static Value, closed: bool, alone: bool) -> Value {
    let schema = resolve(schema);
    let Some(members) = schema.as_object() else { return schema.clone() };
    let choice = alone && !members.contains_key("allOf");
    let mut out = Map::new();
    for (name, value) in members {
        let value = match (name.as_str(), value) {
            ("properties", Value::Object(each)) => {
                Value::Object(each.iter().map(|(name, value)| (name.clone(), whole(value, closed, true))).collect())
            }
            ("allOf", Value::Array(each)) => each.iter().map(|one| whole(one, closed, false)).collect(),
            ("oneOf" | "anyOf", Value::Array(each)) => each.iter().map(|one| whole(one, closed, choice)).collect(),
            ("items" | "additionalProperties", value) => whole(value, closed, true),
            _ => value.clone(),
        };
        out.insert(name.clone(), value);
    }
    let named = ["properties", "allOf"].iter().any(|name| members.contains_key(*name));
    if closed && alone && named && !members.contains_key("additionalProperties") {
        out.insert("unevaluatedProperties".to_owned(), json!(false));
    }
    Value::Object(out)
}
