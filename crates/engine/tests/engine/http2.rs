//! HTTP/2 streams that the backend gives up (row F2): what came is kept, nothing is taken for a whole reply, nothing is asked for twice.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use engine::{Clock, Engine, Parts, Settings};
use offline::{NewAccount, Offline, Options};
use parking_lot::Mutex;
use pool::transport::TransportMode;
use proto::Dialect;
use rstest::rstest;
use store::Store;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use upstream::{Config, Upstream};

use crate::bench::{Bench, call, import, now, words};
use crate::stream::{Kind, terminals};
use crate::tls;

/// Places in a stream where it is given up.
const SAMPLES: usize = 24;

/// How an answer goes on after its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It ends, as it should.
    Proper,
    /// RST_STREAM with this reason.
    Reset(u8),
    /// GOAWAY with this reason, before this stream; the connection ends.
    Goaway(u8),
    /// The connection ends, without TLS's `close_notify`.
    Fin,
}

/// Every end that is none.
const CUTS: [End; 6] = [End::Reset(0), End::Reset(2), End::Reset(8), End::Goaway(0), End::Goaway(11), End::Fin];

/// What the next model request is answered with.
#[derive(Clone, Debug)]
enum Script {
    /// These bytes of an event stream, then so.
    Stream(Bytes, End),
    /// Nothing, not even a status, then so.
    Silent(End),
}

/// A backend that speaks HTTP/2 frame by frame.
struct Server {
    addr: SocketAddr,
    bundle: NamedTempFile,
    scripts: Arc<Mutex<Vec<Script>>>,
    posts: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start() -> Self {
        let (config, bundle) = tls::certificate(&["127.0.0.1"]);
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (scripts, posts) = (Arc::<Mutex<Vec<Script>>>::default(), Arc::<AtomicUsize>::default());
        let (book, count) = (Arc::clone(&scripts), Arc::clone(&posts));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, book, count) = (acceptor.clone(), Arc::clone(&book), Arc::clone(&count));
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    // A client that leaves is no trouble.
                    let _ = converse(&mut stream, &book, &count).await;
                });
            }
        });
        Self { addr, bundle, scripts, posts, _tasks: tasks }
    }

    /// The answers of the next model requests.
    fn script(&self, scripts: &[Script]) {
        *self.scripts.lock() = scripts.iter().rev().cloned().collect();
    }

    fn posts(&self) -> usize {
        self.posts.load(Ordering::SeqCst)
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Answers one stream after the other until the connection ends.
async fn converse(
    stream: &mut TlsStream<TcpStream>,
    book: &Mutex<Vec<Script>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 24]).await?;
    // Our settings: none.
    stream.write_all(&frame(4, 0, 0, b"")).await?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await?;
        let id = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let words = match (head[3], head[4] & 1) {
            // SETTINGS and PING are agreed to.
            (4, 0) => frame(4, 1, 0, b""),
            (6, 0) => frame(6, 1, 0, &payload),
            // A request without a body is none for a model: `:status: 404`.
            (1, 1) => frame(1, 5, id, &[0x8d]),
            (1, 0) => {
                count.fetch_add(1, Ordering::SeqCst);
                let script = book.lock().pop().unwrap_or(Script::Silent(End::Reset(2)));
                let end = match &script {
                    Script::Stream(_, end) | Script::Silent(end) => *end,
                };
                stream.write_all(&answer(&script, id)).await?;
                stream.flush().await?;
                match end {
                    End::Proper | End::Reset(_) => continue,
                    End::Goaway(_) => stream.shutdown().await?,
                    End::Fin => stream.get_mut().0.shutdown().await?,
                }
                // What is left unread would turn the end into a reset.
                return stream.read_to_end(&mut Vec::new()).await.map(drop);
            }
            _ => continue,
        };
        stream.write_all(&words).await?;
        stream.flush().await?;
    }
}

/// The frames of an answer.
fn answer(script: &Script, id: u32) -> Vec<u8> {
    let (bytes, end) = match script {
        Script::Stream(bytes, end) => (Some(bytes), *end),
        Script::Silent(end) => (None, *end),
    };
    let mut frames = Vec::new();
    if let Some(bytes) = bytes {
        // `:status: 200`, then `content-type` of HPACK's static table with a literal value.
        frames.extend(frame(1, 4, id, &[&[0x88, 0x0f, 0x10, 17][..], b"text/event-stream"].concat()));
        bytes.chunks(16_384).for_each(|chunk| frames.extend(frame(0, 0, id, chunk)));
    }
    frames.extend(match end {
        End::Proper => frame(0, 1, id, b""),
        End::Reset(reason) => frame(3, 0, id, &[0, 0, 0, reason]),
        End::Goaway(reason) => frame(7, 0, 0, &[&(id - 1).to_be_bytes()[..], &[0, 0, 0, reason]].concat()),
        End::Fin => Vec::new(),
    });
    frames
}

