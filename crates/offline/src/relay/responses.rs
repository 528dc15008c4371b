//! `POST /relay/responses/v1/responses`: the public API, which accepts other requests than the ChatGPT backend.

use serde_json::{Map, Value, json};

use super::{body, id, key, list, usage};
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::Reject;
use crate::plan::api::Api;
use crate::responses::cache::Usage;
use crate::responses::read::{CheckedRequest, Requester};
use crate::responses::{EventFrames, PlannedResponse};
use crate::state::Shared;
use crate::token;

mod check;
mod store;

/// The answer to one request.
pub(super) fn answer(shared: &Shared, call: &Call) -> Result<Answer, Reject> {
    let account = key(Api::Responses, call).unwrap_or_default();
    let body = &store::resolved(shared, account, body(call))?;
    let model = check::all(body, account, shared.options.strict_encrypted)?;
    let parts: Vec<&Value> = list(body, "tools").iter().chain(list(body, "input")).collect();
    let input = usage(shared, call, "responses", &parts);
    let who = Requester { slug: model.id, default_effort: check::default_effort(model), account, draws: true };
    let normal = normal(body, model.kind == super::models::Kind::Reasoning);
    let ask = CheckedRequest::new(who, &normal);
    let reasoning = if check::thinks(&normal) { 64 } else { 0 };
    let usage = Usage { input: input.total, cached: input.cached, reasoning };
    let mut turn = PlannedResponse::new(&ask, response(body, model.id), usage).public();
    if let Some(limit) = body["max_output_tokens"].as_u64() {
        turn = turn.limited(limit);
    }
    if body["store"] != false {
        store::keep(shared, account, turn.items());
    }
    if body["stream"] == true {
        return Ok(Answer::stream(Box::new(EventFrames::new(turn, true))));
    }
    Ok(Answer::json(200, &EventFrames::whole(turn)))
}

/// The request with its defaults: a string input becomes a message; a model that always reasons gets `reasoning`.
fn normal(body: &Value, reasons: bool) -> Value {
    let mut normal = body.clone();
    if let Some(text) = body["input"].as_str() {
        normal["input"] = json!([{ "type": "message", "role": "user", "content": text }]);
    }
    if reasons && !body["reasoning"].is_object() {
        normal["reasoning"] = json!({});
    }
    normal
}

/// The initial `response` object, with the request's parameters.
fn response(body: &Value, model: &str) -> Map<String, Value> {
    let echo = |key: &str, default: Value| body.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    let format = body["text"].get("format").cloned().unwrap_or_else(|| json!({ "type": "text" }));
    let verbosity = body["text"].get("verbosity").cloned().unwrap_or_else(|| json!("medium"));
    let response = json!({
        "id": id("resp_"),
        "object": "response",
        "created_at": token::now(),
        "status": "in_progress",
        "background": false,
        "completed_at": null,
        "error": null,
        "frequency_penalty": 0.0,
        "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": echo("max_output_tokens", Value::Null),
        "max_tool_calls": echo("max_tool_calls", Value::Null),
        "model": model,
        "output": [],
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "presence_penalty": 0.0,
        "previous_response_id": null,
        "prompt_cache_key": echo("prompt_cache_key", Value::Null),
        "prompt_cache_retention": echo("prompt_cache_retention", Value::Null),
        "reasoning": { "effort": body["reasoning"]["effort"], "summary": body["reasoning"]["summary"] },
        "safety_identifier": echo("safety_identifier", Value::Null),
        "service_tier": "default",
        "store": echo("store", json!(true)),
        "temperature": echo("temperature", json!(1.0)),
        "text": { "format": format, "verbosity": verbosity },
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": echo("tools", json!([])),
        "top_logprobs": echo("top_logprobs", json!(0)),
        "top_p": echo("top_p", json!(1.0)),
        "truncation": echo("truncation", json!("disabled")),
        "usage": null,
        "user": echo("user", Value::Null),
        "metadata": echo("metadata", json!({})),
    });
    match response {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
