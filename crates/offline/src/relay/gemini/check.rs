//! Checks a request as Google's API does, with its error texts.

use serde_json::{Value, json};

use super::super::list;
use super::super::models::Kind;
use crate::errors::Reject;
use crate::plan::api::Api;

mod contents;
mod schema;
#[cfg(test)]
mod tests;
mod tools;

const TAKEN: [&str; 10] = [
    "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig", "cachedContent",
    "model", "serviceTier", "store",
];
const CONFIG: [&str; 21] = [
    "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities",
    "responseFormat", "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty",
    "frequencyPenalty", "responseLogprobs", "logprobs", "enableEnhancedCivicAnswers", "speechConfig", "thinkingConfig",
    "imageConfig", "mediaResolution",
];

const LEVELS: [&str; 4] = ["minimal", "low", "medium", "high"];

/// The refusal of a field's value.
fn fault(message: impl AsRef<str>) -> Reject {
    Api::Gemini.refusal(400, message.as_ref())
}

/// The refusal of a malformed payload: the parser's error text and the field's path.
fn form(path: &str, description: &str) -> Reject {
    let message = format!("Invalid JSON payload received. {description}");
    let mut reject = fault(&message);
    let violation = json!({ "field": path, "description": message });
    reject.body["error"]["details"] =
        json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation] }]);
    reject
}

/// Refuses members that are not in `names`; the body is already normalised.
fn known(object: &Value, path: &str, names: &[&str]) -> Result<(), Reject> {
    let Some(members) = object.as_object() else {
        return Err(form(path, &format!("Unknown name \"\" at '{path}': Cannot bind non-object value.")));
    };
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let at = if path.is_empty() { String::new() } else { format!(" at '{path}'") };
            Err(form(path, &format!("Unknown name \"{name}\"{at}: Cannot find field.")))
        }
    }
}

/// The refusal of a value with a wrong type.
fn wrong(path: &str, kind: &str, is: &Value) -> Reject {
    let mut reject = fault(format!("Invalid value at '{path}' ({kind}), {is}"));
    let violation = json!({ "field": path, "description": reject.body["error"]["message"] });
    reject.body["error"]["details"] =
        json!([{ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation] }]);
    reject
}

/// Checks a whole request; the first fault is the answer.
pub(super) fn all(body: &Value, kind: Kind) -> Result<(), Reject> {
    known(body, "", &TAKEN)?;
    config(body)?;
    tools::check(body)?;
    contents::check(body)?;
    if kind == Kind::Signing { contents::signed(body) } else { Ok(()) }
}

/// Checks a `countTokens` request: only its contents.
pub(super) fn counted(body: &Value) -> Result<(), Reject> {
    contents::check(body)
}

fn config(body: &Value) -> Result<(), Reject> {
    let Some(config) = body.get("generationConfig").filter(|config| !config.is_null()) else { return Ok(()) };
    known(config, "generation_config", &CONFIG)?;
    for (key, name) in [("temperature", "temperature"), ("topP", "top_p"), ("maxOutputTokens", "max_output_tokens")] {
        if let Some(value) = config.get(key).filter(|value| !value.is_number() && !value.is_null()) {
            return Err(wrong(&format!("generation_config.{name}"), "TYPE_FLOAT", value));
        }
    }
    if config["temperature"].as_f64().is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(fault(
            "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0]",
        ));
    }
    if list(config, "stopSequences").len() > 5 {
        return Err(fault(
            "* GenerateContentRequest.generation_config.stop_sequences: at most 5 stop sequences are allowed",
        ));
    }
    if config["candidateCount"].as_u64().is_some_and(|count| count > 1) {
        return Err(fault("Only one candidate can be specified in the current model"));
    }
    thinking(config)?;
    output(config)
}

fn thinking(config: &Value) -> Result<(), Reject> {
    let Some(thinking) = config.get("thinkingConfig").filter(|thinking| !thinking.is_null()) else { return Ok(()) };
    known(thinking, "generation_config.thinking_config", &["includeThoughts", "thinkingBudget", "thinkingLevel"])?;
    if thinking["thinkingBudget"].is_number() && thinking["thinkingLevel"].is_string() {
        return Err(fault("You can only set one of thinking budget and thinking level."));
    }
    let level = thinking["thinkingLevel"].as_str().map(str::to_lowercase);
    if level.is_some_and(|level| !LEVELS.contains(&level.as_str())) {
        let path = "generation_config.thinking_config.thinking_level";
        let kind = "type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel";
        return Err(wrong(path, kind, &thinking["thinkingLevel"]));
    }
    Ok(())
}

fn output(config: &Value) -> Result<(), Reject> {
    let (own, plain) = (config.get("responseSchema"), config.get("responseJsonSchema"));
    if own.is_none() && plain.is_none() {
        return Ok(());
    }
    if own.is_some() && plain.is_some() {
        return Err(fault("Only one of response_schema and response_json_schema can be set."));
    }
    if !matches!(config["responseMimeType"].as_str(), Some("application/json" | "text/x.enum")) {
        return Err(fault(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when response_mime_type is set to application/json",
        ));
    }
    own.map_or(Ok(()), |own| schema::check(own, "generation_config.response_schema"))
}
