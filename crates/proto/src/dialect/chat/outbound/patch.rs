//! Patches the client's own body for another chat upstream: key order and unknown fields stay unchanged.

use bytes::Bytes;

use crate::json::Shape;
use crate::json::patch;
use crate::text::{Json, Text};

/// `raw` with this model, streaming and usage.
pub(super) fn body(raw: &Bytes, model: &str, effort: Option<&str>) -> Bytes {
    let body = Json::from_valid(raw.clone());
    let yes = Json::of(&true);
    let options = body.get("stream_options").filter(|options| options.shape() == Shape::Object);
    let options = options.unwrap_or(Json::EMPTY);
    let options = patch::set(&options, "include_usage", &yes);
    let body = patch::set(&body, "model", &Text::from_plain(model).quoted());
    let body = patch::set(&body, "stream", &yes);
    let body = patch::set(&body, "stream_options", &options);
    let has_own = body.get("reasoning_effort").or_else(|| body.get("reasoning")).is_some();
    let effort = effort.filter(|_| !has_own);
    let body =
        effort.map(|effort| patch::set(&body, "reasoning_effort", &Text::from_plain(effort).quoted())).unwrap_or(body);
    body.bytes().clone()
}
