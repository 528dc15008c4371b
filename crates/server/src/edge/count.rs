//! Counting a request's tokens without sending it anywhere.

use pool::catalog::Resolved;
use proto::{Failure, Kind, Request};

use super::run::ModelCall;
use crate::response::Rejection;

/// The input tokens of a request to a model that exists, and that model. The vocabulary is loaded with the first count; a long text takes a while, so
/// it is counted off the runtime's threads.
pub(super) async fn count(call: &ModelCall, request: Request) -> Result<(Resolved, u64), Rejection> {
    let resolved = call.app.engine.models().resolve(request.model.as_deref())?;
    let counting = tokio::task::spawn_blocking(move || proto::tokens::request(&request)).await;
    let tokens = counting.map_err(|_| Failure::new(Kind::Internal, "The tokens could not be counted"))?;
    Ok((resolved, tokens))
}
