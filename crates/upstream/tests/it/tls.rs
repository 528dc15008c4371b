//! TLS: a valid certificate of a bundled authority is accepted, any other certificate is refused with nothing sent (row F20); HTTP/2 by
//! ALPN with the official client's settings.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rstest::rstest;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use upstream::{BodyReadError, BuildError, Config, Fault, FaultKind, Sent, Upstream};

use crate::recorder::{full, read, with_timeout};
use crate::setup::{assert_no_secrets, call, capture, short};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) bundle: tempfile::NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("polygate test authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let bundle = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(bundle.path(), issuer.pem()).unwrap();
        Self { issuer, bundle }
    }

    pub(crate) fn server(&self, params: &CertificateParams) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        server(vec![certificate.der().clone()], &key)
    }
}

fn server(chain: Vec<rustls::pki_types::CertificateDer<'static>>, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

pub(crate) fn localhost() -> CertificateParams {
    CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap()
}

pub(crate) fn upstream(addr: std::net::SocketAddr, bundle: &Path, timeouts: upstream::Timeouts) -> Upstream {
    let base_url = format!("https://{addr}/backend-api").parse().unwrap();
    Upstream::new(Config { base_url, ca_bundle: Some(bundle.to_owned()), timeouts, ..Config::default() }).unwrap()
}

/// One call to a server with this TLS identity, which must fail.
async fn refused(tls: Arc<ServerConfig>, bundle: &Path) -> Fault {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(listener.local_addr().unwrap(), bundle, upstream::Timeouts::default());
    let serve = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut first = [0];
            stream.peek(&mut first).await.unwrap();
            assert_eq!(first, [22], "something else than a TLS handshake");
            if let Ok(mut stream) = TlsAcceptor::from(tls.clone()).accept(stream).await {
                assert!(read(&mut stream, 0).await.is_none(), "a request reached a server that is not trusted");
            }
        }
    };
    tokio::select! {
        () = serve => unreachable!(),
        result = call(&upstream) => result.err().expect("refused"),
    }
}

fn is_tls(fault: &Fault) {
    assert_eq!((fault.sent, fault.kind, fault.kind.code()), (Sent::No, FaultKind::Tls, "upstream_tls"), "{fault}");
    assert_no_secrets(fault);
}

#[tokio::test]
async fn a_bundled_authority_is_trusted() {
    let authority = Authority::new();
    let tls = authority.server(&localhost());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(listener.local_addr().unwrap(), authority.bundle.path(), upstream::Timeouts::default());
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(tls).accept(stream).await.unwrap();
        let request = read(&mut stream, 0).await.unwrap();
        stream.write_all(&full("200 OK", "", "hello")).await.unwrap();
        request
    };
    let (request, answer) = with_timeout(Box::pin(async { tokio::join!(serve, call(&upstream)) })).await;
    assert_eq!(request.line, "POST /backend-api/codex/responses HTTP/1.1");
    assert_eq!(answer.unwrap().status, 200);
}

#[rstest]
#[case::expired({ let mut params = localhost(); params.not_after = date_time_ymd(2020, 1, 1); params })]
#[case::not_yet_valid({ let mut params = localhost(); params.not_before = date_time_ymd(2999, 1, 1); params })]
#[case::another_host(CertificateParams::new(vec!["example.test".to_owned()]).unwrap())]
#[tokio::test]
async fn a_certificate_that_does_not_fit_is_refused(#[case] params: CertificateParams) {
    let authority = Authority::new();
    is_tls(&refused(authority.server(&params), authority.bundle.path()).await);
}

#[tokio::test]
async fn an_unknown_authority_and_a_self_signed_certificate_are_refused() {
    let (known, unknown) = (Authority::new(), Authority::named("another authority"));
    let fault = refused(unknown.server(&localhost()), known.bundle.path()).await;
    is_tls(&fault);
    assert!(fault.message.contains("upstream.ca_bundle"), "{fault}");
    let key = KeyPair::generate().unwrap();
    let own = localhost().self_signed(&key).unwrap();
    is_tls(&refused(server(vec![own.der().clone()], &key), known.bundle.path()).await);
}

#[rstest]
#[case::plain_http(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec())]
#[case::garbage(vec![0xff; 64])]
#[case::tls_1_1_only(vec![21, 3, 2, 0, 2, 2, 70])]
#[case::hangs_up(Vec::new())]
#[tokio::test]
async fn a_broken_handshake_is_refused_and_not_repeated_in_the_clear(#[case] bytes: Vec<u8>) {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(listener.local_addr().unwrap(), authority.bundle.path(), upstream::Timeouts::default());
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 600];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        hello[0]
    };
    let (first, result) = with_timeout(async { tokio::join!(serve, call(&upstream)) }).await;
    is_tls(&result.err().unwrap());
    assert_eq!(first, 22);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await.is_err());
}

/// How a server ends a connection in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With TLS's `close_notify`.
    Goodbye,
    /// The TCP connection ends without `close_notify`.
    Fin,
    /// The same with a reset.
    Reset,
}

