//! `POST /relay/chat/v1/chat/completions`.

use serde_json::Value;

use super::reply::RelayReply;
use super::{body, list, models, usage};
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::Reject;
use crate::plan::api::Api;
use crate::state::Shared;

mod check;
pub(super) mod read;
mod write;

/// The answer to one request.
pub(super) fn answer(shared: &Shared, call: &Call) -> Result<Answer, Reject> {
    let body = body(call);
    let model = check::all(body)?;
    let parts: Vec<&Value> = list(body, "tools").iter().chain(list(body, "messages")).collect();
    let input = usage(shared, call, "chat", &parts);
    let thinks = read::thinks(body, model.kind);
    let turn = RelayReply::new(&read::topic(body), &read::limits(body), thinks);
    let head = write::ChunkHead::new(body, model, input);
    if body["stream"] == true {
        return Ok(Answer::stream(write::frames(&turn, &head)));
    }
    Ok(Answer::json(200, &write::whole(&turn, &head)))
}

/// A model of this API.
fn model(id: &str) -> Result<&'static models::Model, Reject> {
    models::find(Api::Chat, id)
}
