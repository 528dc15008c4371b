//! The WebSocket handshake (RFC 6455, section 4.2).

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use proto::{Failure, Kind};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::response::{Body, Rejection, no_content};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// The response that accepts the upgrade. No subprotocol or extension is negotiated. Errors: 426 for a request without a WebSocket upgrade
/// or with another version, 400 for an invalid handshake.
pub(super) fn accept(parts: &Parts) -> Result<Response<Body>, Rejection> {
    let headers = &parts.headers;
    let asked =
        parts.method == Method::GET && parts.version == Version::HTTP_11 && lists(headers, &UPGRADE, "websocket");
    if !asked {
        return Err(upgrade_required(parts));
    }
    let version = single_header(headers, &SEC_WEBSOCKET_VERSION);
    if version.is_some_and(|version| version != "13") {
        let mut rejection = upgrade_required(parts);
        rejection.headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        return Err(rejection);
    }
    let key = single_header(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_nonce(key));
    let (Some(key), Some(_), true) = (key, version, lists(headers, &CONNECTION, "upgrade")) else {
        let why = "This is no WebSocket handshake: Connection, Sec-WebSocket-Key or Sec-WebSocket-Version is wrong";
        return Err(Failure::new(Kind::Invalid, why).code("bad_handshake").into());
    };
    if has_body(headers) {
        // The body would not be read, and its bytes would be taken for frames.
        let why = "A WebSocket handshake has no body: leave Content-Length and Transfer-Encoding out";
        return Err(Failure::new(Kind::Invalid, why).code("bad_handshake").into());
    }
    let mut response = no_content(StatusCode::SWITCHING_PROTOCOLS);
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok();
    response.headers_mut().extend([(UPGRADE, WEBSOCKET), (CONNECTION, HeaderValue::from_static("upgrade"))]);
    response.headers_mut().extend(accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    Ok(response)
}

/// The response to a request without a WebSocket upgrade. The Codex client switches to HTTP at once after a 426; any other response costs
/// seven attempts (client 0.169.0, measured).
pub(super) fn upgrade_required(parts: &Parts) -> Rejection {
    let hint = "This path speaks WebSocket to GET; use POST for HTTP";
    let mut rejection =
        Rejection::with(StatusCode::UPGRADE_REQUIRED, Failure::new(Kind::Invalid, hint).code("upgrade_required"));
    if parts.version < Version::HTTP_2 {
        rejection.headers.insert(UPGRADE, WEBSOCKET);
    }
    rejection
}

/// Whether a head announces a body.
fn has_body(headers: &HeaderMap) -> bool {
    let length =
        headers.get_all(CONTENT_LENGTH).iter().any(|length| length.as_bytes().iter().any(|byte| *byte != b'0'));
    length || headers.contains_key(TRANSFER_ENCODING)
}

/// Whether a header's list of words contains `word`.
fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|given| given.trim().eq_ignore_ascii_case(word))
}

/// A header with one value.
fn single_header<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}

/// Whether a text is sixteen bytes in base64.
fn is_nonce(text: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len() == 24 && text.ends_with("==") && text.bytes().take(22).all(letters)
}
