//! CORS for browser apps of origins that the owner has listed: the data plane only, no credentials, no wildcard.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::auth::Class;
use crate::connection::state::ListenerKind;
use crate::guard::origin::Site;
use crate::response::{Body, no_content};
use crate::route::Route;
use crate::router;

/// Request headers that a listed page may send. The headers of the official SDKs are listed, because a wildcard would allow all.
const ALLOWED: &str = "authorization, content-type, x-api-key, x-goog-api-key, openai-organization, openai-project, \
    openai-beta, anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access, x-goog-api-client, x-polygate-default-tools, x-request-id, x-stainless-arch, x-stainless-lang, x-stainless-os, x-stainless-package-version, \
    x-stainless-retry-count, x-stainless-runtime, x-stainless-runtime-version, x-stainless-timeout";
/// Response headers that a listed page may read.
const EXPOSED: &str =
    "x-request-id, x-polygate-account, x-polygate-model, x-polygate-fallback, x-polygate-notes, retry-after";

/// The response to a preflight of a listed origin, if the path is on the data plane. The whole Ollama listener is on the data plane.
pub(crate) fn preflight(listener: ListenerKind, parts: &Parts, origin: &str) -> Option<Response<Body>> {
    let wanted = parts.headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let open = |route: &&Route| listener == ListenerKind::Ollama || route.class == Class::Data;
    let data = || router::routes_at(listener, parts.uri.path()).filter(open);
    data().any(|route| route.method.as_str().as_bytes() == wanted.as_bytes()).then_some(())?;
    let methods: Vec<&str> = data().map(|route| route.method.as_str()).chain([Method::OPTIONS.as_str()]).collect();
    let mut response = no_content(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.extend(HeaderValue::from_str(&methods.join(", ")).ok().map(|value| (ACCESS_CONTROL_ALLOW_METHODS, value)));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    set_headers(headers, &Site::Listed(origin.to_owned()));
    Some(response)
}

/// Sets the headers that let a listed page read the response.
pub(crate) fn set_headers(headers: &mut HeaderMap, site: &Site) {
    let Site::Listed(origin) = site else { return };
    headers.extend(HeaderValue::from_str(origin).ok().map(|origin| (ACCESS_CONTROL_ALLOW_ORIGIN, origin)));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.append(VARY, HeaderValue::from_static("Origin"));
}