/// An engine in front of the server, and a recorded stream.
async fn bench(server: &Server, accounts: usize) -> (Bench, Bytes) {
    let recorded = Kind::Text.record(&Bench::new().await).await;
    let backend = Offline::start(Options::default()).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    let store =
        Store::open(store::Options { home: home.path().to_owned(), ..store::Options::default() }).await.unwrap();
    let (mut logins, mut ids) = (Vec::new(), Vec::new());
    for _ in 0..accounts {
        let login = backend.add_account(NewAccount::default());
        ids.push(import(&store, &login).await);
        logins.push(login);
    }
    let config = Config {
        base_url: format!("https://{}/backend-api", server.addr).parse().unwrap(),
        auth_url: backend.auth_url().parse().unwrap(),
        ca_bundle: Some(server.bundle.path().to_owned()),
        ..Config::default()
    };
    let (settings, clock) = (Settings { transport: TransportMode::Http, ..Settings::default() }, Clock::manual(now()));
    let upstream = Upstream::new(config).unwrap();
    let parts = Parts { store: store.clone(), upstream: upstream.clone(), settings, clock: clock.clone() };
    let engine = Engine::start(parts).await.unwrap();
    (Bench { backend, engine, store, upstream, logins, ids, clock, home }, recorded)
}

#[rstest]
#[tokio::test]
async fn a_stream_that_is_given_up_ends_cleanly(
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini)] dialect: Dialect,
) {
    let server = Server::start().await;
    let (bench, recorded) = bench(&server, 2).await;
    server.script(&[Script::Stream(recorded.clone(), End::Proper)]);
    let full = bench.ask(call(dialect, "cut", true)).await.expect("a reply");
    assert_eq!(terminals(dialect, full.text()), (1, 0), "{}", full.text());
    let mut requests = 1;
    for end in CUTS {
        for step in 0..SAMPLES {
            let at = recorded.len() * step / SAMPLES;
            server.script(&[Script::Stream(recorded.slice(..at), end)]);
            match bench.ask(call(dialect, "cut", true)).await {
                Err(refusal) => assert_eq!(dialect.error(&refusal.failure).0, 502, "{end:?} at {at}: {refusal}"),
                Ok(cut) => {
                    assert_eq!(terminals(dialect, cut.text()), (0, 1), "{end:?} at {at}: {}", cut.text());
                    let (got, all) = (words(dialect, cut.text()), words(dialect, full.text()));
                    assert!(all.starts_with(&got), "{end:?} at {at}: {got:?}");
                }
            }
            requests += 1;
            assert_eq!(server.posts(), requests, "{end:?} at {at}: asked for again");
        }
    }
    assert_eq!((bench.status(0), bench.status(1)), ("active", "active"));
}

/// What the backend says it has not looked at is asked for again, before anything reached the client; all else may have been worked on.
#[rstest]
#[case::refused(End::Reset(7), true)]
#[case::left_out(End::Goaway(0), true)]
#[case::broken(End::Reset(2), false)]
#[case::cancelled(End::Reset(8), false)]
#[case::ended(End::Fin, false)]
#[tokio::test]
async fn a_stream_that_was_not_looked_at_is_asked_for_again(#[case] end: End, #[case] again: bool) {
    let server = Server::start().await;
    let (bench, recorded) = bench(&server, 2).await;
    server.script(&[Script::Silent(end), Script::Stream(recorded, End::Proper)]);
    let answer = bench.ask(call(Dialect::Responses, "hello", true)).await;
    match answer {
        Ok(answer) => assert!(again && terminals(Dialect::Responses, answer.text()) == (1, 0), "{}", answer.text()),
        Err(refusal) => assert!(!again && Dialect::Responses.error(&refusal.failure).0 == 502, "{refusal}"),
    }
    assert_eq!(server.posts(), 1 + usize::from(again));
    assert_eq!((bench.status(0), bench.status(1)), ("active", "active"));
}
