//! OpenAI Responses, under the paths of OpenAI and of Codex.

use std::sync::Arc;

use http::StatusCode;
use proto::dialect::responses::compact as compaction;
use serde::Serialize;

use super::count::count;
use super::run::{head, receive, run, told};
use super::socket;
use crate::reply::{Answer, whole};
use crate::route::Ask;

/// `POST /v1/responses`
pub(crate) async fn create(ask: Ask) -> Answer {
    run(ask, None).await
}

/// `POST /v1/responses/review`: the same call, marked as a review.
pub(crate) async fn review(ask: Ask) -> Answer {
    run(ask, Some("review")).await
}

/// `POST /v1/responses/compact`: a request that ends with a trigger, and what people said before its answer.
pub(crate) async fn compact(ask: Ask) -> Answer {
    let (turn, body) = receive(ask).await?;
    let (mut request, notes) = turn.read(body).await?;
    let kept = compaction::ask(&mut request);
    // Its answer is another object, which nobody goes on from.
    request.store = Some(false);
    let app = Arc::clone(&turn.app);
    let reply = turn.whole((request, notes), None).await?;
    let made = compaction::made(&reply.body)?;
    if let Some(account) = &reply.head.account {
        app.engine.sealed(&made, account);
    }
    let mut response = whole(StatusCode::OK, compaction::answer(&reply.body, &kept, &made));
    response.headers_mut().extend(head(reply.head));
    Ok(response)
}

#[derive(Serialize)]
struct Counted {
    object: &'static str,
    input_tokens: u64,
}

/// `POST /v1/responses/input_tokens`
pub(crate) async fn input_tokens(ask: Ask) -> Answer {
    let (turn, body) = receive(ask).await?;
    let (request, _) = turn.read(body).await?;
    let (model, input_tokens) = count(&turn, request).await?;
    Ok(told(&model, &Counted { object: "response.input_tokens", input_tokens }))
}

/// `GET /v1/responses`: the same calls over a WebSocket. Under Codex's own path the same for who may be known by a Codex login.
pub(crate) async fn socket(ask: Ask) -> Answer {
    socket::open(ask)
}
