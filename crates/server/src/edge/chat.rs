//! OpenAI Chat Completions, and the older completions of bare prompts.

use proto::dialect::chat::completions as bare;
use wire_body::offload;

use crate::edge::run::{receive, run};
use crate::response::HandlerResult;
use crate::route::RequestContext;

/// `POST /v1/chat/completions`
pub(crate) async fn create(ctx: RequestContext) -> HandlerResult {
    run(ctx, None).await
}

/// `POST /v1/completions`
pub(crate) async fn completions(ctx: RequestContext) -> HandlerResult {
    let (call, body) = receive(ctx).await?;
    let (request, notes) = offload(body.len(), move || bare::read(&body)).await?;
    call.answer(request, notes, None).await
}
