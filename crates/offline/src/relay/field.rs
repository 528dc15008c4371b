//! Checks of OpenAI's public API: names, types and ranges, with its error texts.

use serde_json::{Map, Value};

use crate::errors::Reject;

pub(super) const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];
pub(super) const LEVELS: [&str; 3] = ["low", "medium", "high"];

/// Refuses members that are not in `names`; `path` is the object's path, empty for the body.
pub(super) fn known(object: &Map<String, Value>, path: &str, names: &[&str]) -> Result<(), Reject> {
    match object.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let message = format!("Unknown parameter: '{path}'.");
            Err(Reject::invalid(message, Some(&path), Some("unknown_parameter")))
        }
    }
}

/// A required string.
pub(super) fn string<'a>(object: &'a Value, key: &str, path: &str) -> Result<&'a str, Reject> {
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match object.get(key) {
        None => Err(crate::responses::check::missing(&path)),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(wrong_type(&path, "a string", other)),
    }
}

/// The refusal of a value with a wrong type.
pub(super) fn wrong_type(path: &str, expected: &str, is: &Value) -> Reject {
    let is = match is {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "an integer",
        Value::Number(_) => "a decimal",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{path}': expected {expected}, but got {is} instead.");
    Reject::invalid(message, Some(path), Some("invalid_type"))
}

/// The refusal of a value that is not one of the choices.
pub(super) fn invalid(path: &str, value: &str, choices: &[&str]) -> Reject {
    let choices: Vec<String> = choices.iter().map(|choice| format!("'{choice}'")).collect();
    let message = format!("Invalid value: '{value}'. Supported values are: {}.", choices.join(", "));
    Reject::invalid(message, Some(path), Some("invalid_value"))
}

/// Checks an optional boolean.
pub(super) fn boolean(body: &Map<String, Value>, key: &str) -> Result<(), Reject> {
    match body.get(key).filter(|value| !value.is_boolean() && !value.is_null()) {
        Some(value) => Err(wrong_type(key, "a boolean", value)),
        None => Ok(()),
    }
}

/// Checks an optional value against the choices.
pub(super) fn choice(path: &str, value: Option<&str>, choices: &[&str]) -> Result<(), Reject> {
    value.filter(|value| !choices.contains(value)).map_or(Ok(()), |value| Err(invalid(path, value, choices)))
}

/// Checks the bounds of an optional number.
pub(super) fn number(body: &Map<String, Value>, key: &str, (low, high): (f64, f64)) -> Result<(), Reject> {
    let Some(value) = body.get(key).filter(|value| !value.is_null()) else { return Ok(()) };
    let number = value.as_f64().ok_or_else(|| wrong_type(key, "a decimal", value))?;
    let (side, sign, bound, code) = if number < low {
        ("below minimum", ">=", low, "decimal_below_min_value")
    } else if number > high {
        ("above maximum", "<=", high, "decimal_above_max_value")
    } else {
        return Ok(());
    };
    let message =
        format!("Invalid '{key}': decimal {side} value. Expected a value {sign} {bound}, but got {number} instead.");
    Err(Reject::invalid(message, Some(key), Some(code)))
}

/// An optional count of `least` or more.
pub(super) fn count(body: &Map<String, Value>, key: &str, least: u64) -> Result<Option<u64>, Reject> {
    let Some(value) = body.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_i64().ok_or_else(|| wrong_type(key, "an integer", value))?;
    if let Some(number) = u64::try_from(number).ok().filter(|number| *number >= least) {
        return Ok(Some(number));
    }
    let message =
        format!("Invalid '{key}': integer below minimum value. Expected a value >= {least}, but got {number} instead.");
    Err(Reject::invalid(message, Some(key), Some("integer_below_min_value")))
}

/// The refusal of a parameter that this model does not support.
pub(super) fn unsupported(key: &str, hint: &str) -> Reject {
    let message = format!("Unsupported parameter: '{key}' is not supported with this model.{hint}");
    Reject::invalid(message, Some(key), Some("unsupported_parameter"))
}
