//! Embeddings, audio and images: bodies pass through unchanged, in both directions.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame};
use http_body_util::Full;
use pool::relay::{Relay, Service, Wire};
use upstream::relay::{Forward, OutgoingBody};
use upstream::{Answer, Fault, FaultKind, Sent, Timeouts, Upstream};

use super::server::{Server, json, response};
use super::{KEY, discreet, key, relay, upstream, with};
use crate::recorder::{Recorder, Reply, with_timeout};

async fn forward(
    upstream: &Upstream,
    relay: &Relay,
    service: Service,
    body: impl Into<OutgoingBody>,
) -> Result<Answer, Fault> {
    let content_type = Some(HeaderValue::from_static("multipart/form-data; boundary=X"));
    let forward = Forward { relay, key: &key(), service, content_type, body: body.into() };
    with_timeout(upstream.relays().forward(forward)).await
}

#[tokio::test]
async fn each_service_has_its_path() {
    let server = Server::open(|_| json(200, "{\"object\":\"list\"}")).await;
    let (upstream, relay) = (upstream(), relay(Wire::Chat, &server.at("/v1")));
    for service in Service::EACH {
        let answer = forward(&upstream, &relay, service, Bytes::from("{\"model\":\"m\"}")).await.unwrap();
        assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/json"));
        assert_eq!(answer.body.collect(99).await.unwrap(), "{\"object\":\"list\"}");
        let request = server.requests().pop().unwrap();
        assert_eq!((request.method.as_str(), request.path), ("POST", format!("/v1{}", service.path())));
        assert_eq!(request.body, "{\"model\":\"m\"}");
        assert_eq!(request.headers["authorization"], format!("Bearer {KEY}"));
        assert_eq!(request.headers["content-type"], "multipart/form-data; boundary=X");
    }
}

/// A body in pieces, of unknown length.
struct Pieces(std::vec::IntoIter<&'static str>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}

#[tokio::test]
async fn a_body_passes_as_it_arrives() {
    let server = Server::open(|request| json(200, request.body.clone())).await;
    let (upstream, relay) = (upstream(), relay(Wire::Chat, &server.at("/v1")));
    let parts = vec!["--X\r\n", "content-disposition: form-data; name=\"file\"\r\n\r\n", "\u{0}\u{1}", "\r\n--X--"];
    let whole = parts.concat();
    let answer = forward(&upstream, &relay, Service::Transcriptions, OutgoingBody::stream(Pieces(parts.into_iter())))
        .await
        .unwrap();
    assert_eq!(answer.body.collect(999).await.unwrap(), whole);
    assert_eq!(server.only().header("transfer-encoding"), Some("chunked"));
    let known = OutgoingBody::stream(Full::new(Bytes::from("known")));
    forward(&upstream, &relay, Service::Edits, known).await.unwrap();
    assert_eq!(server.requests()[1].header("content-length"), Some("5"));
}

#[tokio::test]
async fn only_known_headers_come_back() {
    let server = Server::open(|_| {
        let headers = [
            ("content-type", "text/html; charset=utf-8"),
            ("retry-after", "3"),
            ("x-request-id", "r"),
            ("x-ratelimit-remaining-requests", "9"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("server", "relay"),
            ("authorization", "mirrored"),
        ];
        response(429, &headers, "<script>")
    });
    let server = server.await;
    let answer =
        forward(&upstream(), &relay(Wire::Chat, &server.at("/v1")), Service::Speech, Bytes::new()).await.unwrap();
    let mut names: Vec<&str> = answer.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["content-length", "content-type", "retry-after", "x-ratelimit-remaining-requests", "x-request-id"]
    );
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    for kind in ["audio/mpeg", "image/png", "text/event-stream", "application/json; charset=utf-8", "text/plain"] {
        let server = Server::open(move |_| response(200, &[("content-type", kind)], "x")).await;
        let relay = relay(Wire::Responses, &server.at("/v1"));
        let answer = forward(&upstream(), &relay, Service::Speech, Bytes::new()).await.unwrap();
        assert_eq!(answer.headers["content-type"], kind);
    }
}

#[tokio::test]
async fn a_protocol_without_the_service_is_not_called() {
    let server = Server::open(|_| json(200, "{}")).await;
    for wire in [Wire::Messages, Wire::Gemini] {
        let relay = relay(wire, &server.at("/v1"));
        let fault = forward(&upstream(), &relay, Service::Embeddings, Bytes::new()).await.err().unwrap();
        assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Unsendable), "{fault}");
        discreet(&format!("{fault} {fault:?}"));
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_silent_relay_has_a_limit_from_the_end_of_the_body() {
    let server = Recorder::always(Reply::Hang(Vec::new())).await;
    let upstream = with(Timeouts { service: Duration::from_millis(100), ..Timeouts::default() });
    let relay = relay(Wire::Chat, &format!("http://{}/v1", server.addr));
    for body in [OutgoingBody::from(Bytes::from("{}")), OutgoingBody::stream(Full::new(Bytes::from("{}")))] {
        let fault = forward(&upstream, &relay, Service::Generations, body).await.err().unwrap();
        assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Timeout), "{fault}");
    }
}
