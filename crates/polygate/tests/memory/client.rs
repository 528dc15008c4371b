//! A client of the four protocols: one request on a separate connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::relay::Protocol;

/// The client's key.
pub(super) const KEY: &str = "soak-key-of-more-than-24-characters";
/// Bytes at the end of a reply that are stored for error messages; short replies are stored whole.
const TAIL: usize = 4 << 10;
/// Bytes of the stored end that an error message shows.
const SHOWN: usize = 400;
/// Bytes of one message in a large body.
const MESSAGE: usize = 4 << 10;

/// A request that several threads can send.
#[derive(Clone)]
pub(super) struct Request {
    head: String,
    body: Arc<Vec<u8>>,
}

/// Progress of a reply.
#[derive(Default)]
pub(super) struct Progress {
    bytes: AtomicUsize,
    over: AtomicBool,
    tail: Mutex<Vec<u8>>,
}

/// A reply that has ended.
pub(super) struct Reply {
    pub(super) status: u16,
    tail: String,
}

impl Request {
    /// A question of one word.
    pub(super) fn small(client: Protocol, model: &str, stream: bool) -> Self {
        Self::new(client, (model, stream), vec!["Hello".to_owned()])
    }

    /// A long conversation of about `size` bytes, not streamed.
    pub(super) fn large(client: Protocol, model: &str, size: usize) -> Self {
        let messages = (0..size / MESSAGE).map(|at| format!("{at} {}", "word \\ ".repeat(MESSAGE / 8))).collect();
        Self::new(client, (model, false), messages)
    }

    fn new(client: Protocol, (model, stream): (&str, bool), messages: Vec<String>) -> Self {
        let body = body(client, (model, stream), messages).to_string().into_bytes();
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            path(client, model, stream),
            body.len()
        );
        Self { head, body: Arc::new(body) }
    }

    /// Sends the request and reads the reply to its end.
    pub(super) fn send(&self, address: SocketAddr, progress: &Progress) -> Result<Reply> {
        let result = self.exchange(address, progress);
        progress.over.store(true, Ordering::Relaxed);
        result
    }

    fn exchange(&self, address: SocketAddr, progress: &Progress) -> Result<Reply> {
        let mut connection = TcpStream::connect(address)?;
        connection.write_all(self.head.as_bytes())?;
        // The gateway may answer a refused body before the whole body is sent.
        let sent = connection.write_all(&self.body);
        let mut status = Vec::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            let count = match connection.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset && !status.is_empty() => break,
                Err(error) => return Err(sent.err().unwrap_or(error).into()),
            };
            status.extend_from_slice(&piece[..count.min(16usize.saturating_sub(status.len()))]);
            progress.note(&piece[..count]);
        }
        let status = String::from_utf8_lossy(&status).split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok(Reply { status: status.context("no status")?, tail: progress.tail() })
    }
}

impl Progress {
    /// Number of received bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether the reply has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The end of the received bytes, for error messages.
    pub(super) fn shown(&self) -> String {
        shown(&self.tail())
    }

    fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail.lock().expect("invariant: nobody panics with it")).into_owned()
    }

    fn note(&self, piece: &[u8]) {
        self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
        let mut tail = self.tail.lock().expect("invariant: nobody panics with it");
        tail.extend_from_slice(&piece[piece.len().saturating_sub(TAIL)..]);
        let extra = tail.len().saturating_sub(TAIL);
        tail.drain(..extra);
    }
}

impl Reply {
    /// The end of the reply, for error messages.
    pub(super) fn shown(&self) -> String {
        shown(&self.tail)
    }

    /// A short reply's JSON object.
    pub(super) fn json(&self) -> Result<Value> {
        let body = self.tail.split_once("\r\n\r\n").map_or(self.tail.as_str(), |(_, body)| body);
        let (start, end) = (body.find('{').context("no JSON")?, body.rfind('}').context("no JSON")?);
        ensure!(start < end, "no JSON");
        Ok(serde_json::from_str(&body[start..=end])?)
    }
}

fn shown(tail: &str) -> String {
    tail[tail.floor_char_boundary(tail.len().saturating_sub(SHOWN))..].trim().to_owned()
}

fn path(client: Protocol, model: &str, stream: bool) -> String {
    match client {
        Protocol::Chat => "/v1/chat/completions".to_owned(),
        Protocol::Responses => "/v1/responses".to_owned(),
        Protocol::Messages => "/v1/messages".to_owned(),
        Protocol::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        Protocol::Gemini => format!("/v1beta/models/{model}:generateContent"),
    }
}

fn body(client: Protocol, (model, stream): (&str, bool), messages: Vec<String>) -> Value {
    let turns = messages.into_iter().enumerate().map(|(at, text)| match client {
        Protocol::Gemini => json!({"role": if at % 2 == 0 { "user" } else { "model" }, "parts": [{"text": text}]}),
        _ => json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": text}),
    });
    let turns: Vec<Value> = turns.collect();
    match client {
        Protocol::Chat => json!({"model": model, "stream": stream, "messages": turns}),
        Protocol::Responses => json!({"model": model, "stream": stream, "input": turns, "store": false}),
        Protocol::Messages => json!({"model": model, "stream": stream, "max_tokens": 1000, "messages": turns}),
        Protocol::Gemini => json!({"contents": turns}),
    }
}
