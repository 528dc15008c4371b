//! A route, and the request that its handler gets.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use hyper::body::Incoming;
use proto::Dialect;

use crate::app::App;
use crate::auth::{Caller, Class};
use crate::connection::state::ConnectionState;
#[cfg(any(test, feature = "describe"))]
use crate::operation::Operation;
use crate::response::HandlerResult;

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method; a GET route also answers HEAD.
    pub method: Method,
    /// The path; `{id}` matches any one segment, `{name}` a model's name, which may hold slashes.
    pub path: &'static str,
    /// The callers that the route accepts.
    pub class: Class,
    /// The protocol of the route's errors.
    pub dialect: Dialect,
    pub(crate) body: BodyKind,
    pub(crate) handler: Handler,
    /// The route's description in the OpenAPI document; `None` outside of the admin API.
    #[cfg(any(test, feature = "describe"))]
    pub(crate) operation: Option<&'static Operation>,
}

/// The kind of body that a route reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// JSON, where the method has a body.
    Json,
    /// JSON or a form.
    Form,
    /// JSON, or a file of another program, which may be plain text. Such routes need a token that no browser sends by itself.
    File,
    /// Nothing: a body of any type is ignored. The official SDKs send no body to such routes.
    Nothing,
    /// A WebSocket.
    Socket,
}

/// A request that has passed the guard and the key check.
pub(crate) struct RequestContext {
    pub(crate) app: Arc<App>,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) route: &'static Route,
    pub(crate) parts: Parts,
    pub(crate) body: Incoming,
    pub(crate) dialect: Dialect,
    /// The path parameter, percent-decoded; empty on routes without one.
    pub(crate) param: String,
    pub(crate) id: String,
    /// The client's address.
    pub(crate) peer: IpAddr,
    pub(crate) caller: Caller,
}

pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = HandlerResult> + Send>>;
pub(crate) type Handler = fn(RequestContext) -> HandlerFuture;

/// Whether a request of this method may have a body. The type of such a body is checked, and the description of the admin API says so.
pub(crate) fn may_have_body(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
