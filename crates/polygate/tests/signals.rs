//! Stop signals at the real process (rows F34 and F35): streams finish after the first signal, and end at once with their protocol's error
//! after the second signal.

#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use common::{Gateway, Home, KEY};
use futures_util::future::join_all;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use offline::{Offline, Options, Plan, Rule, Wait};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::{Outcome, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Streams in flight when the signal comes, and additional replies over WebSockets.
const STREAMS: usize = 500;
const SOCKETS: usize = 8;
/// Longest wait for anything; a test that reaches it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of each protocol: its path, its body, and a text that only a complete stream contains.
const CALLS: [(&str, &str, &str); 4] = [
    ("/v1/responses", r#"{"model":"gpt-6-sol","stream":true,"input":"count to 9"}"#, "response.completed"),
    (
        "/v1/chat/completions",
        r#"{"model":"gpt-6-sol","stream":true,"messages":[{"role":"user","content":"count to 9"}]}"#,
        "data: [DONE]",
    ),
    (
        "/v1/messages",
        r#"{"model":"gpt-6-sol","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"count to 9"}]}"#,
        "event: message_stop",
    ),
    (
        "/v1beta/models/gpt-6-sol:streamGenerateContent?alt=sse",
        r#"{"contents":[{"role":"user","parts":[{"text":"count to 9"}]}]}"#,
        r#""finishReason":"STOP""#,
    ),
];

/// A gateway whose upstream pauses in the middle of every reply.
struct Site {
    backend: offline::Running,
    home: Home,
    gateway: Gateway,
}

impl Site {
    async fn new(wait: Wait, env: &[(&str, &str)]) -> Self {
        raise_file_limit();
        let backend = Offline::start(Options::default()).await.unwrap();
        backend.add_rule(Rule::responses(Plan::auto().pause(4, wait)).times(1000));
        let home = Home::new(&backend).logging_warnings().with_file_limit(256);
        home.import(&backend.account("plus"));
        let gateway = home.serve(env);
        Self { backend, home, gateway }
    }

    /// Starts streams of all protocols in turn, and waits until each has begun.
    async fn streams(&self, count: usize) -> Vec<(&'static str, Response<Incoming>)> {
        let open = |(path, body, end): &(&'static str, &'static str, &'static str)| {
            let (request, end) = (self.gateway.request("POST", path, KEY, body), *end);
            async move { (end, self.gateway.open(request).await.unwrap()) }
        };
        let streams = join_all(CALLS.iter().cycle().take(count).map(open)).await;
        assert!(streams.iter().all(|(_, answer)| answer.status() == 200));
        streams
    }

    /// Starts replies over WebSockets, and waits until each has begun.
    async fn sockets(&self) -> Vec<Socket> {
        join_all((0..SOCKETS).map(|_| Socket::asking(self.gateway.port))).await
    }

    /// Waits for the end of the process, and returns its exit code. Every request has left a row with its outcome.
    async fn ended(mut self, rows: usize, outcome: Outcome) -> i32 {
        let code = self.gateway.wait(PATIENCE).code().expect("it was not killed");
        let options = store::Options { home: self.home.path(), ..store::Options::default() };
        let store = Store::open(options).await.unwrap();
        let found = store.usage().rows(1000).await.unwrap();
        // A collected reply gets its status at the end; a stream already had its status.
        assert!(found.iter().all(|row| row.status == if row.stream { 200 } else { 503 }), "{found:#?}");
        let ids: HashSet<_> = found.iter().map(|row| row.id).collect();
        assert_eq!((found.len(), ids.len()), (rows, rows), "usage rows");
        assert!(found.iter().all(|row| row.outcome == outcome), "{found:#?}");
        store.close().await;
        code
    }
}

/// Raises the file limit of this process, which has the clients' and the backend's end of every stream: the usual 1024 files are too few.
/// The gateway starts with fewer files and raises its limit itself.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(4 * STREAMS as u64);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    }
}

/// The text of a stream to its end; a broken connection is no end.
async fn read_text(stream: Response<Incoming>) -> String {
    let whole = tokio::time::timeout(PATIENCE, stream.into_body().collect()).await.expect("an end in time");
    String::from_utf8(whole.expect("a proper end of the body").to_bytes().to_vec()).unwrap()
}

/// Reads until the server closes the connection.
async fn rest(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes)).await.expect("an end in time").unwrap();
    bytes
}

