//! Anthropic Messages.

use http::StatusCode;
use serde::Serialize;

use super::count::count;
use super::run::{receive, run};
use crate::reply::{Answer, json};
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
    let (request, _) = turn.dialect.read_request(body)?;
    let input_tokens = count(&turn, request).await?;
    Ok(json(StatusCode::OK, &Counted { input_tokens }))
}
