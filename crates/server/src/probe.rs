//! The parsers of bytes from outside, callable without a socket. Only fuzz targets use this module.

use bytes::Bytes;
use futures_util::stream::iter;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;
use proto::Failure;

use crate::body::{self, BodyBudget};
use crate::connection::head::{self, Framing};
use crate::edge::multipart::ModelFinder;
use crate::guard::host::{Host, Name};
use crate::settings::Limits;

/// The name and port in a `Host` header; `None` if the header is refused.
pub fn host(text: &str) -> Option<(String, Option<u16>)> {
    let host = Host::parse(text)?;
    let name = match host.name {
        Name::Ip(address) => address.to_string(),
        Name::Dns(name) => name,
    };
    Some((name, host.port))
}

/// Where a request head ends, and the length of the body after it, `None` for a chunked body. Errors: the head is refused.
#[expect(clippy::result_unit_err, reason = "the callers ask only whether")]
pub fn head(held: &[u8], most: usize) -> Result<Option<(usize, Option<u64>)>, ()> {
    let Some(end) = head::end(held, 0).map_err(|_| ())? else { return Ok(None) };
    match head::check(&held[..end], most).map_err(|_| ())? {
        Framing::Length(length) => Ok(Some((end, Some(length)))),
        Framing::Chunked => Ok(Some((end, None))),
    }
}

/// Where the field `model` of a form is, if the form arrives in pieces of `size` bytes. Errors: the form is refused.
#[expect(clippy::result_unit_err, reason = "the callers ask only whether")]
pub fn form(boundary: &str, body: &[u8], size: usize) -> Result<Option<std::ops::Range<usize>>, ()> {
    let mut scan = ModelFinder::new(boundary);
    let mut come = 0;
    while come < body.len() {
        come = (come + size.max(1)).min(body.len());
        if scan.read(&body[..come]).map_err(|_| ())? {
            break;
        }
    }
    Ok(scan.model())
}

/// Reads a request body with this `Content-Encoding`, as from a connection. Errors: the failure for the client.
pub async fn decode_body(coding: &str, chunks: Vec<Bytes>, limits: &Limits) -> Result<Bytes, Failure> {
    let coding = HeaderValue::from_str(coding).ok();
    let headers: HeaderMap = coding.into_iter().map(|coding| (CONTENT_ENCODING, coding)).collect();
    let frames = chunks.into_iter().map(|chunk| Ok::<_, std::convert::Infallible>(Frame::data(chunk)));
    let budget = BodyBudget::new(limits.buffered);
    Ok(body::read(&headers, StreamBody::new(iter(frames)), limits, &budget).await?)
}
