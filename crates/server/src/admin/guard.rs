//! What the guard has turned away.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde::Serialize;

use crate::reply::{Answer, json};
use crate::route::Ask;

#[derive(Serialize)]
struct Rejected {
    malformed: u64,
    oversized: u64,
    host: u64,
    origin: u64,
    content_type: u64,
    unauthorized: u64,
    forbidden: u64,
    overloaded: u64,
    connections: u64,
}

/// `GET /admin/guard`
pub(crate) async fn counters(ask: Ask) -> Answer {
    let counters = &ask.app.counters;
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
