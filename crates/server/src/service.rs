//! Handles one request from head to response: guard, route, key check, handler. Every response leaves through [`serve`], which adds the
//! request's id, the security headers and a log line.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HeaderName, TRANSFER_ENCODING, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use proto::{Dialect, Failure, Kind};

use crate::admin;
use crate::app::{App, keyless};
use crate::auth::{Authenticator, Class, credential};
use crate::connection::state::{ConnectionState, ListenerKind};
use crate::cors;
use crate::edge;
use crate::failure::{Panicked, catch_panic, log_failure, panic_rejection};
use crate::forwarded::{self, ClientPermit};
use crate::guard::origin::Site;
use crate::guard::{self, Counters};
use crate::query;
use crate::response::{Body, HandlerResult, Rejection, shutting_down};
use crate::route::{self, BodyKind, RequestContext, Route};
use crate::router::{self, RouteMatch};

/// Answers one request.
pub(crate) async fn serve(
    app: Arc<App>,
    connection: Arc<ConnectionState>,
    request: Request<Incoming>,
) -> Response<Body> {
    let began = Instant::now();
    let (mut parts, body) = request.into_parts();
    let (version, method) = (parts.version, parts.method.clone());
    let id = request_id(&parts.headers);
    let keys = query::take_keys(&mut parts);
    let dialect = router::dialect_of(connection.listener, &parts, !keys.is_empty());
    let peer = forwarded::client(connection.peer, &parts.headers, &app.settings.trusted_proxies);
    let mut seen = RequestFacts { keys, route: None, dialect, site: Site::Own, known: false, peer };
    let handled = tokio::select! {
        biased;
        handled = catch_panic(handle(&app, &connection, (parts, body), &id, &mut seen)) => handled,
        () = app.abort.cancelled() => Ok(Err(shutting_down().into())),
    };
    let mut response = match handled {
        Ok(Ok(response)) => response,
        Ok(Err(mut rejection)) => {
            log_failure(&id, seen.route, &rejection, seen.dialect);
            if !seen.known && seen.dialect == Dialect::Gemini {
                // Unauthenticated clients get few details, and Google's error shape would spell the code out.
                rejection.failure.code = None;
            }
            rejection.respond(seen.dialect)
        }
        Err(Panicked) => panic_rejection(&id, seen.route).respond(seen.dialect),
    };
    let last = connection.closes_after_response() || method == Method::CONNECT;
    set_common_headers(response.headers_mut(), &id, seen.dialect);
    cors::set_headers(response.headers_mut(), &seen.site);
    if last && version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    tracing::debug!(
        request = %id,
        %method,
        route = seen.route.map(|route| route.path),
        status = response.status().as_u16(),
        peer = %seen.peer,
        ms = began.elapsed().as_millis(),
        "answered"
    );
    response
}

/// Facts about a request, collected while the request is handled.
struct RequestFacts {
    /// The keys in the request's query.
    keys: Vec<String>,
    route: Option<&'static Route>,
    dialect: Dialect,
    site: Site,
    /// Whether the caller is authenticated.
    known: bool,
    /// The client's address, behind trusted proxies.
    peer: IpAddr,
}

/// Takes a permit for the client's address, if the client is behind a trusted proxy.
fn limit_client(app: &App, connection: &ConnectionState, peer: IpAddr) -> Result<Option<ClientPermit>, Rejection> {
    if peer == connection.peer {
        return Ok(None);
    }
    let full = || {
        Counters::add(&app.counters.connections);
        Failure::new(Kind::RateLimited, "Too many requests of this address are in progress").retry_after(1)
    };
    app.client_requests.enter(peer, app.settings.limits.per_address).map(Some).ok_or_else(|| full().into())
}

async fn handle(
    app: &Arc<App>,
    connection: &Arc<ConnectionState>,
    request: (Parts, Incoming),
    id: &str,
    seen: &mut RequestFacts,
) -> HandlerResult {
    let (parts, body) = request;
    let site = guard::check(&parts, connection, &app.settings, &app.counters)?;
    let place = limit_client(app, connection, seen.peer)?;
    if let (&Method::OPTIONS, Site::Listed(origin)) = (&parts.method, &site)
        && let Some(preflight) = cors::preflight(connection.listener, &parts, origin)
    {
        return Ok(preflight);
    }
    let (route, param) = find_route(app, connection, &parts, seen)?;
    if let Site::Listed(_) = site {
        if connection.listener == ListenerKind::Gateway && route.class != Class::Data {
            return Err(guard::foreign_origin(&app.counters));
        }
        seen.site = site;
    }
    let auth = Authenticator { engine: &app.engine, counters: &app.counters, keyless: keyless(app, connection) };
    // Keys in a target end up in the logs of proxies, so only clients that cannot send headers may put keys there.
    let keys = if seen.dialect == Dialect::Gemini { seen.keys.as_slice() } else { &[] };
    let caller = auth.check(credential(&parts.headers, keys), route.class).await?;
    seen.known = true;
    check_upgrade(connection, &parts, route)?;
    if may_carry_body(&parts)
        && (connection.listener == ListenerKind::Gateway || guard::origin::is_from_browser(&parts.headers))
    {
        check_content_type(route, &parts.headers, &app.counters)?;
    }
    let (app, connection, id, dialect) = (app.clone(), connection.clone(), id.to_owned(), seen.dialect);
    let peer = seen.peer;
    let mut answer = (route.handler)(RequestContext {
        app,
        connection: Arc::clone(&connection),
        route,
        parts,
        body,
        dialect,
        param,
        id,
        peer,
        caller,
    })
    .await;
    if let (Some(place), Ok(response)) = (place, &mut answer) {
        match response.body_mut() {
            Body::Stream(stream) => stream.hold(place),
            // After an upgrade, the connection holds the permit.
            Body::Whole(_) if connection.upgraded() => connection.hold(place),
            Body::Whole(_) => {}
        }
    }
    answer
}

