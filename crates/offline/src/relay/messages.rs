//! `POST /relay/messages/v1/messages` and its `count_tokens`.

use serde_json::{Value, json};

use super::reply::RelayReply;
use super::{body, key, list, usage};
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;
use crate::plan::Endpoint;
use crate::plan::api::Api;
use crate::state::Shared;

mod check;
pub(super) mod read;
mod seal;
mod write;

/// The answer to one request.
pub(super) fn answer(shared: &Shared, call: &Call, place: Endpoint) -> Result<Answer, Reject> {
    let body = body(call);
    let owner = key(Api::Messages, call).unwrap_or_default();
    let counting = place == Endpoint::RelayCount;
    let betas = header(&call.headers, "anthropic-beta").unwrap_or_default();
    let model = check::all(body, check::Caller { owner, betas, counting })?;
    let parts: Vec<&Value> =
        list(body, "tools").iter().chain(body.get("system")).chain(list(body, "messages")).collect();
    if counting {
        let tokens = call.body.len() / crate::responses::cache::TOKEN;
        return Ok(Answer::json(200, &json!({ "input_tokens": tokens })));
    }
    let mut input = usage(shared, call, "messages", &parts);
    let marked = read::marked(body);
    if !marked {
        input.cached = 0;
    }
    let topic = read::topic(body);
    let turn = RelayReply::new(&topic, &read::limits(body), read::thinks(body));
    let head = write::ReplyHead::new(body, model.id, owner, (input, marked));
    if body["stream"] == true {
        return Ok(Answer::stream(write::frames(&turn, &head)));
    }
    Ok(Answer::json(200, &write::whole(&turn, &head)))
}
