//! Finds the handler of a request. The class belongs to the route itself, never to a path prefix; the authentication matrix is generated
//! from the tables.

mod table;

use http::request::Parts;
use http::{HeaderMap, Method};
use proto::Dialect;

use crate::auth::Class;
use crate::connection::state::ListenerKind;
use crate::query::decode;
use crate::route::Route;

/// Every route of the gateway.
pub fn routes() -> &'static [Route] {
    &table::GATEWAY
}

/// Every route of the Ollama listener.
pub fn ollama_routes() -> &'static [Route] {
    &table::OLLAMA
}

/// The result of a lookup.
pub(crate) enum RouteMatch {
    /// A route and its path parameter.
    Route(&'static Route, String),
    /// The path exists, but only with these methods.
    OtherMethods(Vec<Method>),
    /// The path does not exist.
    Nothing,
}

/// Finds the route of a request. Paths match byte by byte, without decoding, normalization or case folding. The first match counts.
pub(crate) fn find(listener: ListenerKind, method: &Method, path: &str) -> RouteMatch {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    for route in table_of(listener) {
        let Some(param) = matches(route.path, path) else { continue };
        if route.method == *wanted {
            return RouteMatch::Route(route, param);
        }
        if !others.contains(&route.method) {
            others.push(route.method.clone());
        }
    }
    if others.is_empty() { RouteMatch::Nothing } else { RouteMatch::OtherMethods(others) }
}

/// The message for an unknown path. The most common reason is a base URL with a superfluous or missing `/v1`.
pub(crate) fn not_found_message(listener: ListenerKind, method: &Method, path: &str) -> String {
    let meant = path.strip_prefix("/v1").filter(|rest| rest.starts_with("/v1/")).map(str::to_owned);
    let meant = meant.unwrap_or_else(|| format!("/v1{path}"));
    match find(listener, method, &meant) {
        RouteMatch::Route(route, _) if !matches!(route.class, Class::Admin(_)) => {
            format!(
                "No such endpoint; it is at {}: check whether the client's base URL ends in /v1 as it should",
                route.path
            )
        }
        _ => "No such endpoint".to_owned(),
    }
}

/// The routes of a path, for a preflight.
pub(crate) fn routes_at(listener: ListenerKind, path: &str) -> impl Iterator<Item = &'static Route> {
    table_of(listener).iter().filter(move |route| matches(route.path, path).is_some())
}

fn table_of(listener: ListenerKind) -> &'static [Route] {
    match listener {
        ListenerKind::Gateway => routes(),
        ListenerKind::Ollama => ollama_routes(),
    }
}

/// The protocol of the client, also for unknown paths, because errors of the guard are written in this protocol. `keyed` is whether the
/// query holds a key, which only Gemini's clients send.
pub(crate) fn dialect_of(listener: ListenerKind, parts: &Parts, keyed: bool) -> Dialect {
    let path = parts.uri.path();
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/v1beta") || below("/gemini") {
        Dialect::Gemini
    } else if below("/v1/messages") || below("/messages") {
        Dialect::Messages
    } else if below("/v1/models") {
        vendor(&parts.headers, keyed || parts.method == Method::POST)
    } else if listener == ListenerKind::Ollama
        && !below("/v1")
        && routes_at(listener, path).all(|route| route.dialect == Dialect::Ollama)
    {
        Dialect::Ollama
    } else {
        Dialect::Chat
    }
}

/// The vendor of the client on a path that three vendors share.
fn vendor(headers: &HeaderMap, google: bool) -> Dialect {
    if google || headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client") {
        Dialect::Gemini
    } else if headers.contains_key("anthropic-version") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
}

/// The path parameter of a path that matches a pattern; empty if the pattern has no parameter.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return (pattern == path).then(String::new) };
    let (kind, after) = rest.split_once('}')?;
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    let text = decode(part)?;
    let names = |mut segments: std::str::Split<'_, char>| segments.all(|segment| !matches!(segment, "" | "." | ".."));
    let whole = kind == "name" || !text.contains('/');
    (whole && names(text.split('/'))).then_some(text)
}

#[cfg(test)]
mod tests;
