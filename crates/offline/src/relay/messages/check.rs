//! Checks a request as Anthropic's API does, with its error texts: `path.to.field: what is wrong`.

use serde_json::Value;

use super::super::list;
use super::super::models::{self, Model};
use crate::errors::Reject;
use crate::plan::api::Api;
use crate::responses::read::members;

mod content;
#[cfg(test)]
mod tests;
mod tools;

const TAKEN: [&str; 22] = [
    "model", "messages", "max_tokens", "cache_control", "container", "context_management", "diagnostics",
    "inference_geo", "mcp_servers", "metadata", "output_config", "output_format", "service_tier", "speed",
    "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools", "top_k",
];

const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

/// The caller's key and headers, and the kind of request.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    /// The key; a signature is valid only for its key.
    pub(super) owner: &'a str,
    /// The `anthropic-beta` header.
    pub(super) betas: &'a str,
    /// Whether the request only counts tokens, so that `max_tokens` is optional.
    pub(super) counting: bool,
}

/// The refusal of a field; the message has the field's path.
fn fault(message: impl AsRef<str>) -> Reject {
    Api::Messages.refusal(400, message.as_ref())
}

fn required(path: &str) -> Reject {
    fault(format!("{path}: Field required"))
}

/// Refuses members that are not in `names`.
fn known(object: &Value, path: &str, names: &[&str]) -> Result<(), Reject> {
    let members = object.as_object().ok_or_else(|| fault(format!("{path}: Input should be an object")))?;
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(fault(format!("{path}.{name}: Extra inputs are not permitted"))),
    }
}

/// A required string.
fn string<'a>(object: &'a Value, key: &str, path: &str) -> Result<&'a str, Reject> {
    match object.get(key) {
        None => Err(required(&format!("{path}.{key}"))),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(fault(format!("{path}.{key}: Input should be a valid string"))),
    }
}

/// Checks a whole request; the first fault is the answer.
pub(super) fn all(body: &Value, asker: Caller<'_>) -> Result<&'static Model, Reject> {
    let members = members(body);
    let names: Vec<&str> = TAKEN.into_iter().chain(["top_p"]).collect();
    for name in ["model", "max_tokens", "messages"] {
        let optional = asker.counting && name == "max_tokens";
        if !optional && !members.contains_key(name) {
            return Err(required(name));
        }
    }
    if let Some(name) = members.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(fault(format!("{name}: Extra inputs are not permitted")));
    }
    let id = members["model"].as_str().ok_or_else(|| fault("model: Input should be a valid string"))?;
    let model = models::find(Api::Messages, id)?;
    if !asker.counting {
        limits(body, model)?;
    }
    sampling(body)?;
    thinking(body)?;
    tools::check(body)?;
    output(body)?;
    content::check(body, asker)?;
    marks(body)?;
    Ok(model)
}

fn limits(body: &Value, model: &Model) -> Result<(), Reject> {
    let limit = body["max_tokens"].as_i64().ok_or_else(|| fault("max_tokens: Input should be a valid integer"))?;
    if limit < 1 {
        return Err(fault("max_tokens: Input should be greater than or equal to 1"));
    }
    if limit.unsigned_abs() > model.output {
        return Err(fault(format!(
            "max_tokens: {limit} > {}, which is the maximum allowed number of output tokens for {}",
            model.output, model.id
        )));
    }
    for (at, stop) in list(body, "stop_sequences").iter().enumerate() {
        if stop.as_str().is_none_or(|stop| stop.trim().is_empty()) {
            return Err(fault(format!("stop_sequences.{at}: each stop sequence must contain non-whitespace")));
        }
    }
    if body.get("metadata").is_some_and(|metadata| !metadata.is_null()) {
        known(&body["metadata"], "metadata", &["user_id"])?;
    }
    Ok(())
}

