//! Sampled values fit their schemas.

use serde_json::{Value, json};

use super::prompt_values::{self, PromptArguments};
use super::schema::sample;

/// Whether a value fits a schema, for the keywords that the sampler supports.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(path) = schema["$ref"].as_str() {
        return fits(root, root.pointer(&path[1..]).unwrap(), value);
    }
    if let Some(constant) = schema.get("const") {
        return value == constant;
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.contains(value);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().any(|choice| fits(root, choice, value));
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts.iter().all(|part| fits(root, part, value));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    kinds.is_empty() || kinds.iter().any(|kind| is(root, schema, kind, value))
}

fn size(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap())
}

fn is(root: &Value, schema: &Value, kind: &str, value: &Value) -> bool {
    let least = |key: &str| schema[key].as_f64().unwrap_or(f64::MIN);
    let most = |key: &str| schema[key].as_f64().unwrap_or(f64::MAX);
    match (kind, value) {
        ("null", Value::Null) | ("boolean", Value::Bool(_)) => true,
        ("string", Value::String(text)) => {
            let length = size(text.chars().count());
            least("minLength") <= length && length <= most("maxLength")
        }
        ("integer" | "number", Value::Number(number)) => {
            let step = schema["multipleOf"].as_f64().unwrap_or(1.0);
            let number = number.as_f64().unwrap();
            let whole = kind == "number" || (number / step).fract() == 0.0;
            whole && least("minimum") <= number && number <= most("maximum") && least("exclusiveMinimum") < number
        }
        ("array", Value::Array(values)) => {
            least("minItems") <= size(values.len())
                && size(values.len()) <= most("maxItems")
                && values.iter().all(|value| fits(root, &schema["items"], value))
        }
        ("object", Value::Object(object)) => {
            let required = schema["required"].as_array().into_iter().flatten();
            required.into_iter().all(|name| object.contains_key(name.as_str().unwrap()))
                && object.iter().all(|(name, value)| fits(root, &schema["properties"][name], value))
        }
        _ => false,
    }
}

#[test]
fn samples_fit() {
    let schemas = [
        json!({ "type": "object", "properties": { "a": { "type": "integer", "minimum": 10, "multipleOf": 4 } }, "required": ["a"] }),
        json!({ "type": "object", "properties": { "a": { "enum": ["x", "y"] }, "b": { "const": 3 } }, "required": ["a", "b"] }),
        json!({ "type": "array", "items": { "type": "number", "exclusiveMinimum": 0, "maximum": 1 }, "minItems": 3, "maxItems": 3 }),
        json!({ "type": "array", "items": { "type": "string" }, "maxItems": 0 }),
        json!({ "anyOf": [{ "type": "null" }, { "type": "string", "minLength": 9, "maxLength": 9 }] }),
        json!({ "allOf": [{ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
            { "type": "object", "properties": { "b": { "type": "boolean" } }, "required": ["b"] }] }),
        json!({ "type": ["string", "null"], "format": "date-time" }),
        json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "required": ["next", "all"], "properties": {
            "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
            "all": { "type": "array", "items": { "$ref": "#/$defs/node" } } } } } }),
        json!({ "type": "integer", "minimum": -5, "maximum": -3 }),
        json!({ "type": "integer", "maximum": 3 }),
    ];
    for schema in schemas {
        for prompt in ["", "What is 12 plus 30 in Paris and London?"] {
            let value = sample(&schema, &mut PromptArguments::new(prompt));
            assert!(fits(&schema, &schema, &value), "{value} does not fit {schema}");
        }
    }
}

#[test]
fn reads_prompts() {
    assert_eq!(prompt_values::exact("Please Reply With Exactly: a b\nc"), Some("a b\nc"));
    assert_eq!(prompt_values::count("now count to 12, please"), Some(12));
    assert_eq!(prompt_values::count("count to 999999999"), Some(100_000));
    assert_eq!(prompt_values::command("first\n RUN: ls -la \nlast"), Some("ls -la"));
    assert!(prompt_values::contains_word("Use the get_weather tool.", "get_weather"));
    let hint = PromptArguments::new("What is the weather in both Paris and New York?");
    assert_eq!((hint.string("city"), hint.turned(1).string("location")), ("Paris".into(), "New York".into()));
}
