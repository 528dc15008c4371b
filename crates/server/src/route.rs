//! The table of contents: every path, its method, its class and its handler. The class hangs on the route itself, never on a
//! prefix of its path; the authentication matrix is generated from this table.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use hyper::body::Incoming;
use pool::keys::Scope;
use proto::Dialect;

use crate::auth::Caller;
use crate::listen::link::Link;
use crate::reply::Answer;
use crate::service::App;
use crate::{admin, edge};

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Anybody; answers nothing that is worth hiding.
    Public,
    /// Holders of a client key.
    Data,
    /// Holders of an admin token with this scope.
    Admin(Scope),
}

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method; a GET route also answers HEAD.
    pub method: Method,
    /// Its path; a segment in braces stands for any one segment.
    pub path: &'static str,
    /// Who may call it.
    pub class: Class,
    /// The protocol that its errors speak.
    pub dialect: Dialect,
    pub(crate) handler: Handler,
}

/// A request that has passed the guard and the key check.
pub(crate) struct Ask {
    pub(crate) app: Arc<App>,
    pub(crate) link: Arc<Link>,
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) dialect: Dialect,
    /// What stands for the segment in braces, percent-decoded; empty on routes without one.
    pub(crate) param: String,
    pub(crate) id: String,
    pub(crate) caller: Caller,
}

pub(crate) type Handling = Pin<Box<dyn Future<Output = Answer> + Send>>;
pub(crate) type Handler = fn(Ask) -> Handling;

macro_rules! route {
    ($method:ident $path:literal, $class:expr, $dialect:ident, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            class: $class,
            dialect: Dialect::$dialect,
            handler: |ask| Box::pin($handler(ask)),
        }
    };
}

const READ: Class = Class::Admin(Scope::Read);
const WRITE: Class = Class::Admin(Scope::Write);

static TABLE: [Route; 18] = [
    route!(GET "/", Class::Public, Chat, edge::health::root),
    route!(GET "/health", Class::Public, Chat, edge::health::pool),
    route!(GET "/healthz", Class::Public, Chat, edge::health::process),
    route!(GET "/readyz", Class::Public, Chat, edge::health::ready),
    route!(POST "/v1/chat/completions", Class::Data, Chat, edge::chat::create),
    route!(POST "/v1/responses", Class::Data, Responses, edge::responses::create),
    route!(POST "/v1/responses/review", Class::Data, Responses, edge::responses::review),
    route!(POST "/responses", Class::Data, Responses, edge::responses::create),
    route!(POST "/responses/review", Class::Data, Responses, edge::responses::review),
    route!(GET "/v1/responses", Class::Data, Responses, edge::responses::socket),
    route!(GET "/responses", Class::Data, Responses, edge::responses::socket),
    route!(GET "/v1/models", Class::Data, Chat, edge::models::list),
    route!(GET "/v1/models/{id}", Class::Data, Chat, edge::models::one),
    route!(GET "/admin/accounts", READ, Chat, admin::accounts::list),
    route!(GET "/admin/keys", READ, Chat, admin::keys::list),
    route!(POST "/admin/keys", WRITE, Chat, admin::keys::create),
    route!(DELETE "/admin/keys/{id}", WRITE, Chat, admin::keys::revoke),
    route!(GET "/admin/guard", READ, Chat, admin::guard::counters),
];

/// Every route there is.
pub fn routes() -> &'static [Route] {
    &TABLE
}

/// What a path and method come to.
pub(crate) enum Found {
    /// This route.
    Route(&'static Route, String),
    /// The path is there, the method is not.
    Method(Vec<Method>, Dialect),
    /// Nothing.
    Nothing,
}

/// Looks a request up. Paths match byte by byte: no decoding, no normal form, no case folding.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let wanted = if method == Method::HEAD { &Method::GET } else { method };
    let mut others = Vec::new();
    let mut dialect = Dialect::Chat;
    for route in routes() {
        let Some(param) = matches(route.path, path) else { continue };
        if route.method == *wanted {
            return Found::Route(route, param);
        }
        others.push(route.method.clone());
        dialect = route.dialect;
    }
    if others.is_empty() { Found::Nothing } else { Found::Method(others, dialect) }
}

/// The methods and classes of a path, for a preflight.
pub(crate) fn at(path: &str) -> impl Iterator<Item = &'static Route> {
    routes().iter().filter(move |route| matches(route.path, path).is_some())
}

/// Whether a path fits a pattern, and what stands for the segment in braces: empty when it has none.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let Some((before, _)) = pattern.split_once('{') else { return (pattern == path).then(String::new) };
    let segment = path.strip_prefix(before).filter(|rest| !rest.is_empty() && !rest.contains('/'))?;
    decode(segment)
}

/// A segment without its percent signs; `None` when it hides a separator or is no text.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            plain => plain,
        });
    }
    let text = String::from_utf8(out).ok()?;
    let hidden = text.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | ';')) || text == "." || text == "..";
    (!hidden).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