/// Reads until `text` has come.
async fn until(socket: &mut TcpStream, held: &mut Vec<u8>, text: &str) {
    let reading = async {
        while !String::from_utf8_lossy(held).contains(text) {
            assert_ne!(socket.read_buf(held).await.unwrap(), 0, "{}", String::from_utf8_lossy(held));
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it comes in time");
}

/// Time until nothing listens on the port any more.
async fn closed(port: u16) -> Duration {
    let since = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return since.elapsed(),
            Ok(_) | Err(_) => assert!(since.elapsed() < PATIENCE, "it still listens"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_lets_streams_finish_and_takes_nothing_new() {
    for signal in ["TERM", "INT"] {
        let site = Site::new(Wait::Gate("go".to_owned()), &[]).await;
        let (port, pid) = (site.gateway.port, site.gateway.child.id());
        let mut link = Http2Connection::open(port).await;
        let streams = site.streams(STREAMS).await;
        let (mut sockets, mut idle) = (site.sockets().await, Socket::open(port).await);
        link.see("response.created").await;

        site.gateway.signal(signal);
        // The streams cannot end yet: the listener closes without waiting for them.
        println!("{signal}: the listener closed after {:?}", closed(port).await);
        // New connections are refused. Open connections get GOAWAY, and may still ask for the readiness.
        link.see_frame(GOAWAY).await;
        link.ask(3, &[(":method", "GET"), (":path", "/readyz")], "").await;
        link.see(r#"{"status":"unavailable","reasons":["shutting down"]}"#).await;
        let asked = STREAMS + SOCKETS + 1;
        assert_eq!((site.backend.record().model_requests().count(), site.gateway.child.id()), (asked, pid));
        // A WebSocket without a reply is closed at once.
        assert!(!idle.read_to_close().await.contains("response."), "{signal}");

        site.backend.release("go");
        for (end, stream) in streams {
            let text = read_text(stream).await;
            assert!(text.contains(end) && !text.contains("shutting down"), "{signal}: {text}");
        }
        for socket in &mut sockets {
            let text = socket.read_to_close().await;
            assert!(text.contains("response.completed") && !text.contains("response.failed"), "{signal}: {text}");
        }
        link.see("response.completed").await;
        // When a client does not close its connection, the server reads from that connection for some seconds.
        drop((link, sockets, idle));
        assert_eq!(site.ended(asked, Outcome::Completed).await, 0, "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_after_the_drain_end_with_an_error() {
    let site = Site::new(Wait::Forever, &[("POLYGATE_SERVER__DRAIN_TIMEOUT", "1s")]).await;
    let (streams, sockets) = (site.streams(STREAMS).await, site.sockets().await);
    let begun = Instant::now();
    site.gateway.signal("TERM");
    for (end, stream) in streams {
        let text = read_text(stream).await;
        assert!(text.contains("shutting down") && !text.contains(end), "{text}");
    }
    assert_cut(sockets).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "they had their time: {:?}", begun.elapsed());
    assert_eq!(site.ended(STREAMS + SOCKETS, Outcome::Failed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_everything_at_once() {
    for (first, second, wanted) in
        [("TERM", "TERM", 143), ("TERM", "INT", 130), ("INT", "TERM", 143), ("INT", "INT", 130)]
    {
        let site = Site::new(Wait::Forever, &[]).await;
        let port = site.gateway.port;
        let (streams, sockets) = (site.streams(STREAMS).await, site.sockets().await);
        let asked = STREAMS + SOCKETS + 1;
        let unanswered = site.gateway.request("POST", CALLS[0].0, KEY, r#"{"model":"gpt-6-sol","input":"count to 9"}"#);
        let collected = async { site.gateway.send(unanswered).await.unwrap() };
        let signals = async {
            let arrived = site.backend.wait_until(PATIENCE, |record| record.model_requests().count() == asked);
            arrived.await.unwrap();
            site.gateway.signal(first);
            closed(port).await;
            site.gateway.signal(second);
            Instant::now()
        };
        let (refused, since) = tokio::join!(collected, signals);
        assert_eq!((refused.status, refused.headers["retry-after"].as_bytes()), (503, &b"5"[..]), "{}", refused.body);
        for (end, stream) in streams {
            let text = read_text(stream).await;
            assert!(text.contains("shutting down") && !text.contains(end), "{first} {second}: {text}");
        }
        assert_cut(sockets).await;
        assert_eq!(site.ended(asked, Outcome::Failed).await, wanted, "{first} {second}");
        println!("{first} {second}: ended after {:?}; the drain alone takes two minutes", since.elapsed());
    }
}

/// A WebSocket client that writes its bytes directly.
struct Socket(TcpStream);

impl Socket {
    /// Opens a WebSocket.
    async fn open(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = format!(
            "GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {KEY}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut held = Vec::new();
        until(&mut stream, &mut held, "\r\n\r\n").await;
        assert!(held.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&held));
        Self(stream)
    }

    /// Opens a WebSocket and sends a request; the reply has begun.
    async fn asking(port: u16) -> Self {
        let Self(mut stream) = Self::open(port).await;
        let ask = r#"{"type":"response.create","model":"gpt-6-sol","input":"count to 9"}"#;
        // One text frame of a client; its mask of zeros changes nothing.
        let frame = [&[0x81, 0x80 | u8::try_from(ask.len()).unwrap(), 0, 0, 0, 0], ask.as_bytes()].concat();
        stream.write_all(&frame).await.unwrap();
        until(&mut stream, &mut Vec::new(), "response.created").await;
        Self(stream)
    }

    /// Reads to the end, which is a close frame with `1001 going away`.
    async fn read_to_close(&mut self) -> String {
        let bytes = rest(&mut self.0).await;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let close = bytes.windows(4).any(|bytes| bytes[0] == 0x88 && bytes[2..] == 1001_u16.to_be_bytes());
        assert!(close, "no close frame: {text}");
        text
    }
}

/// Asserts that each reply ends with its own failure.
async fn assert_cut(sockets: Vec<Socket>) {
    for mut socket in sockets {
        let text = socket.read_to_close().await;
        assert!(text.contains("response.failed") && !text.contains("response.completed"), "{text}");
        assert!(text.contains(r#""message":"The gateway is shutting down"#), "{text}");
    }
}

/// Frame types of HTTP/2 (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// An HTTP/2 connection that reads and writes frames directly. It answers no ping, so that the server does not know whether its GOAWAY has
/// arrived: a request may cross the GOAWAY.
struct Http2Connection {
    socket: TcpStream,
    /// Received bytes that are not a whole frame yet.
    held: Vec<u8>,
    /// The types of the received frames.
    seen: Vec<u8>,
    /// The received bodies.
    text: String,
}

impl Http2Connection {
    /// Connects and requests a stream.
    async fn open(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut link = Self { socket, held: Vec::new(), seen: Vec::new(), text: String::new() };
        let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, b"")].concat();
        link.socket.write_all(&hello).await.unwrap();
        link.ask(1, &[(":method", "POST"), (":path", CALLS[0].0), ("content-type", "application/json")], CALLS[0].1)
            .await;
        link
    }

    async fn ask(&mut self, stream: u8, headers: &[(&str, &str)], body: &str) {
        let bearer = format!("Bearer {KEY}");
        let always = [(":scheme", "http"), (":authority", "localhost"), ("authorization", bearer.as_str())];
        // Pseudo-header fields must come first.
        let (own, others): (Vec<_>, Vec<_>) =
            headers.iter().chain(&always).partition(|(name, _)| name.starts_with(':'));
        let block: Vec<u8> = own.into_iter().chain(others).flat_map(|(name, value)| field(name, value)).collect();
        // END_HEADERS, and END_STREAM in the last frame.
        let mut frames = frame(HEADERS, if body.is_empty() { 5 } else { 4 }, stream, &block);
        if !body.is_empty() {
            frames.extend(frame(DATA, 1, stream, body.as_bytes()));
        }
        self.socket.write_all(&frames).await.unwrap();
    }

    async fn see(&mut self, text: &str) {
        while !self.text.contains(text) {
            self.next().await;
        }
    }

    async fn see_frame(&mut self, kind: u8) {
        while !self.seen.contains(&kind) {
            self.next().await;
        }
    }

    /// Reads one frame.
    async fn next(&mut self) {
        let length = |held: &[u8]| usize::from(held[0]) << 16 | usize::from(held[1]) << 8 | usize::from(held[2]);
        let reading = async {
            while self.held.len() < 9 || self.held.len() < 9 + length(&self.held) {
                assert_ne!(self.socket.read_buf(&mut self.held).await.unwrap(), 0, "closed after {}", self.text);
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("a frame in time");
        let frame: Vec<u8> = self.held.drain(..9 + length(&self.held)).collect();
        self.seen.push(frame[3]);
        if frame[3] == DATA {
            self.text.push_str(std::str::from_utf8(&frame[9..]).unwrap());
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header field, literal and not indexed (RFC 7541, section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}
