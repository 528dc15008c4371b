//! Checks a request as the backend does, with its exact error bodies where they are known.
//!
//! Bodies in the `detail` form were reported from the live backend; those in the `error` form follow the public API, on which the
//! backend is built. A comment marks a text that no report quotes.

use serde_json::{Map, Value};

use super::Checked;
use crate::account::Login;
use crate::errors::Reject;
use crate::models::{self, Model};
use crate::state::Shared;

pub(crate) mod encrypted;
pub(crate) mod format;
mod input;
#[cfg(test)]
mod tests;
mod tools;

pub(crate) use tools::{name, parameters};

/// Parameters that are accepted over HTTP. Every other name is unsupported.
const TAKEN: [&str; 14] = [
    "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "store", "stream",
    "include", "prompt_cache_key", "text", "service_tier", "client_metadata",
];

const INCLUDES: [&str; 7] = [
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
    "code_interpreter_call.outputs",
    "file_search_call.results",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
];

/// The request to check.
#[derive(Clone, Copy)]
pub(crate) struct CheckContext<'a> {
    pub(crate) body: &'a Map<String, Value>,
    /// The shape of the body.
    pub(crate) shape: BodyKind,
    /// The account that owns the encrypted reasoning.
    pub(crate) account: &'a str,
    pub(crate) strict_encrypted: bool,
}

/// The shape of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// The ChatGPT backend, older models.
    Classic,
    /// The ChatGPT backend, newer models.
    Lite,
    /// The public API.
    Public,
}

/// Checks a whole request; the first fault is the answer.
pub(super) fn all<'a>(
    shared: &Shared,
    person: &Login,
    body: Option<&'a Value>,
    lite: bool,
) -> Result<Checked<'a>, Reject> {
    let both = body.and_then(|whole| Some((whole, whole.as_object()?)));
    let (whole, body) = both.ok_or_else(|| Reject::detail(400, "Request body must be a JSON object"))?;
    let slug = body.get("model").and_then(Value::as_str);
    let slug = slug.ok_or_else(|| missing("model"))?;
    let model = models::find(person, slug).ok_or_else(|| unsupported_model(slug))?;
    let shape = if model.lite { BodyKind::Lite } else { BodyKind::Classic };
    let case =
        CheckContext { body, shape, account: &person.account_id, strict_encrypted: shared.options.strict_encrypted };
    required(case)?;
    if let Some(name) = body.keys().find(|name| !TAKEN.contains(&name.as_str())) {
        return Err(Reject::detail(400, format!("Unsupported parameter: {name}")));
    }
    dialect(case, model, lite)?;
    values(case, model)?;
    shared_parts(case)?;
    Ok((model, whole))
}

/// Checks only the items of a conversation.
pub(super) fn items(shared: &Shared, person: &Login, body: &Map<String, Value>) -> Result<(), Reject> {
    let strict_encrypted = shared.options.strict_encrypted;
    input::check(CheckContext { body, shape: BodyKind::Lite, account: &person.account_id, strict_encrypted })
}

/// The refusal of a model that this kind of account does not have.
pub(crate) fn unsupported_model(slug: &str) -> Reject {
    Reject::detail(400, format!("The '{slug}' model is not supported when using Codex with a ChatGPT account."))
}

/// The checks that the ChatGPT backend and the public API share: tools, output format, input.
pub(crate) fn shared_parts(case: CheckContext<'_>) -> Result<(), Reject> {
    tools::check(case)?;
    format::check(case)?;
    input::check(case)
}

pub(crate) fn missing(name: &str) -> Reject {
    let message = format!("Missing required parameter: '{name}'.");
    Reject::invalid(message, Some(name), Some("missing_required_parameter"))
}

pub(crate) fn unsupported_value(param: &str, value: &str, model: &str, allowed: &[&str]) -> Reject {
    let allowed: Vec<String> = allowed.iter().map(|value| format!("'{value}'")).collect();
    let message = format!(
        "Unsupported value: '{value}' is not supported with the '{model}' model. Supported values are: {}.",
        allowed.join(", ")
    );
    Reject::invalid(message, Some(param), Some("unsupported_value"))
}

fn required(case: CheckContext<'_>) -> Result<(), Reject> {
    let is = |name: &str, want: bool| case.body.get(name).and_then(Value::as_bool) == Some(want);
    if !is("store", false) {
        return Err(Reject::detail(400, "Store must be set to false"));
    }
    if !is("stream", true) {
        return Err(Reject::detail(400, "Stream must be set to true"));
    }
    if !case.body.get("input").is_some_and(Value::is_array) {
        return Err(Reject::detail(400, "Input must be a list"));
    }
    Ok(())
}

