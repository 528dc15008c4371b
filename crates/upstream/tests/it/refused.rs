//! A request that an HTTP/2 server reports as not processed is sent again; any other request is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use upstream::{FaultKind, Sent, Timeouts, Upstream};

use crate::setup::{assert_no_secrets, call};
use crate::tls::{self, Authority};

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// The server's reply to a request.
#[derive(Clone, Copy)]
enum ServerReply {
    /// `:status 200`, no body.
    Ok,
    Reset(u32),
    /// GOAWAY, then the connection ends. The last processed stream is this request's, or none.
    Away {
        processed: bool,
        reason: u32,
    },
}

struct Server {
    upstream: Upstream,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    /// Replies `first` to the first request and `then` to all others.
    async fn start(first: ServerReply, then: ServerReply) -> Self {
        let authority = Authority::new();
        let mut config = Arc::into_inner(authority.server(&tls::localhost())).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = tls::upstream(listener.local_addr().unwrap(), authority.bundle.path(), Timeouts::default());
        let requests = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        let count = Arc::clone(&requests);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = Box::pin(acceptor.accept(stream)).await.unwrap();
                connections.spawn(converse(stream, Arc::clone(&count), first, then));
            }
        });
        Self { upstream, requests, _tasks: tasks }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn converse(
    mut stream: TlsStream<tokio::net::TcpStream>,
    count: Arc<AtomicUsize>,
    first: ServerReply,
    then: ServerReply,
) {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    while let Some((kind, id)) = next(&mut stream).await {
        if kind != HEADERS {
            continue;
        }
        let say = if count.fetch_add(1, Ordering::SeqCst) == 0 { first } else { then };
        let bytes = match say {
            ServerReply::Ok => frame(HEADERS, 5, id, &[0x88]),
            ServerReply::Reset(reason) => frame(RESET, 0, id, &reason.to_be_bytes()),
            ServerReply::Away { processed, reason } => {
                let last = if processed { id } else { 0 };
                frame(GOAWAY, 0, 0, &[last.to_be_bytes(), reason.to_be_bytes()].concat())
            }
        };
        stream.write_all(&bytes).await.unwrap();
        if matches!(say, ServerReply::Away { .. }) {
            stream.shutdown().await.unwrap();
        }
    }
}

/// Kind and stream of the next frame, whose content is skipped.
async fn next(stream: &mut TlsStream<tokio::net::TcpStream>) -> Option<(u8, u32)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut content).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]])))
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

#[rstest]
#[case::refused(ServerReply::Reset(7))]
#[case::goodbye(ServerReply::Away { processed: false, reason: 0 })]
#[tokio::test]
async fn what_was_not_processed_is_sent_again(#[case] say: ServerReply) {
    let server = Server::start(say, ServerReply::Ok).await;
    assert_eq!(call(&server.upstream).await.unwrap().status, 200);
    assert_eq!(server.requests(), 2);
}

#[rstest]
#[case::refused(ServerReply::Reset(7))]
#[case::goodbye(ServerReply::Away { processed: false, reason: 0 })]
#[tokio::test]
async fn what_is_never_processed_sent_nothing(#[case] say: ServerReply) {
    let server = Server::start(say, say).await;
    let fault = call(&server.upstream).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::No, FaultKind::Closed), "{fault}");
    assert_eq!(server.requests(), 3);
    assert_no_secrets(&fault);
}

#[rstest]
#[case::internal_error(ServerReply::Reset(2))]
#[case::cancelled(ServerReply::Reset(8))]
#[case::goodbye_to_a_processed_one(ServerReply::Away { processed: true, reason: 0 })]
#[case::angry_goodbye_to_a_processed_one(ServerReply::Away { processed: true, reason: 11 })]
#[tokio::test]
async fn what_may_have_been_processed_is_not(#[case] say: ServerReply) {
    let server = Server::start(say, ServerReply::Ok).await;
    let fault = call(&server.upstream).await.err().unwrap();
    assert_eq!((fault.sent, fault.kind), (Sent::Maybe, FaultKind::Cut), "{fault}");
    assert_eq!(server.requests(), 1);
}
