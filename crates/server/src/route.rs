//! Which handler a request goes to. The class hangs on the route itself, never on a prefix of its path; the authentication matrix is
//! generated from the tables.

mod table;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};
use hyper::body::Incoming;
use pool::keys::Scope;
use proto::Dialect;

use crate::auth::Caller;
use crate::listen::link::{Face, Link};
#[cfg(any(test, feature = "describe"))]
use crate::openapi::Operation;
use crate::reply::Answer;
use crate::service::App;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anybody; answers nothing that is worth hiding.
    Public,
    /// Holders of a client key; anybody on a loopback Ollama listener.
    Data,
    /// Holders of a client key or of a Codex login that is linked here.
    Native,
    /// Holders of an admin token with this scope.
    Admin(Scope),
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method; a GET route also answers HEAD.
    pub method: Method,
    /// Its path; `{id}` stands for any one segment, `{name}` for a model's name, which may hold slashes.
    pub path: &'static str,
    /// Who may call it.
    pub class: Class,
    /// The protocol that its errors speak.
    pub dialect: Dialect,
    pub(crate) takes: Takes,
    pub(crate) handler: Handler,
    /// What the description of the admin API says of it; `None` outside of that.
    #[cfg(any(test, feature = "describe"))]
    pub(crate) operation: Option<&'static Operation>,
}

/// What a route reads after a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// JSON, where the method has a body.
    Json,
    /// JSON or a form.
    Form,
    /// JSON, or a file of another program, which may be plain text. What asks for it takes a token that no browser sends by itself.
    File,
    /// Nothing: a body of any type is passed over. The official SDKs send none where they have nothing to say.
    Nothing,
    /// A WebSocket.
    Socket,
}

/// A request that has passed the guard and the key check.
pub(crate) struct Ask {
    pub(crate) app: Arc<App>,
    pub(crate) link: Arc<Link>,
    pub(crate) route: &'static Route,
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) dialect: Dialect,
    /// What stands for the part in braces, percent-decoded; empty on routes without one.
    pub(crate) param: String,
    pub(crate) id: String,
    /// The client's address.
    pub(crate) peer: IpAddr,
    pub(crate) caller: Caller,
}

pub(crate) type Handling = Pin<Box<dyn Future<Output = Answer> + Send>>;
pub(crate) type Handler = fn(Ask) -> Handling;

/// Every route of the gateway.
pub fn routes() -> &'static [Route] {
    &table::GATEWAY
}

/// Every route of the Ollama listener.
pub fn ollama_routes() -> &'static [Route] {
    &table::OLLAMA
}

/// What a path and method come to.
pub(crate) enum Found {
    /// This route.
    Route(&'static Route, String),
    /// The path is there, the method is not.
    Method(Vec<Method>),
    /// Nothing.
    Nothing,
}

/// Looks a request up. Paths match byte by byte: no decoding, no normal form, no case folding. The first match counts.
pub(crate) fn find(face: Face, method: &Method, path: &str) -> Found {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    for route in of(face) {
        let Some(param) = matches(route.path, path) else { continue };
        if route.method == *wanted {
            return Found::Route(route, param);
        }
        if !others.contains(&route.method) {
            others.push(route.method.clone());
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::Method(others) }
}

/// Whether a request of this method may have a body. The type of such a body is checked, and the description of the admin API says so.
pub(crate) fn may_have_body(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// What is said of a path that is not there. A base URL with `/v1` too much or too little is the most common reason.
pub(crate) fn absent(face: Face, method: &Method, path: &str) -> String {
    let meant = path.strip_prefix("/v1").filter(|rest| rest.starts_with("/v1/")).map(str::to_owned);
    let meant = meant.unwrap_or_else(|| format!("/v1{path}"));
    match find(face, method, &meant) {
        Found::Route(route, _) if !matches!(route.class, Class::Admin(_)) => {
            format!(
                "No such endpoint; it is at {}: check whether the client's base URL ends in /v1 as it should",
                route.path
            )
        }
        _ => "No such endpoint".to_owned(),
    }
}

/// The routes of a path, for a preflight.
pub(crate) fn at(face: Face, path: &str) -> impl Iterator<Item = &'static Route> {
    of(face).iter().filter(move |route| matches(route.path, path).is_some())
}

fn of(face: Face) -> &'static [Route] {
    match face {
        Face::Gateway => routes(),
        Face::Ollama => ollama_routes(),
    }
}

/// The protocol of whoever asks for `path`, also where nothing is: errors of the guard are said in it. `keyed` is whether the query
/// holds a key, which only Gemini's clients do.
pub(crate) fn tongue(face: Face, parts: &Parts, keyed: bool) -> Dialect {
    let path = parts.uri.path();
    let below = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/v1beta") || below("/gemini") {
        Dialect::Gemini
    } else if below("/v1/messages") || below("/messages") {
        Dialect::Messages
    } else if below("/v1/models") {
        vendor(&parts.headers, keyed || parts.method == Method::POST)
    } else if face == Face::Ollama && !below("/v1") && at(face, path).all(|route| route.dialect == Dialect::Ollama) {
        Dialect::Ollama
    } else {
        Dialect::Chat
    }
}

/// Whose client asks on a path that three vendors share.
fn vendor(headers: &HeaderMap, google: bool) -> Dialect {
    if google || headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client") {
        Dialect::Gemini
    } else if headers.contains_key("anthropic-version") {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
}

/// Whether a path fits a pattern, and what stands for the part in braces: empty when it has none.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return (pattern == path).then(String::new) };
    let (kind, after) = rest.split_once('}')?;
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    let text = decode(part)?;
    let names = |mut segments: std::str::Split<'_, char>| segments.all(|segment| !matches!(segment, "" | "." | ".."));
    let whole = kind == "name" || !text.contains('/');
    (whole && names(text.split('/'))).then_some(text)
}

/// Text without its percent signs; `None` when it is no text or hides what a path must not hold.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            plain => plain,
        });
    }
    let text = String::from_utf8(out).ok()?;
    let hidden = text.chars().any(|c| c.is_control() || matches!(c, '\\' | ';'));
    (!hidden).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
