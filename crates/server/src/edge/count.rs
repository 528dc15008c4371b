//! Counting a request's tokens without sending it anywhere.

use proto::{Failure, Kind, Request};

use super::run::Turn;
use crate::reply::Denied;

/// The input tokens of a request to a model that exists. The vocabulary is loaded with the first count; a long text takes a while, so
/// it is counted off the runtime's threads.
pub(super) async fn count(turn: &Turn, request: Request) -> Result<u64, Denied> {
    turn.app.engine.resolve(request.model.as_deref())?;
    let counting = tokio::task::spawn_blocking(move || proto::tokens::request(&request)).await;
    counting.map_err(|_| Failure::new(Kind::Internal, "The tokens could not be counted").into())
}
