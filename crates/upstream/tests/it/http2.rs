//! HTTP/2, the protocol with the backend over https: dropping an answer resets its stream and leaves the connection open, and a
//! connection that the server closes is replaced.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use upstream::{BodyReadError, Timeouts, Upstream};

use crate::recorder::with_timeout;
use crate::setup::call;
use crate::tls::{self, Authority};

/// The stream limit of a connection, as the backend sets it.
const STREAMS: u32 = 100;

/// A body that sends `hello` and never ends; it reports when it is dropped.
struct Endless {
    first: Option<Bytes>,
    tell: mpsc::UnboundedSender<&'static str>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.first.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.tell.send("reset");
    }
}

struct Server {
    upstream: Upstream,
    events: mpsc::UnboundedReceiver<&'static str>,
    /// The names of each request's headers, in order.
    heads: mpsc::UnboundedReceiver<Vec<String>>,
    _tasks: JoinSet<()>,
}

/// A server whose answers never end. With `once`, each connection takes one request and then sends GOAWAY.
async fn serve(once: bool) -> Server {
    let authority = Authority::new();
    let mut config = Arc::into_inner(authority.server(&tls::localhost())).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = tls::upstream(listener.local_addr().unwrap(), authority.bundle.path(), Timeouts::default());
    let (tell, events) = mpsc::unbounded_channel();
    let (head, heads) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(Box::pin(converse(acceptor.clone(), stream, (tell.clone(), head.clone()), once)));
        }
    });
    Server { upstream, events, heads, _tasks: tasks }
}

async fn converse(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    (tell, head): (mpsc::UnboundedSender<&'static str>, mpsc::UnboundedSender<Vec<String>>),
    once: bool,
) {
    let stream = acceptor.accept(stream).await.unwrap();
    let _ = tell.send("connection");
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        assert_eq!(request.version(), http::Version::HTTP_2);
        let _ = arrived.send(());
        let _ = head.send(request.headers().keys().map(|name| name.as_str().to_owned()).collect());
        let body = Endless { first: Some(Bytes::from("hello")), tell: tell.clone() };
        async move { Ok::<_, Infallible>(http::Response::new(body)) }
    });
    let mut builder = http2::Builder::new(TokioExecutor::new());
    let connection = builder.max_concurrent_streams(STREAMS).serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        _ = arrivals.recv(), if once => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
    let _ = tell.send("end");
}

#[tokio::test]
async fn leaving_resets_the_stream_and_keeps_the_connection() {
    let mut server = serve(false).await;
    for round in 0..3 {
        let mut answer = call(&server.upstream).await.unwrap();
        assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hello");
        if round == 0 {
            assert_eq!(with_timeout(server.events.recv()).await, Some("connection"));
        }
        assert!(server.events.try_recv().is_err());
        drop(answer);
        assert_eq!(with_timeout(server.events.recv()).await, Some("reset"));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_replaced() {
    let mut server = serve(true).await;
    for _ in 0..5 {
        let mut answer = call(&server.upstream).await.unwrap();
        assert_eq!(answer.body.chunk().await.unwrap().unwrap(), "hello");
        drop(answer);
        assert_eq!(with_timeout(server.events.recv()).await, Some("connection"));
        let mut rest = [with_timeout(server.events.recv()).await, with_timeout(server.events.recv()).await];
        rest.sort_unstable();
        assert_eq!(rest, [Some("end"), Some("reset")]);
    }
}

/// HTTP/2 has no `host`; all other headers have the order of HTTP/1.1.
#[tokio::test]
async fn headers_have_the_same_order_as_over_http1() {
    let mut server = serve(false).await;
    drop(call(&server.upstream).await.unwrap());
    let wanted = [
        "version", "x-codex-routing-hint", "x-client-request-id", "session-id", "thread-id", "accept", "content-type",
        "authorization", "chatgpt-account-id", "originator", "user-agent", "content-length",
    ];
    assert_eq!(with_timeout(server.heads.recv()).await.unwrap(), wanted);
}

#[tokio::test]
async fn what_one_connection_does_not_take_goes_over_another() {
    let mut server = serve(false).await;
    let mut answers = Vec::new();
    for _ in 0..STREAMS {
        answers.push(call(&server.upstream).await.unwrap());
    }
    assert_eq!(with_timeout(server.events.recv()).await, Some("connection"));
    assert!(server.events.try_recv().is_err());
    answers.push(call(&server.upstream).await.unwrap());
    assert_eq!(with_timeout(server.events.recv()).await, Some("connection"));
    // A free stream of an open connection is used before a new connection is opened.
    drop(answers.remove(0));
    assert_eq!(with_timeout(server.events.recv()).await, Some("reset"));
    answers.push(call(&server.upstream).await.unwrap());
    assert!(server.events.try_recv().is_err());
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
/// END_STREAM.
const END: u8 = 1;
/// ACK of SETTINGS.
const ACK: u8 = 1;
/// END_HEADERS.
const HEAD: u8 = 4;

fn rst(reason: u8) -> Vec<u8> {
    frame(3, 0, 1, &[0, 0, 0, reason])
}

fn goaway(last: u8, reason: u8) -> Vec<u8> {
    frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, reason])
}

/// Trailers with one field: a literal without indexing, `a: b`.
fn trailers() -> Vec<u8> {
    frame(HEADERS, HEAD | END, 1, &[0, 1, b'a', 1, b'b'])
}

/// What happens to a connection after the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Stays,
    /// With TLS's `close_notify`.
    Goodbye,
    Fin,
}

