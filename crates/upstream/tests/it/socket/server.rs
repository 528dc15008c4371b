//! A scripted WebSocket server: it records upgrades byte by byte, and answers POSTs with an empty stream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub(crate) use crate::recorder::RecordedRequest;
use crate::recorder::{full, read, with_timeout};

/// One step of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Text(String),
    Ping,
    /// Sends a ping, waits for the pong and notifies.
    PingPong(Arc<Notify>),
    /// Waits for a notification.
    Gate(Arc<Notify>),
    /// Raw bytes, without the WebSocket library.
    Raw(Vec<u8>),
    /// A close message, then the end of the connection.
    Close(u16),
    /// The connection ends without a close message.
    Eof,
    /// The connection ends with a reset; earlier bytes may be lost.
    Reset,
    /// Sends nothing more; the connection stays open.
    Hang,
}

/// One `response.create`.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) connection: usize,
    pub(crate) body: Value,
}

/// The answer to every upgrade.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting {
    /// 101 opens a socket.
    pub(crate) status: u16,
    /// Header lines, each with its end.
    pub(crate) lines: &'static str,
    /// The body of a refusal.
    pub(crate) body: &'static str,
}

impl Greeting {
    /// A 101 with these header lines.
    pub(crate) fn open(lines: &'static str) -> Self {
        Self { status: 101, lines, body: "" }
    }

    /// A refusal with this body.
    pub(crate) fn no(status: u16, body: &'static str) -> Self {
        Self { status, lines: "", body }
    }
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    upgrades: mpsc::UnboundedReceiver<RecordedRequest>,
    turns: mpsc::UnboundedReceiver<Turn>,
    lefts: mpsc::UnboundedReceiver<usize>,
    counts: Arc<Counts>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    upgrades: AtomicUsize,
    posts: AtomicUsize,
    turns: AtomicUsize,
}

/// Connection, turn (both from 0, turns over all connections), body.
type Script = Arc<dyn Fn(usize, usize, &Value) -> Vec<Act> + Send + Sync>;

#[derive(Clone)]
struct Host {
    script: Script,
    greeting: Greeting,
    counts: Arc<Counts>,
    upgrades: mpsc::UnboundedSender<RecordedRequest>,
    turns: mpsc::UnboundedSender<Turn>,
    lefts: mpsc::UnboundedSender<usize>,
}

impl Server {
    /// `script` answers each turn.
    pub(crate) async fn start(script: impl Fn(usize, usize, &Value) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::greeting(Greeting::open(""), script).await
    }

    /// Every upgrade is answered with this status.
    pub(crate) async fn refusing(status: u16, body: &'static str) -> Self {
        Self::greeting(Greeting::no(status, body), |_, _, _| Vec::new()).await
    }

    /// Every upgrade is answered with this greeting, and each turn by `script`.
    pub(crate) async fn greeting(
        greeting: Greeting,
        script: impl Fn(usize, usize, &Value) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let script: Script = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (upgrade, upgrades) = mpsc::unbounded_channel();
        let (turn, turns) = mpsc::unbounded_channel();
        let (left, lefts) = mpsc::unbounded_channel();
        let counts = Arc::new(Counts::default());
        let host = Host { script, greeting, counts: Arc::clone(&counts), upgrades: upgrade, turns: turn, lefts: left };
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(host.clone().receive(stream, connection));
            }
        });
        Self { addr, upgrades, turns, lefts, counts, _tasks: server }
    }

    /// The next upgrade's head.
    pub(crate) async fn upgrade(&mut self) -> RecordedRequest {
        with_timeout(self.upgrades.recv()).await.unwrap()
    }

    /// The next `count` turns.
    pub(crate) async fn turns(&mut self, count: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        while turns.len() < count {
            turns.push(with_timeout(self.turns.recv()).await.unwrap());
        }
        turns
    }

    /// Waits until either side has closed this connection.
    pub(crate) async fn left(&mut self, connection: usize) {
        while with_timeout(self.lefts.recv()).await.unwrap() != connection {}
    }

    pub(crate) fn upgrades(&self) -> usize {
        self.counts.upgrades.load(Ordering::SeqCst)
    }

    pub(crate) fn posts(&self) -> usize {
        self.counts.posts.load(Ordering::SeqCst)
    }
}

impl Host {
    async fn receive(self, mut stream: TcpStream, connection: usize) {
        while let Some(request) = read(&mut stream, connection).await {
            if request.line.starts_with("POST") {
                self.counts.posts.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(&full("200 OK", "content-type: text/event-stream\r\n", "")).await;
                continue;
            }
            self.counts.upgrades.fetch_add(1, Ordering::SeqCst);
            let key = request.header("Sec-WebSocket-Key").unwrap().to_owned();
            let _ = self.upgrades.send(request);
            let Greeting { status, lines, body } = self.greeting;
            if status != 101 {
                let _ = stream.write_all(&full(&format!("{status} No"), lines, body)).await;
                continue;
            }
            let accept = derive_accept_key(key.as_bytes());
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept}\r\n{lines}\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            self.converse(stream, connection).await;
            let _ = self.lefts.send(connection);
            return;
        }
    }

    async fn converse(&self, stream: TcpStream, connection: usize) {
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let body: Value = serde_json::from_str(&text).unwrap();
            let turn = self.counts.turns.fetch_add(1, Ordering::SeqCst);
            let acts = (self.script)(connection, turn, &body);
            let _ = self.turns.send(Turn { connection, body });
            for act in acts {
                if !perform(&mut socket, act).await {
                    return;
                }
            }
        }
    }
}

/// Performs one step; returns whether the connection stays open.
async fn perform(socket: &mut WebSocketStream<TcpStream>, act: Act) -> bool {
    match act {
        Act::Text(text) => socket.send(Message::text(text)).await.is_ok(),
        Act::Ping => socket.send(Message::Ping("p".into())).await.is_ok(),
        Act::PingPong(ponged) => {
            let sent = socket.send(Message::Ping("p".into())).await.is_ok();
            while !matches!(socket.next().await, Some(Ok(Message::Pong(_)) | Err(_)) | None) {}
            ponged.notify_one();
            sent
        }
        Act::Gate(gate) => {
            gate.notified().await;
            true
        }
        Act::Raw(bytes) => socket.get_mut().write_all(&bytes).await.is_ok(),
        Act::Close(code) => {
            let _ = socket.close(Some(CloseFrame { code: code.into(), reason: "told to".into() })).await;
            false
        }
        Act::Eof => {
            let _ = socket.get_mut().shutdown().await;
            false
        }
        Act::Reset => {
            socket.get_mut().set_zero_linger().unwrap();
            false
        }
        Act::Hang => {
            while let Some(Ok(_)) = socket.next().await {}
            false
        }
    }
}
