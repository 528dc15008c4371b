//! The model lists of accounts and relays, and the retired models that clients still ask for.

use engine::{Refreshed, RetiredModel};
use http::StatusCode;
use pool::limits;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

#[derive(Serialize, ToSchema)]
#[schema(as = ModelsRefresh)]
struct RefreshReply {
    /// Whether every list was fetched.
    ok: bool,
    /// The result as text for people.
    message: String,
    /// Each list that was requested; none if all lists were requested a moment ago.
    lists: Vec<Refreshed>,
}

pub(crate) const REFRESH: Operation =
    Operation::new(Tag::Gateway, "Ask accounts and relays for their model lists now").gives::<RefreshReply>(200);

/// `POST /admin/refresh-models`
pub(crate) async fn refresh(ctx: RequestContext) -> HandlerResult {
    let lists = ctx.app.engine.models().refresh(limits::MODELS_REFRESH_INTERVALS.0).await;
    let failed = lists.iter().filter(|list| list.error.is_some()).count();
    let message = match (lists.len(), failed) {
        (0, _) => "The lists were asked for a moment ago, or there is nobody to ask".to_owned(),
        (all, 0) => format!("{all} model lists are fresh"),
        (all, failed) => format!("{failed} of {all} model lists did not come"),
    };
    Ok(json(StatusCode::OK, &RefreshReply { ok: failed == 0, message, lists }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = RetiredModels)]
struct RetiredReply {
    /// The retired models that clients have requested since this node started, the last requested one first; 64 at most.
    models: Vec<RetiredModel>,
}

pub(crate) const RETIRED: Operation =
    Operation::new(Tag::Gateway, "List the retired models that clients still ask for, and what answers instead")
        .gives::<RetiredReply>(200);

/// `GET /admin/retired-models`
pub(crate) async fn retired(ctx: RequestContext) -> HandlerResult {
    Ok(json(StatusCode::OK, &RetiredReply { models: ctx.app.engine.models().retired() }))
}