/// Row F2: a stream without END_STREAM is cut, however the server gives the stream up.
#[rstest]
#[case::reset_without_an_error(rst(0), After::Stays, false)]
#[case::reset_by_an_internal_error(rst(2), After::Stays, false)]
#[case::reset_as_refused(rst(7), After::Stays, false)]
#[case::reset_as_cancelled(rst(8), After::Stays, false)]
#[case::reset_for_calm(rst(11), After::Stays, false)]
#[case::left_out_by_a_goodbye(goaway(0, 0), After::Stays, false)]
#[case::left_out_by_a_failure(goaway(0, 2), After::Stays, false)]
#[case::a_goodbye_and_the_end(goaway(1, 0), After::Goodbye, false)]
#[case::a_goodbye_and_no_end_of_tls(goaway(1, 0), After::Fin, false)]
#[case::a_failure_and_the_end(goaway(1, 11), After::Goodbye, false)]
#[case::the_end(Vec::new(), After::Goodbye, false)]
#[case::no_end_of_tls(Vec::new(), After::Fin, false)]
#[case::ended(frame(DATA, END, 1, b""), After::Stays, true)]
#[case::ended_by_trailers(trailers(), After::Stays, true)]
#[case::ended_and_reset([frame(DATA, END, 1, b""), rst(0)].concat(), After::Stays, true)]
#[case::ended_by_trailers_and_reset([trailers(), rst(0)].concat(), After::Stays, true)]
#[case::ended_and_gone([frame(DATA, END, 1, b""), goaway(1, 0)].concat(), After::Fin, true)]
#[tokio::test]
async fn a_stream_that_is_given_up_is_a_cut(#[case] words: Vec<u8>, #[case] after: After, #[case] whole: bool) {
    let authority = Authority::new();
    let mut config = Arc::into_inner(authority.server(&tls::localhost())).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = tls::upstream(listener.local_addr().unwrap(), authority.bundle.path(), Timeouts::default());
    let (first_chunk_read, on_first_chunk_read) = oneshot::channel();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        read_request(&mut stream).await;
        // `:status: 200` of HPACK's static table.
        let begin = [frame(HEADERS, HEAD, 1, &[0x88]), frame(DATA, 0, 1, b"hello")].concat();
        stream.write_all(&begin).await.unwrap();
        stream.flush().await.unwrap();
        on_first_chunk_read.await.unwrap();
        stream.write_all(&words).await.unwrap();
        stream.flush().await.unwrap();
        match after {
            After::Stays => {}
            After::Goodbye => stream.shutdown().await.unwrap(),
            After::Fin => stream.get_mut().0.shutdown().await.unwrap(),
        }
        // Read on: unread bytes would turn the end into a reset.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let mut answer = call(&upstream).await.unwrap();
    assert_eq!(with_timeout(answer.body.chunk()).await.unwrap().unwrap(), "hello");
    first_chunk_read.send(()).unwrap();
    let last = with_timeout(answer.body.chunk()).await;
    assert!(if whole { last.is_none() } else { matches!(last, Some(Err(BodyReadError::Broken(_)))) }, "{last:?}");
}

/// Reads until the request on stream 1 arrives, and acknowledges the client's settings.
async fn read_request(stream: &mut TlsStream<TcpStream>) {
    stream.read_exact(&mut [0; 24]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        match head[3] {
            SETTINGS if head[4] != ACK => {
                stream.write_all(&[frame(SETTINGS, 0, 0, b""), frame(SETTINGS, ACK, 0, b"")].concat()).await.unwrap();
            }
            HEADERS => return,
            _ => {}
        }
    }
}
