//! OpenAI Responses, under the paths of OpenAI and of Codex.

use std::sync::Arc;

use http::StatusCode;
use proto::dialect::responses::compact as compaction;
use serde::Serialize;

use super::count::count;
use super::run::{json_about_model, receive, response_headers, run};
use super::websocket;
use crate::response::{HandlerResult, json_bytes};
use crate::route::RequestContext;

/// `POST /v1/responses`
pub(crate) async fn create(ctx: RequestContext) -> HandlerResult {
    run(ctx, None).await
}

/// `POST /v1/responses/review`: the same call, marked as a review.
pub(crate) async fn review(ctx: RequestContext) -> HandlerResult {
    run(ctx, Some("review")).await
}

/// `POST /v1/responses/compact`: the request gets a compaction trigger, and the response repeats the user's messages.
pub(crate) async fn compact(ctx: RequestContext) -> HandlerResult {
    let (call, body) = receive(ctx).await?;
    let (mut request, notes) = call.read(body).await?;
    let kept = compaction::ask(&mut request);
    // The response is another object, which no request can continue.
    request.store = Some(false);
    let app = Arc::clone(&call.app);
    let (head, reply) = call.whole((request, notes), None).await?;
    let made = compaction::made(&reply)?;
    if let Some(account) = &head.account {
        app.engine.note_sealed_item(&made, account);
    }
    let mut response = json_bytes(StatusCode::OK, compaction::answer(&reply, &kept, &made));
    response.headers_mut().extend(response_headers(head));
    Ok(response)
}

#[derive(Serialize)]
struct Counted {
    object: &'static str,
    input_tokens: u64,
}

/// `POST /v1/responses/input_tokens`
pub(crate) async fn input_tokens(ctx: RequestContext) -> HandlerResult {
    let (call, body) = receive(ctx).await?;
    let (request, _) = call.read(body).await?;
    let (model, input_tokens) = count(&call, request).await?;
    Ok(json_about_model(&model, &Counted { object: "response.input_tokens", input_tokens }))
}

/// `GET /v1/responses`: the same calls over a WebSocket. Codex's own path does the same and also accepts a Codex login.
pub(crate) async fn socket(ctx: RequestContext) -> HandlerResult {
    websocket::accept(ctx)
}
