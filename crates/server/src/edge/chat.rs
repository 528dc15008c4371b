//! OpenAI Chat Completions, and the older completions of bare prompts.

use proto::dialect::chat::completions as bare;
use wire_body::offload;

use crate::edge::run::{receive, run};
use crate::reply::Answer;
use crate::route::Ask;

/// `POST /v1/chat/completions`
pub(crate) async fn create(ask: Ask) -> Answer {
    run(ask, None).await
}

/// `POST /v1/completions`
pub(crate) async fn completions(ask: Ask) -> Answer {
    let (turn, body) = receive(ask).await?;
    let (request, notes) = offload(body.len(), move || bare::read(&body)).await?;
    turn.answer(request, notes, None).await
}
