//! Checks before routing: the `Host` header names this gateway, and no web page of another origin sent the request. The path, keys and
//! forwarded headers have no influence.

pub(crate) mod content;
pub(crate) mod host;
pub(crate) mod origin;

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use http::request::Parts;
use proto::{Failure, Kind};

use crate::connection::head::HeadError;
use crate::connection::state::{ConnectionState, ListenerKind};
use crate::response::Rejection;
use crate::settings::Settings;
use host::Host;
use origin::Site;

/// Requests and connections rejected by each rule since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Heads that HTTP parsers could disagree about.
    pub malformed: AtomicU64,
    /// Heads over the limits.
    pub oversized: AtomicU64,
    /// `Host` headers that do not name this gateway.
    pub host: AtomicU64,
    /// Requests from web pages of other origins.
    pub origin: AtomicU64,
    /// Bodies whose content type is not JSON.
    pub content_type: AtomicU64,
    /// Requests without a valid key.
    pub unauthorized: AtomicU64,
    /// Valid keys of the wrong kind or scope.
    pub forbidden: AtomicU64,
    /// Bodies refused because the buffer budget was used up.
    pub overloaded: AtomicU64,
    /// Connections over a cap.
    pub connections: AtomicU64,
}

impl Counters {
    /// Adds one to a counter.
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Checks a request, and returns the site that sent it.
pub(crate) fn check(
    parts: &Parts,
    connection: &ConnectionState,
    settings: &Settings,
    counters: &Counters,
) -> Result<Site, Rejection> {
    if let Some(why) = connection.refused() {
        return Err(head_rejection(why, counters));
    }
    if parts.headers.len() > settings.limits.headers {
        return Err(head_rejection(HeadError::TooLarge, counters));
    }
    let host = Host::of(parts).filter(|host| host.is_ours(connection.local.ip(), &settings.allowed_hosts));
    let Some(host) = host else {
        Counters::add(&counters.host);
        let hint = Failure::new(Kind::Invalid, "Host not allowed; add its name to server.allowed_hosts");
        return Err(Rejection::with(StatusCode::MISDIRECTED_REQUEST, hint.code("host_not_allowed")));
    };
    let local = if connection.listener == ListenerKind::Ollama { origin::local_page(&parts.headers) } else { None };
    local
        .or_else(|| origin::check(&parts.headers, &host, &settings.cors_origins))
        .ok_or_else(|| foreign_origin(counters))
}

/// The rejection of a page of another origin.
pub(crate) fn foreign_origin(counters: &Counters) -> Rejection {
    Counters::add(&counters.origin);
    let hint = "Web origin not allowed; add it to cors.allowed_origins";
    Rejection::from(Failure::new(Kind::Forbidden, hint).code("origin_not_allowed"))
}

fn head_rejection(why: HeadError, counters: &Counters) -> Rejection {
    match why {
        HeadError::Malformed => {
            Counters::add(&counters.malformed);
            Rejection::from(Failure::new(Kind::Invalid, "Malformed HTTP request").code("malformed_request"))
        }
        HeadError::TooLarge => {
            Counters::add(&counters.oversized);
            let failure = Failure::new(Kind::Invalid, "Request headers are too large").code("headers_too_large");
            Rejection::with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, failure)
        }
    }
}
