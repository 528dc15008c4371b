//! The requests that the guard rejected.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::operation::{Operation, Tag};
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The numbers of rejected requests and connections since the start.
#[derive(Serialize, ToSchema)]
struct Rejected {
    /// Heads that HTTP parsers could disagree about.
    malformed: u64,
    /// Heads over the limits.
    oversized: u64,
    /// `Host` headers that do not name this gateway.
    host: u64,
    /// Requests from web pages of other origins.
    origin: u64,
    /// Bodies whose content type is not JSON.
    content_type: u64,
    /// Requests without a valid key.
    unauthorized: u64,
    /// Valid keys of the wrong kind or scope.
    forbidden: u64,
    /// Bodies refused because the buffer budget was used up.
    overloaded: u64,
    /// Connections over a cap.
    connections: u64,
}

pub(crate) const COUNTERS: Operation =
    Operation::new(Tag::Gateway, "Count the requests that the guard rejected").gives::<Rejected>(200);

/// `GET /admin/guard`
pub(crate) async fn rejected_counts(ctx: RequestContext) -> HandlerResult {
    let counters = &ctx.app.counters;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let rejected = Rejected {
        malformed: read(&counters.malformed),
        oversized: read(&counters.oversized),
        host: read(&counters.host),
        origin: read(&counters.origin),
        content_type: read(&counters.content_type),
        unauthorized: read(&counters.unauthorized),
        forbidden: read(&counters.forbidden),
        overloaded: read(&counters.overloaded),
        connections: read(&counters.connections),
    };
    Ok(json(StatusCode::OK, &rejected))
}
