//! Checks a request as the public Responses API does.

use serde_json::{Map, Value};

use super::super::field::{self, EFFORTS, LEVELS, known, wrong_type};
use super::super::models::{self, Kind, Model};
use crate::errors::Reject;
use crate::plan::api::Api;
use crate::responses::check::{self, BodyKind, CheckContext, missing};
use crate::responses::read::members;

const TAKEN: [&str; 33] = [
    "model", "input", "instructions", "background", "client_metadata", "context_management", "conversation", "include",
    "max_output_tokens", "max_tool_calls", "metadata", "moderation", "parallel_tool_calls", "previous_response_id",
    "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs",
    "top_p", "truncation", "user", "inference_geo",
];
const SUMMARIES: [&str; 3] = ["auto", "concise", "detailed"];
const TIERS: [&str; 5] = ["auto", "default", "flex", "scale", "priority"];

/// Checks a whole request; the first fault is the answer.
pub(super) fn all(whole: &Value, account: &str, strict_encrypted: bool) -> Result<&'static Model, Reject> {
    let body = members(whole);
    known(body, "", &TAKEN)?;
    let id = body.get("model").and_then(Value::as_str).ok_or_else(|| missing("model"))?;
    let model = models::find(Api::Responses, id)?;
    match body.get("input") {
        None | Some(Value::Null) => return Err(missing("input")),
        Some(Value::String(_) | Value::Array(_)) => {}
        Some(other) => return Err(wrong_type("input", "one of a string or array of items", other)),
    }
    values(body)?;
    of_model(body, model)?;
    let case = CheckContext { body, shape: BodyKind::Public, account, strict_encrypted };
    check::includes(case)?;
    check::longest(case)?;
    check::shared_parts(case)?;
    Ok(model)
}

/// Checks numbers, booleans and enums.
fn values(body: &Map<String, Value>) -> Result<(), Reject> {
    field::number(body, "temperature", (0.0, 2.0))?;
    field::number(body, "top_p", (0.0, 1.0))?;
    field::count(body, "max_output_tokens", 16)?;
    for key in ["stream", "store", "parallel_tool_calls", "background"] {
        field::boolean(body, key)?;
    }
    let member = |object: &str, key: &str| body.get(object).and_then(|object| object[key].as_str());
    field::choice("reasoning.effort", member("reasoning", "effort"), &EFFORTS)?;
    field::choice("reasoning.summary", member("reasoning", "summary"), &SUMMARIES)?;
    field::choice("text.verbosity", member("text", "verbosity"), &LEVELS)?;
    field::choice("service_tier", body.get("service_tier").and_then(Value::as_str), &TIERS)?;
    if let Some(id) = body.get("previous_response_id").and_then(Value::as_str) {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(Reject::invalid(message, Some("previous_response_id"), Some("previous_response_not_found")));
    }
    Ok(())
}

/// Refuses parameters that this model does not support.
fn of_model(body: &Map<String, Value>, model: &Model) -> Result<(), Reject> {
    let has = |key: &&&str| body.get(**key).is_some_and(|value| !value.is_null());
    match model.kind {
        Kind::Reasoning => match ["temperature", "top_p", "top_logprobs"].iter().find(has) {
            Some(key) => Err(field::unsupported(key, "")),
            None => Ok(()),
        },
        Kind::Plain => {
            let is_set = |key: &&&str| body.get("reasoning").is_some_and(|reasoning| !reasoning[**key].is_null());
            let include = body.get("include").and_then(Value::as_array).into_iter().flatten();
            if let Some(key) = ["effort", "summary"].iter().find(is_set) {
                Err(field::unsupported(&format!("reasoning.{key}"), ""))
            } else if include.into_iter().any(|name| name == "reasoning.encrypted_content") {
                let message = "Encrypted content is not supported with this model.";
                Err(Reject::invalid(message, Some("include"), None))
            } else {
                Ok(())
            }
        }
        _ => {
            let message = format!("The model `{}` does not support the Responses API.", model.id);
            Err(Reject::invalid(message, Some("model"), Some("unsupported_model")))
        }
    }
}

/// The model's default effort.
pub(super) fn default_effort(model: &Model) -> &'static str {
    if model.kind == Kind::Reasoning { "medium" } else { "none" }
}

/// Whether the model reasons about a request; the request has its defaults.
pub(super) fn thinks(body: &Value) -> bool {
    body["reasoning"].is_object() && !matches!(body["reasoning"]["effort"].as_str(), Some("none" | "minimal"))
}
