//! Checks a chat request as the public API does.

use serde_json::{Map, Value};

use super::super::field::{self, EFFORTS, LEVELS, invalid, known, string, wrong_type};
use super::super::models::{Kind, Model};
use super::model;
use crate::errors::Reject;
use crate::responses::check::{format, missing, name, parameters};
use crate::responses::read::members;

mod messages;
#[cfg(test)]
mod tests;

/// Parameters of OpenAI's own models.
const TAKEN: [&str; 38] = [
    "model", "messages", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity",
    "web_search_options", "inference_geo",
];

/// Parameters that reasoning models refuse.
const SAMPLING: [&str; 7] =
    ["presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "stop", "top_p"];

/// Checks a whole request; the first fault is the answer.
pub(super) fn all(whole: &Value) -> Result<&'static Model, Reject> {
    let body = members(whole);
    let id = body.get("model").and_then(Value::as_str).filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Reject::invalid("you must provide a model parameter", None, None))?;
    let model = model(id)?;
    let open = matches!(model.kind, Kind::Open | Kind::OpenReasoning);
    match model.kind {
        Kind::Embedding | Kind::Speech | Kind::Transcription | Kind::Image => {
            let message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint. Did you mean to use v1/completions?";
            return Err(Reject {
                status: 404,
                body: crate::errors::error(message, "invalid_request_error", Some("model"), None),
            });
        }
        _ => {}
    }
    if let Some(name) = body.keys().find(|name| !open && !TAKEN.contains(&name.as_str())) {
        return Err(Reject::invalid(format!("Unrecognized request argument supplied: {name}"), None, None));
    }
    values(body)?;
    of_model(body, model.kind)?;
    tools(whole)?;
    response_format(whole)?;
    messages::check(whole, open)?;
    Ok(model)
}

/// Checks numbers, booleans and enums.
fn values(body: &Map<String, Value>) -> Result<(), Reject> {
    for (key, bounds) in [
        ("temperature", (0.0, 2.0)),
        ("top_p", (0.0, 1.0)),
        ("presence_penalty", (-2.0, 2.0)),
        ("frequency_penalty", (-2.0, 2.0)),
    ] {
        field::number(body, key, bounds)?;
    }
    for key in ["max_tokens", "max_completion_tokens"] {
        field::count(body, key, 1)?;
    }
    for key in ["stream", "parallel_tool_calls", "logprobs", "store"] {
        field::boolean(body, key)?;
    }
    if body.get("stream_options").is_some_and(|options| !options.is_null()) && body.get("stream") != Some(&true.into())
    {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Reject::invalid(message, Some("stream_options"), None));
    }
    let stops = body.get("stop").and_then(Value::as_array).map_or(0, Vec::len);
    if stops > 4 {
        let message = format!(
            "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {stops} instead."
        );
        return Err(Reject::invalid(message, Some("stop"), Some("array_above_max_length")));
    }
    let text = |key| body.get(key).and_then(Value::as_str);
    field::choice("reasoning_effort", text("reasoning_effort"), &EFFORTS)?;
    field::choice("verbosity", text("verbosity"), &LEVELS)
}

/// Refuses parameters that this model does not support.
fn of_model(body: &Map<String, Value>, kind: Kind) -> Result<(), Reject> {
    let has = |key: &&&str| body.get(**key).is_some_and(|value| !value.is_null());
    match kind {
        Kind::Plain if has(&&"reasoning_effort") => {
            Err(Reject::invalid("Unrecognized request argument supplied: reasoning_effort", None, None))
        }
        Kind::Reasoning if has(&&"max_tokens") => {
            Err(field::unsupported("max_tokens", " Use 'max_completion_tokens' instead."))
        }
        Kind::Reasoning => match SAMPLING.iter().find(has) {
            Some(key) => Err(field::unsupported(key, "")),
            None => temperature(body),
        },
        _ => Ok(()),
    }
}

fn temperature(body: &Map<String, Value>) -> Result<(), Reject> {
    let Some(value) = body.get("temperature").and_then(Value::as_f64) else { return Ok(()) };
    if (value - 1.0).abs() < f64::EPSILON {
        return Ok(());
    }
    let message = format!(
        "Unsupported value: 'temperature' does not support {value} with this model. Only the default (1) value is supported."
    );
    Err(Reject::invalid(message, Some("temperature"), Some("unsupported_value")))
}

