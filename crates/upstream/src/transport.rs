//! Connections, TLS and timers below every call. This layer follows no redirect, decompresses nothing and reads no environment variables.

pub(crate) mod conn;
pub(crate) mod dial;
pub(crate) mod pool;
pub(crate) mod resolver;
pub(crate) mod roots;

use std::sync::Arc;

use ::pool::guard::Denied;
use http::{StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

use self::dial::DialError;
use self::pool::ClientPool;
use crate::fault::{Fault, FaultKind, Sent, find_source, root_cause};
use crate::response::{Answer, Body};

/// Sends over a pooled client and waits for the headers, unless `late` resolves first.
pub(crate) async fn exchange(
    clients: &Arc<ClientPool>,
    request: reqwest::Request,
    late: impl Future<Output = Fault>,
) -> Result<Answer, Fault> {
    if request.url().scheme() == "https" {
        clients.roots().warm().await;
    }
    let (http, permit) = clients.take();
    tokio::select! {
        biased;
        response = http.execute(request) => answer(response.map_err(classify)?, permit),
        fault = late => Err(fault),
    }
}

/// The answer of a response; redirects and broken framing are faults.
fn answer(response: reqwest::Response, permit: OwnedSemaphorePermit) -> Result<Answer, Fault> {
    let status = response.status();
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        let message = format!("the upstream answered with a redirect ({}), which is never followed", status.as_u16());
        return Err(Fault::new(Sent::Yes, FaultKind::Redirect, message));
    }
    // Only a proxy sends this status: the request got no further.
    if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        let message = "it wants other credentials (407)";
        return Err(Fault::new(Sent::No, FaultKind::Proxy, message));
    }
    // Request smuggling uses two framings at once, so the connection is closed with the answer (RFC 9112, section 6.1).
    let headers = response.headers();
    if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) {
        let message = "the upstream's answer has both a length and chunks".to_owned();
        return Err(Fault::new(Sent::Yes, FaultKind::Cut, message));
    }
    let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    let body = Body::new(body, head.version, permit);
    Ok(Answer { status: status.as_u16(), headers: head.headers, body })
}

/// The fault for an error of the HTTP client, without the error's URL.
fn classify(error: reqwest::Error) -> Fault {
    let url = error.url().cloned();
    let error = error.without_url();
    if let Some(denied) = find_source::<Denied>(&error) {
        return Fault::denied(denied);
    }
    if let Some(dial) = find_source::<DialError>(&error) {
        if let Some(url) = &url {
            dial.log(url);
        }
        return Fault::new(Sent::No, dial.kind, dial.to_string());
    }
    if error.is_connect() {
        return Fault::new(
            Sent::No,
            FaultKind::Connect,
            format!("could not open a connection: {}", root_cause(&error)),
        );
    }
    let (kind, sent) = match find_source::<hyper::Error>(&error) {
        Some(inner) if inner.is_canceled() => (FaultKind::Closed, Sent::No),
        _ if find_source::<h2::Error>(&error).is_some_and(h2_unprocessed) => (FaultKind::Closed, Sent::No),
        Some(inner) if inner.is_parse_too_large() => (FaultKind::TooLarge, Sent::Maybe),
        _ if error.is_builder() => (FaultKind::Unsendable, Sent::No),
        _ => (FaultKind::Cut, Sent::Maybe),
    };
    Fault::new(sent, kind, format!("the connection gave no answer: {}", root_cause(&error)))
}

/// Whether the server says that it did not process the request. Such a request may be sent again even if it is not idempotent (RFC 9113,
/// section 8.7).
fn h2_unprocessed(error: &h2::Error) -> bool {
    let goodbye = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (goodbye || refused)
}
