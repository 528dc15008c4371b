//! Row A8: a forbidden target is not called, and no part of the request is sent.

use pool::relay::Relay;
use pool::relay::Wire;
use rstest::rstest;
use upstream::relay::RelayCall;
use upstream::{Config, Fault, FaultKind, Sent, Timeouts, Upstream};

use super::server::{Server, json};
use super::{discreet, key, relay, upstream};
use crate::recorder::{Recorder, Reply, full, with_timeout};
use crate::tls::{self, Authority};

async fn fault(upstream: &Upstream, relay: &Relay) -> Fault {
    let key = key();
    let call = RelayCall { relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
    let fault = with_timeout(upstream.relays().call(call)).await.err().expect("denied");
    discreet(&format!("{fault} {fault:?}"));
    fault
}

fn is_denied(fault: &Fault, part: &str) {
    assert_eq!(
        (fault.sent, fault.kind, fault.kind.code()),
        (Sent::No, FaultKind::Denied, "upstream_denied"),
        "{fault}"
    );
    assert!(fault.message.contains(part), "{fault}");
}

#[rstest]
#[case::literal("127.0.0.1", "loopback")]
#[case::short("127.1", "loopback")]
#[case::octal("0177.0.0.1", "loopback")]
#[case::number("2130706433", "loopback")]
#[case::mapped("[::ffff:127.0.0.1]", "loopback")]
#[case::any("0.0.0.0", "unspecified")]
#[case::name("localhost", "localhost")]
#[case::name_dot("LOCALHOST.", "localhost")]
#[tokio::test]
async fn private_targets_need_leave(#[case] host: &str, #[case] part: &str) {
    let server = Server::open(|_| json(200, "{}")).await;
    let base = format!("https://{host}:{}/v1", server.addr.port());
    is_denied(&fault(&upstream(), &Relay { allow_private: false, ..relay(Wire::Chat, &base) }).await, part);
    let plain = Relay { allow_private: false, ..relay(Wire::Chat, &base.replace("https", "http")) };
    is_denied(&fault(&upstream(), &plain).await, part);
    let elsewhere = Relay { allow_private: false, ..relay(Wire::Chat, "http://relay.example/v1") };
    is_denied(&fault(&upstream(), &elsewhere).await, "plain http");
    assert_eq!(server.requests().len(), 0);
}

#[rstest]
#[case("http://169.254.169.254/v1")]
#[case("http://[fd00:ec2::254]/v1")]
#[case("http://[::ffff:a9fe:a9fe]/v1")]
#[case("http://metadata.google.internal/v1")]
#[tokio::test]
async fn metadata_is_never_called(#[case] base: &str) {
    is_denied(&fault(&upstream(), &relay(Wire::Chat, base)).await, "metadata");
}

#[rstest]
#[case("127.0.0.1")]
#[case("localhost")]
#[case("0.0.0.0")]
#[case("[::ffff:127.0.0.1]")]
#[tokio::test]
async fn our_own_listener_is_never_called(#[case] host: &str) {
    let server = Server::open(|_| json(200, "{}")).await;
    let upstream = upstream();
    let base = format!("http://{host}:{}/v1", server.addr.port());
    for listener in [server.addr, format!("0.0.0.0:{}", server.addr.port()).parse().unwrap()] {
        upstream.relays().set_listeners(vec!["127.0.0.1:1".parse().unwrap(), listener]);
        is_denied(&fault(&upstream, &relay(Wire::Chat, &base)).await, "this gateway itself");
    }
    assert_eq!(server.requests().len(), 0);
    // Another port of this machine belongs to another program.
    let other = Server::open(|_| json(200, "{}")).await;
    let (relay, key) = (relay(Wire::Chat, &other.at("/v1")), key());
    let call = RelayCall { relay: &relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
    assert_eq!(upstream.relays().call(call).await.unwrap().status, 200);
}

#[rstest]
#[case("ftp://relay.example/v1")]
#[case("https://user:secret@relay.example/v1")]
#[case("https://relay.example/v1?key=secret")]
#[case("nonsense")]
#[tokio::test]
async fn what_is_no_base_url_is_not_called(#[case] base: &str) {
    let fault = fault(&upstream(), &relay(Wire::Chat, base)).await;
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Unsendable), "{fault}");
    assert!(fault.message.contains("hint:") && !fault.message.contains("secret"), "{fault}");
}

#[tokio::test]
async fn other_services_ports_are_not_called() {
    is_denied(&fault(&upstream(), &relay(Wire::Chat, "https://relay.example:22/v1")).await, "port 22");
}

#[tokio::test]
async fn tls_is_checked_and_speaks_http2() {
    let authority = Authority::new();
    let mut config = std::sync::Arc::into_inner(authority.server(&tls::localhost())).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let upstream = tls::upstream(addr, authority.bundle.path(), Timeouts::default());
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
            assert_eq!(request.version(), http::Version::HTTP_2);
            let name = request.headers()["x-api-key"].to_str().unwrap().to_owned();
            Ok::<_, std::convert::Infallible>(http::Response::new(http_body_util::Full::new(bytes::Bytes::from(name))))
        });
        let io = hyper_util::rt::TokioIo::new(stream);
        let executor = hyper_util::rt::TokioExecutor::new();
        let _ = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service).await;
    };
    let ask = async {
        let (relay, key) = (relay(Wire::Messages, &format!("https://{addr}")), key());
        let call = RelayCall { relay: &relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
        upstream.relays().call(call).await.unwrap().body.collect(99).await.unwrap()
    };
    let body = with_timeout(Box::pin(async {
        tokio::select! {
            () = serve => panic!("the server ended first"),
            body = ask => body,
        }
    }));
    assert_eq!(body.await, super::KEY);
}

#[tokio::test]
async fn a_certificate_of_nobody_is_refused() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let upstream = tls::upstream(addr, known.bundle.path(), Timeouts::default());
    let acceptor = tokio_rustls::TlsAcceptor::from(unknown.server(&tls::localhost()));
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            assert!(acceptor.accept(stream).await.is_err());
        }
    };
    let relay = relay(Wire::Chat, &format!("https://{addr}/v1"));
    tokio::select! {
        () = serve => unreachable!(),
        fault = fault(&upstream, &relay) => assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Tls)),
    }
}

#[tokio::test]
async fn a_proxy_is_used_for_relays_elsewhere_and_for_none_nearby() {
    let mut proxy = Recorder::always(Reply::Keep(full("200 OK", "", "proxied"))).await;
    let server = Server::open(|_| json(200, "direct")).await;
    let config = Config { proxy: Some(format!("http://{}", proxy.addr).parse().unwrap()), ..Config::default() };
    let upstream = Upstream::new(config).unwrap();
    let ask = async |base: &str| {
        let (relay, key) = (relay(Wire::Chat, base), key());
        let call = RelayCall { relay: &relay, key: &key, model: "m", body: "{}".into(), client_headers: &[] };
        let answer = with_timeout(upstream.relays().call(call)).await.unwrap();
        answer.body.collect(99).await.unwrap()
    };
    assert_eq!(ask("http://relay.example/v1").await, "proxied");
    assert_eq!(proxy.request().await.line, "POST http://relay.example/v1/chat/completions HTTP/1.1");
    assert_eq!(ask(&server.at("/v1")).await, "direct");
    assert_eq!(ask(&format!("http://localhost:{}/v1", server.addr.port())).await, "direct");
    is_denied(&fault(&upstream, &relay(Wire::Chat, "http://169.254.169.254/v1")).await, "metadata");
    assert!(proxy.quiet());
}