/// Whether a request may have a body: by its method, or for DELETE by its headers. HTTP/2 need not declare a body.
fn may_carry_body(parts: &Parts) -> bool {
    if parts.method != Method::DELETE {
        return route::may_have_body(&parts.method);
    }
    let length = parts.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    length || parts.headers.contains_key(TRANSFER_ENCODING)
}

/// Checks that the route accepts the body's content type.
fn check_content_type(route: &Route, headers: &HeaderMap, counters: &Counters) -> Result<(), Rejection> {
    let other = match route.body {
        BodyKind::Nothing => true,
        BodyKind::Form => edge::multipart::boundary(headers).is_some(),
        BodyKind::File => admin::is_text(headers),
        BodyKind::Json | BodyKind::Socket => false,
    };
    if other || guard::content::is_json(headers) {
        return Ok(());
    }
    Counters::add(&counters.content_type);
    let wanted = if route.body == BodyKind::Form { "multipart/form-data" } else { "application/json in UTF-8" };
    Err(Failure::new(Kind::Unsupported, format!("Content-Type must be {wanted}")).into())
}

fn find_route(
    app: &App,
    connection: &ConnectionState,
    parts: &Parts,
    seen: &mut RequestFacts,
) -> Result<(&'static Route, String), Rejection> {
    let found = router::find(connection.listener, &parts.method, parts.uri.path());
    let hidden =
        |route: &Route| matches!(route.class, Class::Admin(_)) && !connection.loopback && !app.settings.admin_remote;
    match found {
        RouteMatch::Route(route, param) if !hidden(route) => {
            seen.route = Some(route);
            if route.dialect != Dialect::Chat {
                // On paths that vendors share, the table names only one vendor.
                seen.dialect = route.dialect;
            }
            Ok((route, param))
        }
        RouteMatch::OtherMethods(allow) if !router::routes_at(connection.listener, parts.uri.path()).any(hidden) => {
            Err(Rejection::method_not_allowed(&allow))
        }
        _ if matches!(parts.method, Method::TRACE | Method::CONNECT) || parts.uri.path() == "*" => {
            Err(Rejection::method_not_allowed(&[]))
        }
        _ => Err(Failure::new(
            Kind::NotFound,
            router::not_found_message(connection.listener, &parts.method, parts.uri.path()),
        )
        .into()),
    }
}

/// Refuses upgrades on routes without another protocol, and closes the connection after the response, because the next bytes may not be
/// HTTP. `h2c` is only an offer, which Java's client makes with every request, so it is ignored; the WebSocket routes check the upgrade
/// themselves.
fn check_upgrade(connection: &ConnectionState, parts: &Parts, route: &Route) -> Result<(), Rejection> {
    let mut offers = parts.headers.get_all(UPGRADE).iter();
    if parts.version >= Version::HTTP_2 || offers.all(|offer| offer.as_bytes().eq_ignore_ascii_case(b"h2c")) {
        return Ok(());
    }
    connection.close_after_response();
    if route.body == BodyKind::Socket {
        return Ok(());
    }
    Err(Failure::new(Kind::Invalid, "This endpoint has no other protocol to upgrade to").code("upgrade_refused").into())
}

/// The client's own request id if it is valid, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = ["x-request-id", "x-correlation-id"].into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    given.filter(|id| is_valid_id(id)).map(str::to_owned).next().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

fn is_valid_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Sets the headers of every response.
fn set_common_headers(headers: &mut HeaderMap, id: &str, dialect: Dialect) {
    const POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
    const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(RESOURCE, HeaderValue::from_static("same-origin"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    let id = HeaderValue::from_str(id).ok();
    if dialect == Dialect::Messages {
        // Anthropic's clients show this header as the id of a request.
        headers.extend(id.clone().map(|id| (HeaderName::from_static("request-id"), id)));
    }
    headers.extend(id.map(|id| (HeaderName::from_static("x-request-id"), id)));
}
