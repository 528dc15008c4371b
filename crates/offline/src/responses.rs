//! `POST /backend-api/codex/responses`: checks the request, builds the answer and streams it. The turns of a socket use the same
//! checks and answers.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::account::Login;
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors;
use crate::models::{self, Model};
use crate::plan::shape::Frames;
use crate::record::Violation;
use crate::state::Shared;
use crate::token;

pub(crate) mod cache;
pub(crate) mod check;
mod choose;
pub(crate) mod compact;
pub(crate) mod events;
pub(crate) mod image;
mod item;
pub(crate) mod read;
pub(crate) mod search;
mod turn;

pub(crate) use events::EventFrames;
use read::{CheckedRequest, Requester};
pub(crate) use turn::PlannedResponse;

/// Cookies that a Codex client stores.
const KEPT: [&str; 9] =
    ["__cf_bm", "__cflb", "__cfruid", "__cfseq", "__cfwaitingroom", "_cfuvid", "cf_clearance", "cf_ob_info", "__oailb"];

/// A model request over HTTP or a socket.
#[derive(Clone, Copy)]
pub(crate) struct ModelCall<'a> {
    pub(crate) request: u64,
    pub(crate) body: Option<&'a Value>,
    /// The size of the whole conversation, bytes.
    pub(crate) bytes: usize,
    pub(crate) lite: bool,
    /// The client's turn state.
    pub(crate) state: Option<&'a str>,
    /// The id of the response that this request continues.
    pub(crate) previous: Option<&'a str>,
}

