//! Public APIs on the same listener, for relays: `/relay/{chat,responses,messages,gemini}`, each as strict as the real one.
//!
//! Every key that begins with `sk-offline` is valid, so that a test may use many keys. Requests are checked as the provider checks
//! them and refused with the provider's texts. The content of answers comes from `responder`, as for the ChatGPT backend.

use http::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;
use crate::plan::Endpoint;
use crate::plan::api::Api;
use crate::state::Shared;
use crate::token;

mod chat;
mod field;
mod gemini;
mod key;
mod media;
mod messages;
mod models;
mod reply;
mod responses;

pub(crate) use key::{presented as key, wrong as wrong_key};

/// OpenAI's endpoints without a chat model.
const MEDIA: [&str; 6] = [
    "/v1/embeddings", "/v1/audio/speech", "/v1/audio/transcriptions", "/v1/audio/translations",
    "/v1/images/generations", "/v1/images/edits",
];

/// The endpoint of a path; `path` is without the `/relay/NAME`.
pub(crate) fn place(api: Api, method: &Method, path: &str) -> Endpoint {
    let post = method == Method::POST;
    match (api, path) {
        (Api::Gemini, _) => gemini::place(method, path),
        (Api::Chat, "/v1/chat/completions") if post => Endpoint::ChatRelay,
        (Api::Responses, "/v1/responses") if post => Endpoint::ResponsesRelay,
        (Api::Messages, "/v1/messages") if post => Endpoint::MessagesRelay,
        (Api::Messages, "/v1/messages/count_tokens") if post => Endpoint::RelayCount,
        (Api::Chat | Api::Responses, path) if post && MEDIA.contains(&path) => Endpoint::RelayMedia,
        (_, path) if method == Method::GET && under(path, "/v1/models") => Endpoint::RelayModels,
        _ => Endpoint::Other,
    }
}

/// Whether `path` is `parent` or below it.
fn under(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The model in a path; only Gemini's paths have one.
pub(crate) fn model_in_path(api: Api, path: &str) -> Option<&str> {
    if api != Api::Gemini {
        return None;
    }
    let (_, rest) = path.split_once("/models/")?;
    Some(rest.split_once(':').map_or(rest, |(model, _)| model))
}

/// The text of the last user message; the request need not be valid.
pub(crate) fn prompt(api: Api, body: &Value) -> String {
    match api {
        Api::Backend | Api::Responses => crate::responses::read::last_prompt(body),
        Api::Chat => chat::read::prompt(body),
        Api::Messages => messages::read::prompt(body),
        Api::Gemini => gemini::read::prompt(&gemini::read::normal(body)),
    }
}

/// The answer to one request.
pub(crate) fn answer(shared: &Shared, (api, place): (Api, Endpoint), call: &Call) -> Answer {
    let mut answer = open(shared, (api, place), call).unwrap_or_else(Answer::from);
    decorate(&mut answer, api);
    answer
}

fn open(shared: &Shared, (api, place): (Api, Endpoint), call: &Call) -> Result<Answer, Reject> {
    let path = Api::of(call.uri.path()).1;
    if place == Endpoint::Other {
        return not_found_page(api, call, path);
    }
    key::check(api, call)?;
    if call.method == Method::POST && place != Endpoint::RelayMedia {
        parsed(api, call)?;
    }
    match (api, place) {
        (_, Endpoint::RelayModels) => models::answer(api, path, call.uri.query().unwrap_or_default()),
        (_, Endpoint::RelayMedia) => media::answer(api, path, call),
        (Api::Chat, _) => chat::answer(shared, call),
        (Api::Responses, _) => responses::answer(shared, call),
        (Api::Messages, place) => messages::answer(shared, call, place),
        (Api::Gemini | Api::Backend, _) => gemini::answer(shared, call, path),
    }
}

/// The provider's page for a path that it does not have.
fn not_found_page(api: Api, call: &Call, path: &str) -> Result<Answer, Reject> {
    match api {
        Api::Messages => Err(api.refusal(404, "Not found")),
        Api::Gemini => {
            let page = "<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title>\
                <p><b>404.</b> <ins>That’s an error.</ins></html>";
            Ok(Answer::typed(404, "text/html; charset=UTF-8", page))
        }
        _ => {
            let message = format!("Invalid URL ({} {path})", call.method);
            Err(Reject { status: 404, body: crate::errors::error(&message, "invalid_request_error", None, None) })
        }
    }
}

/// Checks that the body is a JSON object and has the JSON content type.
fn parsed(api: Api, call: &Call) -> Result<(), Reject> {
    let kind = header(&call.headers, "content-type").unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        let message = format!(
            "Unsupported content type: '{kind}'. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: {kind}'. Please try again with a supported content type."
        );
        return Err(api.refusal(if api == Api::Gemini { 400 } else { 415 }, &message));
    }
    if call.json.as_ref().is_some_and(Value::is_object) {
        return Ok(());
    }
    Err(api.refusal(
        400,
        match api {
            Api::Messages => "The request body is not valid JSON: expected value: line 1 column 1 (char 0)",
            Api::Gemini => "Invalid JSON payload received. Expected a value.",
            _ => {
                "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
            }
        },
    ))
}

/// Adds the headers that every answer of the provider has.
fn decorate(answer: &mut Answer, api: Api) {
    let id = token::hex();
    let headers: &[(&str, &str)] = match api {
        Api::Messages => &[
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-11-21T10:12:00Z"),
        ],
        Api::Gemini => &[("server", "scaffolding on HTTPServer2"), ("x-content-type-options", "nosniff")],
        _ => &[
            ("openai-version", "2020-10-01"),
            ("openai-processing-ms", "7"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6ms"),
        ],
    };
    for (name, value) in headers {
        answer.header(name, value);
    }
    match api {
        Api::Messages => answer.header("request-id", &format!("req_{}", &id[..24])),
        Api::Gemini => {}
        _ => answer.header("x-request-id", &format!("req_{id}")),
    }
}

/// The input tokens of a request, and the part of them that is cached.
fn usage(shared: &Shared, call: &Call, who: &str, parts: &[&Value]) -> reply::InputTokens {
    let total = (call.body.len() / crate::responses::cache::TOKEN) as u64;
    let cached =
        shared.cache.lock().read(who, key(Api::of(call.uri.path()).0, call).unwrap_or_default(), parts.iter().copied());
    reply::InputTokens { total, cached: cached.min(total) }
}

/// The body; an earlier check found that it is an object.
fn body(call: &Call) -> &Value {
    static NOTHING: Value = Value::Null;
    call.json.as_ref().unwrap_or(&NOTHING)
}

/// An array member of a body; empty if the member is missing.
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// An id with the provider's prefix.
fn id(prefix: &str) -> String {
    format!("{prefix}{}", &token::hex()[..24])
}
