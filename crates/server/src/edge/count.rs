//! Counts a request's tokens without sending the request anywhere.

use pool::catalog::Resolved;
use proto::Request;
use wire_body::offload_always;

use super::run::ModelCall;
use crate::response::Rejection;

/// The model of a request, which must exist, and the request's input tokens. The first count loads the vocabulary. A long text takes a
/// while, so counting runs outside the runtime's threads.
pub(super) async fn count(call: &ModelCall, request: Request) -> Result<(Resolved, u64), Rejection> {
    let resolved = call.app.engine.models().resolve(request.model.as_deref())?;
    Ok((resolved, offload_always(move || proto::tokens::request(&request)).await))
}