/// The model's answer with its headers.
pub(crate) struct ModelReply {
    pub(crate) turn: PlannedResponse,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// The answer to one model request over HTTP.
pub(crate) fn answer(shared: &Shared, call: &Call, person: &Login) -> Answer {
    check_cookies(shared, call, person);
    let asked = ModelCall {
        request: call.id,
        body: call.json.as_ref(),
        bytes: call.body.len(),
        lite: header(&call.headers, "x-openai-internal-codex-responses-lite") == Some("true"),
        state: header(&call.headers, "x-codex-turn-state"),
        previous: None,
    };
    let reply = match reply(shared, person, asked) {
        Ok(reply) => reply,
        Err(answer) => return *answer,
    };
    let frames = EventFrames::new(reply.turn, shared.options.completed_output);
    let frames: Frames = if shared.options.rate_limits_event {
        Box::new(std::iter::once(events::rate_limits(person)).chain(frames))
    } else {
        Box::new(frames)
    };
    let mut answer = Answer::stream(frames);
    for (name, value) in &reply.headers {
        answer.header(name, value);
    }
    answer.header("openai-processing-ms", "7");
    decorate(&mut answer, &errors::limit_headers(person));
    if shared.options.cookies {
        cookies(&mut answer, call, person);
    }
    answer
}

/// Checks a request and builds its answer; a refusal is an answer, too.
pub(crate) fn reply(shared: &Shared, person: &Login, asked: ModelCall<'_>) -> Result<ModelReply, Box<Answer>> {
    let (model, body) = check::all(shared, person, asked.body, asked.lite)?;
    let state = turn_state(shared, asked, person);
    if let Some(resets_at) = person.quota.resets_at() {
        return Err(Box::new(exhausted(person, resets_at, &errors::limit_headers(person))));
    }
    let draws = person.plan != "free";
    let who = Requester { slug: model.slug, default_effort: model.default_effort, account: &person.account_id, draws };
    let ask = CheckedRequest::new(who, body);
    let usage = cache::usage(&mut shared.cache.lock(), &ask, asked.bytes);
    let mut response = response(&ask, person);
    response.insert("previous_response_id".into(), asked.previous.into());
    let headers = vec![
        ("x-models-etag", models::etag(person)),
        ("openai-model", model.slug.to_owned()),
        ("x-codex-turn-state", state),
        ("x-reasoning-included", "true".to_owned()),
    ];
    Ok(ModelReply { turn: PlannedResponse::new(&ask, response, usage), headers })
}

/// Adds the headers that every answer of the CDN edge has.
pub(crate) fn decorate(answer: &mut Answer, limits: &[(String, String)]) {
    let id = uuid::Uuid::new_v4().to_string();
    let ray = format!("{}-AMS", &token::hex()[..16]);
    answer.header("x-request-id", &id);
    answer.header("x-oai-request-id", &id);
    answer.header("cf-ray", &ray);
    answer.header("server", "cloudflare");
    answer.header("cf-cache-status", "DYNAMIC");
    for (name, value) in limits {
        answer.header(name, value);
    }
}

fn exhausted(person: &Login, resets_at: i64, limits: &[(String, String)]) -> Answer {
    let mut answer = Answer::json(429, &errors::usage_limit(&person.plan, resets_at));
    decorate(&mut answer, limits);
    if let Some(reached) = &person.quota.reached {
        answer.header("x-codex-rate-limit-reached-type", reached);
    }
    answer
}

/// Eight characters that mark an account's cookies and turn states.
fn tag(person: &Login) -> &str {
    let id = person.account_id.as_str();
    id.get(..8).unwrap_or(id)
}

/// The turn state to send: the client's own, or a new one.
fn turn_state(shared: &Shared, asked: ModelCall<'_>, person: &Login) -> String {
    match asked.state {
        Some(state) => {
            if !state.starts_with(&format!("ts_{}_", tag(person))) {
                shared.recorder.record_offence(Violation::TurnStateCrossed { request: asked.request });
            }
            state.to_owned()
        }
        None => format!("ts_{}_{}", tag(person), token::random(24)),
    }
}

pub(crate) fn cookies(answer: &mut Answer, call: &Call, person: &Login) {
    if header(&call.headers, "cookie").is_some_and(|cookie| cookie.contains("__cf_bm=")) {
        return;
    }
    for name in ["__cf_bm", "_cfuvid", "oai-did"] {
        let value = format!("{name}={}.{}; Path=/; HttpOnly; SameSite=None", tag(person), token::random(18));
        answer.header("set-cookie", &value);
    }
}

/// Checks the request's cookies: the client may send only storable cookies, and only the account's own.
pub(crate) fn check_cookies(shared: &Shared, call: &Call, person: &Login) {
    let request = call.id;
    let pairs = header(&call.headers, "cookie").unwrap_or_default().split("; ");
    for (name, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        let name = name.to_owned();
        let (kept, own) = (KEPT.contains(&name.as_str()) || name.starts_with("cf_chl_"), tag(person));
        if !kept {
            shared.recorder.record_offence(Violation::ForbiddenCookie { request, name });
        } else if !value.starts_with(own) {
            shared.recorder.record_offence(Violation::CookieCrossed { request, name });
        }
    }
}

/// Unix seconds, for `created_at`.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The `response` object of `response.created`, with every key of the real one.
fn response(ask: &CheckedRequest<'_>, person: &Login) -> Map<String, Value> {
    let body = ask.body;
    let echo = |key: &str, default: Value| body.get(key).cloned().unwrap_or(default);
    let text = json!({
        "format": body.get("text").and_then(|text| text.get("format")).cloned().unwrap_or(json!({ "type": "text" })),
        "verbosity": body.get("text").and_then(|text| text.get("verbosity")).cloned().unwrap_or(json!("low")),
    });
    let effort = ask.reasoning("effort").unwrap_or(ask.default_effort);
    let count = json!({ "image_tokens": 0, "text_tokens": 0 });
    let image = json!({ "input_tokens": 0, "input_tokens_details": count, "output_tokens": 0, "output_tokens_details": count, "total_tokens": 0 });
    let response = json!({
        "id": format!("resp_{}", token::hex()),
        "object": "response",
        "created_at": now(),
        "status": "in_progress",
        "background": false,
        "completed_at": null,
        "error": null,
        "frequency_penalty": 0.0,
        "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": ask.slug,
        "output": [],
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "presence_penalty": 0.0,
        "previous_response_id": null,
        "prompt_cache_key": echo("prompt_cache_key", Value::Null),
        "prompt_cache_retention": null,
        "reasoning": { "effort": effort, "summary": ask.reasoning("summary") },
        "safety_identifier": person.user,
        "service_tier": echo("service_tier", json!("auto")),
        "store": false,
        "temperature": 1.0,
        "text": text,
        "tool_choice": echo("tool_choice", json!("auto")),
        "tool_usage": { "image_gen": image, "web_search": { "num_requests": 0 } },
        "tools": echo("tools", json!([])),
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    });
    match response {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The model and the checked body, which is an object.
type Checked<'a> = (&'static Model, &'a Value);
