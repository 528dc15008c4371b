//! Checks structured output.

use serde_json::Value;

use super::{CheckContext, missing};
use crate::errors::Reject;

pub(super) fn check(case: CheckContext<'_>) -> Result<(), Reject> {
    let Some(format) = case.body.get("text").and_then(|text| text.get("format")) else { return Ok(()) };
    match format["type"].as_str() {
        Some("text") => Ok(()),
        Some("json_object") => mentions_json(case),
        Some("json_schema") => schema(format),
        Some(other) => {
            let message =
                format!("Invalid value: '{other}'. Supported values are: 'json_object', 'json_schema', and 'text'.");
            Err(Reject::invalid(message, Some("text.format.type"), Some("invalid_value")))
        }
        None => Err(missing("text.format.type")),
    }
}

fn schema(format: &Value) -> Result<(), Reject> {
    format["name"].as_str().ok_or_else(|| missing("text.format.name"))?;
    let schema = format.get("schema").filter(|schema| schema.is_object());
    schema.ok_or_else(|| missing("text.format.schema"))?;
    match fits(format) {
        None => Ok(()),
        Some(message) => Err(Reject::invalid(message, Some("text.format.schema"), Some("invalid_json_schema"))),
    }
}

/// The fault of a named schema with `strict`; `None` for a schema without it.
pub(crate) fn fits(format: &Value) -> Option<String> {
    let (name, schema) = (format["name"].as_str().unwrap_or_default(), &format["schema"]);
    let reason = if format["strict"] != true {
        None
    } else if schema["type"] == "object" {
        strict(schema, "")
    } else {
        Some(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.", schema["type"]))
    };
    reason.map(|reason| format!("Invalid schema for response_format '{name}': {reason}"))
}

/// The reason why a schema is not strict: in a strict schema every object is closed and every property required.
pub(crate) fn strict(schema: &Value, path: &str) -> Option<String> {
    let inside = |key: &str| {
        let children = schema[key].as_object().into_iter().flatten();
        children.map(|(name, child)| (format!("{path}'{key}', '{name}', "), child)).collect::<Vec<_>>()
    };
    let mut children: Vec<(String, &Value)> =
        ["properties", "$defs", "definitions"].into_iter().flat_map(inside).collect();
    children.extend(schema.get("items").map(|items| (format!("{path}'items', "), items)));
    let choices = schema["anyOf"].as_array().into_iter().flatten().enumerate();
    children.extend(choices.map(|(at, choice)| (format!("{path}'anyOf', '{at}', "), choice)));
    let own = schema.get("properties").and_then(|properties| closed(schema, properties, path));
    own.or_else(|| children.iter().find_map(|(path, child)| strict(child, path)))
}

fn closed(schema: &Value, properties: &Value, path: &str) -> Option<String> {
    let context = format!("In context=({})", path.trim_end_matches(", "));
    if schema["additionalProperties"] != false {
        return Some(format!("{context}, 'additionalProperties' is required to be supplied and to be false."));
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let names = properties.as_object()?.keys();
    let missing = names.into_iter().find(|name| !required.contains(&name.as_str()))?;
    Some(format!(
        "{context}, 'required' is required to be supplied and to be an array including every key in properties. Missing '{missing}'."
    ))
}

/// Checks that the conversation has the word "json", which JSON mode requires.
fn mentions_json(case: CheckContext<'_>) -> Result<(), Reject> {
    let texts = [case.body.get("input"), case.body.get("instructions")];
    if texts.into_iter().flatten().any(|value| value.to_string().to_lowercase().contains("json")) {
        return Ok(());
    }
    let message =
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.";
    Err(Reject::invalid(message, Some("input"), None))
}
