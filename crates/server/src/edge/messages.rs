//! Anthropic Messages.

use serde::Serialize;

use super::count::count;
use super::run::{receive, run, told};
use crate::reply::Answer;
use crate::route::Ask;

#[derive(Serialize)]
struct Counted {
    input_tokens: u64,
}

/// `POST /v1/messages`
pub(crate) async fn create(ask: Ask) -> Answer {
    run(ask, None).await
}

/// `POST /v1/messages/count_tokens`
pub(crate) async fn count_tokens(ask: Ask) -> Answer {
    let (turn, body) = receive(ask).await?;
    let (request, _) = turn.read(body).await?;
    let (model, input_tokens) = count(&turn, request).await?;
    Ok(told(&model, &Counted { input_tokens }))
}