/// Checks that the request has the shape of its model, classic or lite.
fn dialect(case: CheckContext<'_>, model: &Model, lite: bool) -> Result<(), Reject> {
    let slug = model.slug;
    let legacy = case.body.contains_key("tools") || case.body.contains_key("instructions");
    match (model.lite, lite) {
        (true, true) if !legacy => reasoning_context(case, slug),
        (true, _) => Err(Reject::detail(404, format!("Model not found {slug}"))),
        // The live backend's text is not known; this text is an invention.
        (false, true) => Err(Reject::detail(400, format!("Responses Lite is not supported by {slug}"))),
        (false, false) => instructions(case),
    }
}

/// Checks the reasoning context, which lite requests must set.
fn reasoning_context(case: CheckContext<'_>, slug: &str) -> Result<(), Reject> {
    const CONTEXTS: [&str; 3] = ["auto", "current_turn", "all_turns"];
    let context = case.body.get("reasoning").and_then(|reasoning| reasoning["context"].as_str());
    match context {
        Some(context) if CONTEXTS.contains(&context) => Ok(()),
        other => Err(unsupported_value("reasoning.context", other.unwrap_or("null"), slug, &CONTEXTS)),
    }
}

/// Checks that a classic request has instructions, at the top or as the first message.
fn instructions(case: CheckContext<'_>) -> Result<(), Reject> {
    let given = case.body.get("instructions").and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let first = case.body.get("input").and_then(|input| input.get(0));
    if given || first.is_some_and(|item| item["role"] == "developer") {
        return Ok(());
    }
    Err(Reject::detail(400, "Instructions are required"))
}

/// Checks single values.
fn values(case: CheckContext<'_>, model: &Model) -> Result<(), Reject> {
    let slug = model.slug;
    let member = |object: &str, key: &str| case.body.get(object).and_then(|object| object[key].as_str());
    let efforts: Vec<&str> = ["none"].into_iter().chain(model.efforts()).collect();
    let tiers: &[&str] = if model.fast { &["priority"] } else { &[] };
    let choices: [(&str, Option<&str>, &[&str]); 4] = [
        ("reasoning.effort", member("reasoning", "effort"), &efforts),
        ("reasoning.summary", member("reasoning", "summary"), &["auto", "concise", "detailed", "none"]),
        ("text.verbosity", member("text", "verbosity"), &["low", "medium", "high"]),
        ("service_tier", case.body.get("service_tier").and_then(Value::as_str), tiers),
    ];
    for (param, value, allowed) in choices {
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            return Err(unsupported_value(param, value, slug, allowed));
        }
    }
    includes(case)?;
    longest(case)
}

pub(crate) fn includes(case: CheckContext<'_>) -> Result<(), Reject> {
    let names = case.body.get("include").and_then(Value::as_array).into_iter().flatten();
    for (at, name) in names.enumerate() {
        if !name.as_str().is_some_and(|name| INCLUDES.contains(&name)) {
            let (param, allowed) = (format!("include[{at}]"), INCLUDES.map(|name| format!("'{name}'")).join(", "));
            let message = format!("Invalid value: {name}. Supported values are: {allowed}.");
            return Err(Reject::invalid(message, Some(&param), Some("invalid_value")));
        }
    }
    Ok(())
}

/// Checks the strings that have a maximum length.
pub(crate) fn longest(case: CheckContext<'_>) -> Result<(), Reject> {
    let key = case.body.get("prompt_cache_key").and_then(Value::as_str);
    if let Some(key) = key.filter(|key| key.chars().count() > 64) {
        return Err(too_long("prompt_cache_key", 64, key.chars().count()));
    }
    for (name, value) in case.body.get("client_metadata").and_then(Value::as_object).into_iter().flatten() {
        let param = format!("client_metadata.{name}");
        let Some(text) = value.as_str() else {
            return Err(Reject::invalid(
                format!("Invalid type for '{param}': expected a string."),
                Some(&param),
                Some("invalid_type"),
            ));
        };
        if text.chars().count() > 2_048 {
            return Err(too_long(&param, 2_048, text.chars().count()));
        }
    }
    Ok(())
}

pub(crate) fn too_long(param: &str, most: usize, is: usize) -> Reject {
    let message = format!(
        "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with length {is} instead."
    );
    Reject::invalid(message, Some(param), Some("string_above_max_length"))
}
