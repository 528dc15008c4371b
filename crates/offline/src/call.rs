//! A received request.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use serde_json::Value;

/// A received request: headers, decoded body, and its sender.
pub(crate) struct Call {
    pub(crate) id: u64,
    pub(crate) method: Method,
    pub(crate) uri: http::Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body as JSON, model requests only.
    pub(crate) json: Option<Value>,
    /// The client's address.
    pub(crate) peer: Option<std::net::SocketAddr>,
}

/// A header's text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}
