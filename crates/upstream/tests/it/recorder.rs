//! A raw HTTP/1.1 server: records requests as bytes, answers with given bytes, and reports when a client disconnects.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// The events, in order.
#[derive(Debug)]
pub(crate) enum Event {
    Request(RecordedRequest),
    /// The client's side of this connection is closed.
    Closed(usize),
}

/// A request as received.
#[derive(Clone, Debug)]
pub(crate) struct RecordedRequest {
    pub(crate) connection: usize,
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl RecordedRequest {
    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The server's action after a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Write these bytes and wait for the next request.
    Keep(Vec<u8>),
    /// Write these bytes, close the server's side, and wait for the client to close its side.
    Close(Vec<u8>),
    /// Write these bytes and nothing more.
    Hang(Vec<u8>),
}

pub(crate) struct Recorder {
    pub(crate) addr: SocketAddr,
    events: mpsc::UnboundedReceiver<Event>,
    _server: JoinSet<()>,
}

type Script = Arc<dyn Fn(usize) -> Reply + Send + Sync>;

impl Recorder {
    /// `script` answers the n-th request, from 0.
    pub(crate) async fn start(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        let script: Script = Arc::new(script);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(converse(stream, connection, tell.clone(), script.clone(), count.clone()));
            }
        });
        Self { addr, events, _server: server }
    }

    /// Every request gets the same answer.
    pub(crate) async fn always(reply: Reply) -> Self {
        Self::start(move |_| reply.clone()).await
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}/backend-api", self.addr)
    }

    pub(crate) async fn event(&mut self) -> Event {
        with_timeout(self.events.recv()).await.unwrap()
    }

    pub(crate) async fn request(&mut self) -> RecordedRequest {
        match self.event().await {
            Event::Request(request) => request,
            Event::Closed(connection) => panic!("connection {connection} closed instead of a request"),
        }
    }

    pub(crate) async fn closed(&mut self) -> usize {
        match self.event().await {
            Event::Closed(connection) => connection,
            Event::Request(request) => panic!("a request instead of a close: {}", request.line),
        }
    }

    /// The next event, if it has already happened.
    pub(crate) fn past(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Whether no further event has happened.
    pub(crate) fn quiet(&mut self) -> bool {
        self.past().is_none()
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    tell: mpsc::UnboundedSender<Event>,
    script: Script,
    count: Arc<std::sync::atomic::AtomicUsize>,
) {
    while let Some(request) = read(&mut stream, connection).await {
        let _ = tell.send(Event::Request(request));
        match script(count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
            Reply::Keep(bytes) => stream.write_all(&bytes).await.unwrap_or(()),
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                break;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                break;
            }
        }
    }
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    let _ = tell.send(Event::Closed(connection));
}

/// One request with a `content-length` body or none.
pub(crate) async fn read<S: AsyncRead + Unpin>(stream: &mut S, connection: usize) -> Option<RecordedRequest> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut request = RecordedRequest {
        connection,
        line,
        headers: lines.map(|line| pair(line).unwrap()).collect(),
        body: Vec::new(),
    };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    stream.read_exact(&mut request.body).await.ok()?;
    Some(request)
}

/// A whole answer with a body.
pub(crate) fn full(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Awaits `work`; the time limit only turns a hang into a failure.
pub(crate) async fn with_timeout<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.expect("nothing happened for 20 s")
}