fn tools(body: &Value) -> Result<(), Reject> {
    let Some(tools) = body.get("tools").filter(|tools| !tools.is_null()) else {
        return without_tools(body);
    };
    let tools = tools.as_array().ok_or_else(|| wrong_type("tools", "an array of objects", tools))?;
    if tools.is_empty() {
        let message =
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Reject::invalid(message, Some("tools"), Some("empty_array")));
    }
    for (at, tool) in tools.iter().enumerate() {
        one(tool, &format!("tools[{at}]"))?;
    }
    choice(body, tools)
}

fn without_tools(body: &Value) -> Result<(), Reject> {
    for key in ["tool_choice", "parallel_tool_calls"] {
        if body.get(key).is_some_and(|value| !value.is_null() && value != "none") {
            let message = format!("Invalid value for '{key}': '{key}' is only allowed when 'tools' are specified.");
            return Err(Reject::invalid(message, Some(key), None));
        }
    }
    Ok(())
}

/// Checks one tool; the flat form of Responses fails here as it does at OpenAI.
fn one(tool: &Value, path: &str) -> Result<(), Reject> {
    let kind = string(tool, "type", path)?;
    if !matches!(kind, "function" | "custom") {
        return Err(invalid(&format!("{path}.type"), kind, &["function", "custom"]));
    }
    let path = format!("{path}.{kind}");
    let inner = tool.get(kind).filter(|inner| inner.is_object()).ok_or_else(|| missing(&path))?;
    name(inner, &path)?;
    parameters(inner, &path)
}

/// Checks that the tool choice has a known form and names an offered tool.
fn choice(body: &Value, tools: &[Value]) -> Result<(), Reject> {
    const MODES: [&str; 3] = ["none", "auto", "required"];
    let choice = match body.get("tool_choice") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(mode)) if MODES.contains(&mode.as_str()) => return Ok(()),
        Some(Value::String(mode)) => return Err(invalid("tool_choice", mode, &MODES)),
        Some(choice) => choice,
    };
    let kind = string(choice, "type", "tool_choice")?;
    match kind {
        "allowed_tools" if choice["allowed_tools"].is_object() => Ok(()),
        "function" | "custom" => {
            let path = format!("tool_choice.{kind}");
            let inner = choice.get(kind).ok_or_else(|| missing(&path))?;
            let name = string(inner, "name", &path)?;
            if tools.iter().any(|tool| tool[kind]["name"] == name) {
                return Ok(());
            }
            let message = format!(
                "Invalid value for 'tool_choice': no {kind} named '{name}' was specified in the 'tools' parameter."
            );
            Err(Reject::invalid(message, Some("tool_choice"), None))
        }
        "allowed_tools" => Err(missing("tool_choice.allowed_tools")),
        other => Err(invalid("tool_choice.type", other, &["allowed_tools", "function", "custom"])),
    }
}

fn response_format(body: &Value) -> Result<(), Reject> {
    let Some(format) = body.get("response_format").filter(|format| !format.is_null()) else { return Ok(()) };
    match string(format, "type", "response_format")? {
        "text" => Ok(()),
        "json_object" => {
            if body["messages"].to_string().to_lowercase().contains("json") {
                return Ok(());
            }
            let message =
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.";
            Err(Reject::invalid(message, Some("messages"), None))
        }
        "json_schema" => schema(format),
        other => Err(invalid("response_format.type", other, &["json_object", "json_schema", "text"])),
    }
}

fn schema(outer: &Value) -> Result<(), Reject> {
    let path = "response_format.json_schema";
    let inner = outer.get("json_schema").ok_or_else(|| missing(path))?;
    let members = inner.as_object().ok_or_else(|| wrong_type(path, "an object", inner))?;
    known(members, path, &["name", "description", "schema", "strict"])?;
    name(inner, path)?;
    format::fits(inner).map_or(Ok(()), |message| Err(Reject::invalid(message, Some("response_format"), None)))
}
