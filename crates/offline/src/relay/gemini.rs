//! `POST /relay/gemini/v1beta/models/M:{generateContent,streamGenerateContent,countTokens,embedContent}`; `v1` too.

use http::Method;
use serde_json::{Value, json};

use super::models::Kind;
use super::reply::RelayReply;
use super::{body, list, models, under, usage};
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::Reject;
use crate::plan::Endpoint;
use crate::plan::api::Api;
use crate::state::Shared;

mod check;
pub(super) mod read;
mod write;

/// The endpoint of a path.
pub(super) fn place(method: &Method, path: &str) -> Endpoint {
    let Some(rest) = path.strip_prefix("/v1beta").or_else(|| path.strip_prefix("/v1")) else { return Endpoint::Other };
    let action = rest.strip_prefix("/models/").and_then(|rest| rest.split_once(':')).map(|(_, action)| action);
    match (method, action) {
        (&Method::GET, None) if under(rest, "/models") => Endpoint::RelayModels,
        (&Method::POST, Some("generateContent" | "streamGenerateContent")) => Endpoint::GeminiRelay,
        (&Method::POST, Some("countTokens")) => Endpoint::RelayCount,
        (&Method::POST, Some("embedContent" | "batchEmbedContents")) => Endpoint::RelayMedia,
        _ => Endpoint::Other,
    }
}

/// The answer to one request.
pub(super) fn answer(shared: &Shared, call: &Call, path: &str) -> Result<Answer, Reject> {
    let body = read::normal(body(call));
    let (id, action) = path.rsplit_once('/').and_then(|(_, last)| last.split_once(':')).unwrap_or_default();
    let model = models::find(Api::Gemini, id)?;
    if model.kind == Kind::Embedding {
        let message = format!(
            "models/{id} is not found for API version v1beta, or is not supported for {action}. Call ListModels to see the list of available models and their supported methods."
        );
        return Err(Api::Gemini.refusal(404, &message));
    }
    if action == "countTokens" {
        return count(call, &body, id);
    }
    check::all(&body, model.kind)?;
    let parts: Vec<&Value> = list(&body, "tools").iter().chain(list(&body, "contents")).collect();
    let input = usage(shared, call, "gemini", &parts);
    let thinks = read::thinks(&body);
    let asked = read::plain(&body);
    let turn = RelayReply::new(&read::topic(&asked), &read::limits(&body), thinks);
    let head = write::ChunkHead::new(&body, id, input);
    if action == "generateContent" {
        return Ok(Answer::json(200, &write::whole(&turn, &head)));
    }
    let events = call.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let mut answer = Answer::stream(write::frames(&turn, head, events));
    if !events {
        answer.headers.remove("content-type");
        answer.header("content-type", "application/json; charset=UTF-8");
    }
    Ok(answer)
}

/// Counts the tokens of `contents`, or of a whole `generateContentRequest`.
fn count(call: &Call, body: &Value, model: &str) -> Result<Answer, Reject> {
    match &body["generateContentRequest"] {
        Value::Null => check::counted(body)?,
        inner => {
            if inner["model"].as_str().is_none_or(|name| name.trim_start_matches("models/") != model) {
                let message =
                    "* CountTokensRequest.generate_content_request.model: model must be the same as the one in the URL";
                return Err(Api::Gemini.refusal(400, message));
            }
            check::counted(inner)?;
        }
    }
    let tokens = call.body.len() / crate::responses::cache::TOKEN;
    let details = json!([{ "modality": "TEXT", "tokenCount": tokens }]);
    Ok(Answer::json(200, &json!({ "totalTokens": tokens, "promptTokensDetails": details })))
}
