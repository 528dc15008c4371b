//! Checks Google's `Schema`, a subset of OpenAPI 3.0. A current JSON Schema is refused at its first unknown keyword.

use serde_json::Value;

use super::super::super::list;
use super::{fault, known, wrong};
use crate::errors::Reject;

const MEMBERS: [&str; 22] = [
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum",
];
const TYPES: [&str; 7] = ["STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"];

/// Checks a schema; `path` is the schema's position, in the API's spelling.
pub(super) fn check(schema: &Value, path: &str) -> Result<(), Reject> {
    known(schema, path, &MEMBERS)?;
    let kind = match &schema["type"] {
        Value::Null if schema["anyOf"].is_array() => String::new(),
        Value::Null => String::from("TYPE_UNSPECIFIED"),
        Value::String(kind) => kind.to_uppercase(),
        other => {
            return Err(wrong(
                &format!("{path}.type"),
                "type.googleapis.com/google.ai.generativelanguage.v1beta.Type",
                other,
            ));
        }
    };
    if !kind.is_empty() && kind != "TYPE_UNSPECIFIED" && !TYPES.contains(&kind.as_str()) {
        let name = "type.googleapis.com/google.ai.generativelanguage.v1beta.Type";
        return Err(wrong(&format!("{path}.type"), name, &schema["type"]));
    }
    let full = format!("* GenerateContentRequest.{path}");
    if !list(schema, "enum").is_empty() && !matches!(kind.as_str(), "STRING" | "INTEGER" | "NUMBER") {
        return Err(fault(format!("{full}.enum: only allowed for STRING type")));
    }
    if let Some(value) = list(schema, "enum").iter().find(|value| !value.is_string()) {
        return Err(wrong(&format!("{path}.enum[0]"), "TYPE_STRING", value));
    }
    if kind == "ARRAY" && schema.get("items").is_none() {
        return Err(fault(format!("{full}.items: missing field.")));
    }
    format(schema, &kind, &full)?;
    required(schema, &full)?;
    inside(schema, path)
}

fn format(schema: &Value, kind: &str, full: &str) -> Result<(), Reject> {
    let Some(format) = schema["format"].as_str() else { return Ok(()) };
    if kind == "STRING" && !matches!(format, "enum" | "date-time") {
        return Err(fault(format!("{full}.format: only 'enum' and 'date-time' are supported for STRING type")));
    }
    Ok(())
}

/// Checks that required names are declared properties.
fn required(schema: &Value, full: &str) -> Result<(), Reject> {
    for (at, name) in list(schema, "required").iter().enumerate() {
        let name = name.as_str().unwrap_or_default();
        if schema["properties"].get(name).is_none() {
            return Err(fault(format!("{full}.required[{at}]: property is not defined")));
        }
    }
    Ok(())
}

fn inside(schema: &Value, path: &str) -> Result<(), Reject> {
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        check(child, &format!("{path}.properties[{name}]"))?;
    }
    for (at, child) in list(schema, "anyOf").iter().enumerate() {
        check(child, &format!("{path}.any_of[{at}]"))?;
    }
    schema.get("items").map_or(Ok(()), |items| check(items, &format!("{path}.items")))
}
