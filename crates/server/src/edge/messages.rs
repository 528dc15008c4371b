//! Anthropic Messages.

use serde::Serialize;

use super::count::count;
use super::run::{json_about_model, receive, run};
use crate::response::HandlerResult;
use crate::route::RequestContext;

#[derive(Serialize)]
struct Counted {
    input_tokens: u64,
}

/// `POST /v1/messages`
pub(crate) async fn create(ctx: RequestContext) -> HandlerResult {
    run(ctx, None).await
}

/// `POST /v1/messages/count_tokens`
pub(crate) async fn count_tokens(ctx: RequestContext) -> HandlerResult {
    let (call, body) = receive(ctx).await?;
    let (request, _) = call.read(body).await?;
    let (model, input_tokens) = count(&call, request).await?;
    Ok(json_about_model(&model, &Counted { input_tokens }))
}
