//! Counts a request's tokens without sending the request anywhere.

use pool::catalog::Resolved;
use proto::{Failure, Kind, Request};

use super::run::ModelCall;
use crate::response::Rejection;

/// The model of a request, which must exist, and the request's input tokens. The first count loads the vocabulary. A long text takes a
/// while, so counting runs outside the runtime's threads.
pub(super) async fn count(call: &ModelCall, request: Request) -> Result<(Resolved, u64), Rejection> {
    let resolved = call.app.engine.models().resolve(request.model.as_deref())?;
    let counting = tokio::task::spawn_blocking(move || proto::tokens::request(&request)).await;
    let tokens = counting.map_err(|_| Failure::new(Kind::Internal, "The tokens could not be counted"))?;
    Ok((resolved, tokens))
}
