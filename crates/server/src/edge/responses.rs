//! OpenAI Responses, under the paths of OpenAI and of Codex.

use crate::edge::run::run;
use crate::reply::Answer;
use crate::route::Ask;
use crate::service::no_socket;

/// `POST /v1/responses`
pub(crate) async fn create(ask: Ask) -> Answer {
    run(ask, None).await
}

/// `POST /v1/responses/review`: the same call, marked as a review.
pub(crate) async fn review(ask: Ask) -> Answer {
    run(ask, Some("review")).await
}

/// `GET /v1/responses`: where Codex tries a WebSocket. 426 makes it go on over HTTP at once; any other answer costs seven tries
/// (observed of Codex CLI 0.169, 2026-11-21).
pub(crate) async fn socket(ask: Ask) -> Answer {
    Err(no_socket(&ask.parts))
}