fn sampling(body: &Value) -> Result<(), Reject> {
    for key in ["temperature", "top_p"] {
        let Some(value) = body.get(key).filter(|value| !value.is_null()) else { continue };
        let number = value.as_f64().ok_or_else(|| fault(format!("{key}: Input should be a valid number")))?;
        if !(0.0..=1.0).contains(&number) {
            return Err(fault(format!("{key}: range: 0..1")));
        }
    }
    if body["temperature"].is_number() && body["top_p"].is_number() {
        let message = "`temperature` and `top_p` cannot both be specified for this model. Please use only one.";
        return Err(fault(message));
    }
    Ok(())
}

fn thinking(body: &Value) -> Result<(), Reject> {
    let Some(thinking) = body.get("thinking").filter(|thinking| !thinking.is_null()) else { return Ok(()) };
    let kind = string(thinking, "type", "thinking")?;
    match kind {
        "disabled" => return known(thinking, "thinking.disabled", &["type"]),
        "adaptive" => known(thinking, "thinking.adaptive", &["type", "display"])?,
        "enabled" => budget(body, thinking)?,
        other => {
            return Err(fault(format!(
                "thinking: Input tag '{other}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'"
            )));
        }
    }
    if body["temperature"].as_f64().is_some_and(|temperature| (temperature - 1.0).abs() > f64::EPSILON) {
        return Err(fault("`temperature` may only be set to 1 when thinking is enabled or in adaptive mode."));
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err(fault("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

fn budget(body: &Value, thinking: &Value) -> Result<(), Reject> {
    known(thinking, "thinking.enabled", &["type", "budget_tokens", "display"])?;
    let budget = thinking["budget_tokens"].as_u64().ok_or_else(|| required("thinking.enabled.budget_tokens"))?;
    if budget < 1024 {
        return Err(fault("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
    }
    if body["max_tokens"].as_u64().is_some_and(|limit| limit <= budget) {
        return Err(fault(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
        ));
    }
    Ok(())
}

fn output(body: &Value) -> Result<(), Reject> {
    let config = &body["output_config"];
    if config.is_object() {
        known(config, "output_config", &["effort", "format", "task_budget"])?;
        if config["effort"].as_str().is_some_and(|effort| !EFFORTS.contains(&effort)) {
            return Err(fault("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"));
        }
    }
    let formats = [("output_config.format", config.get("format")), ("output_format", body.get("output_format"))];
    for (path, format) in formats {
        let Some(format) = format.filter(|format| !format.is_null()) else { continue };
        known(format, path, &["type", "schema"])?;
        if string(format, "type", path)? != "json_schema" {
            return Err(fault(format!("{path}.type: Input should be 'json_schema'")));
        }
        let schema = format.get("schema").ok_or_else(|| required(&format!("{path}.schema")))?;
        closed(schema, &format!("{path}.schema"))?;
    }
    Ok(())
}

/// Checks that every object of a structured output is closed.
fn closed(schema: &Value, path: &str) -> Result<(), Reject> {
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        let message = "For 'object' type, 'additionalProperties' must be explicitly set to false";
        return Err(fault(format!("{path}: {message}")));
    }
    for key in ["minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "prefixItems"] {
        if schema.get(key).is_some() {
            let kind = schema["type"].as_str().unwrap_or("any");
            return Err(fault(format!("{path}: For '{kind}' type, property '{key}' is not supported")));
        }
    }
    let inside = ["properties", "$defs", "definitions"];
    let members = inside.iter().filter_map(|key| schema[*key].as_object()).flatten().map(|(_, child)| child);
    let choices = ["anyOf", "allOf"].into_iter().flat_map(|key| list(schema, key));
    members.chain(choices).chain(schema.get("items")).try_for_each(|child| closed(child, path))
}

/// Checks that at most four blocks have `cache_control`.
fn marks(body: &Value) -> Result<(), Reject> {
    let marks = body.to_string().matches("\"cache_control\":{").count();
    if marks > 4 {
        return Err(fault(format!("A maximum of 4 blocks with cache_control may be provided. Found {marks}.")));
    }
    Ok(())
}