/// Row F2: an end without `close_notify` is not the end of the answer, and neither is an end before the stated length.
#[rstest]
#[tokio::test]
async fn an_end_without_a_goodbye_is_a_cut(
    #[values("content-length: 10\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "\r\nhello")]
    rest: &str,
    #[values(Ending::Goodbye, Ending::Fin, Ending::Reset)] ending: Ending,
) {
    let authority = Authority::new();
    let tls = authority.server(&localhost());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(listener.local_addr().unwrap(), authority.bundle.path(), upstream::Timeouts::default());
    let (first_chunk_read, on_first_chunk_read) = tokio::sync::oneshot::channel();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(tls).accept(stream).await.unwrap();
        read(&mut stream, 0).await.unwrap();
        stream.write_all(format!("HTTP/1.1 200 OK\r\n{rest}").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        // A reset may overtake the bytes before it.
        on_first_chunk_read.await.unwrap();
        match ending {
            Ending::Goodbye => stream.shutdown().await.unwrap(),
            Ending::Fin => stream.get_mut().0.shutdown().await.unwrap(),
            Ending::Reset => stream.get_ref().0.set_zero_linger().unwrap(),
        }
        if ending != Ending::Reset {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    let ask = async {
        let mut answer = call(&upstream).await.unwrap();
        let first = answer.body.chunk().await;
        first_chunk_read.send(()).unwrap();
        (first, answer.body.chunk().await)
    };
    let ((), (first, last)) = with_timeout(Box::pin(async { tokio::join!(serve, ask) })).await;
    assert_eq!(first.unwrap().unwrap(), "hello");
    // Without a length, only `close_notify` marks the end.
    let whole = rest.starts_with("\r\n") && ending == Ending::Goodbye;
    assert!(if whole { last.is_none() } else { matches!(last, Some(Err(BodyReadError::Broken(_)))) }, "{last:?}");
}

#[tokio::test]
async fn a_stalled_handshake_has_a_limit_of_its_own() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let long = std::time::Duration::from_hours(1);
    let timeouts = upstream::Timeouts { connect: long, headers: long, ..short() };
    let upstream = upstream(listener.local_addr().unwrap(), authority.bundle.path(), timeouts);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        all
    };
    let (sent, result) = with_timeout(async { tokio::join!(serve, call(&upstream)) }).await;
    let fault = result.err().unwrap();
    is_tls(&fault);
    assert!(fault.message.contains("took too long"), "{fault}");
    assert_eq!(sent[0], 22);
}

/// A server that prefers HTTP/2 gets HTTP/1.1 if the configuration forces it.
#[rstest]
#[case(false, "h2")]
#[case(true, "http/1.1")]
#[tokio::test]
async fn http2_is_offered_unless_it_is_forbidden(#[case] force_http11: bool, #[case] chosen: &str) {
    let authority = Authority::new();
    let mut tls = Arc::into_inner(authority.server(&localhost())).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}/backend-api", listener.local_addr().unwrap()).parse().unwrap();
    let ca_bundle = Some(authority.bundle.path().to_owned());
    let upstream = Upstream::new(Config { base_url, ca_bundle, force_http11, ..Config::default() }).unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(Arc::new(tls)).accept(stream).await.unwrap();
        stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    };
    // The server is gone after the handshake, so the call fails.
    let (negotiated, answer) = with_timeout(Box::pin(async { tokio::join!(serve, call(&upstream)) })).await;
    assert_eq!(negotiated.as_deref(), Some(chosen));
    assert!(answer.is_err());
}

/// SETTINGS and WINDOW_UPDATE equal the official client's: no option of the gateway changes them.
#[tokio::test]
async fn http2_begins_as_the_official_clients() {
    let authority = Authority::new();
    let mut tls = Arc::into_inner(authority.server(&localhost())).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = upstream(listener.local_addr().unwrap(), authority.bundle.path(), upstream::Timeouts::default());
    let serve = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(tls)).accept(stream).await.unwrap();
        let mut bytes = vec![0; 24 + 9 + 24 + 9 + 4 + 9 + 3];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    });
    // The server is gone after these bytes, so the call fails.
    assert!(call(&upstream).await.is_err());
    let bytes = with_timeout(serve).await.unwrap();
    let mut wanted = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    wanted.extend([0, 0, 24, 4, 0, 0, 0, 0, 0]);
    for (setting, value) in [(2_u16, 0_u32), (4, 2_097_152), (5, 16_384), (6, 16_384)] {
        wanted.extend(setting.to_be_bytes());
        wanted.extend(value.to_be_bytes());
    }
    wanted.extend([0, 0, 4, 8, 0, 0, 0, 0, 0]);
    wanted.extend(5_177_345_u32.to_be_bytes());
    assert_eq!(bytes[..wanted.len()], wanted[..]);
    // HEADERS, END_HEADERS without PRIORITY, stream 1; the body follows.
    assert_eq!((bytes[wanted.len() + 3], bytes[wanted.len() + 4], bytes[wanted.len() + 8]), (1, 4, 1));
    // `:method POST` and `:scheme https` of HPACK's static table, then a literal `:authority`: the path comes last.
    assert_eq!(bytes[wanted.len() + 9..], [0x83, 0x87, 0x41]);
    let Some(capture) = capture("14-responses-http-h2-gpt55.json") else { return };
    let frames = capture["h2_first_frames"].as_array().unwrap();
    let settings = &frames[0]["settings"];
    let ours = json!([
        ["ENABLE_PUSH", 0],
        ["INITIAL_WINDOW_SIZE", 2_097_152],
        ["MAX_FRAME_SIZE", 16_384],
        ["MAX_HEADER_LIST_SIZE", 16_384]
    ]);
    assert_eq!((settings, &frames[1]["increment"], &frames[2]["flags"]), (&ours, &json!(5_177_345), &json!(4)));
    let pseudo = capture["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap());
    let pseudo: Vec<_> = pseudo.filter(|name| name.starts_with(':')).collect();
    assert_eq!(pseudo, [":method", ":scheme", ":authority", ":path"]);
}

#[test]
fn a_bundle_must_hold_a_certificate() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let config = |path: &Path| Config { ca_bundle: Some(path.to_owned()), ..Config::default() };
    for path in [empty.path(), Path::new("/nonexistent/ca.pem")] {
        let error = Upstream::new(config(path)).err().unwrap();
        assert!(matches!(error, BuildError::Bundle { .. }) && error.to_string().contains("hint:"), "{error}");
    }
}
