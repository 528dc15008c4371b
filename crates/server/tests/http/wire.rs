//! A client that sends exactly the given bytes and reads responses byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Longest wait for an answer; a test that reaches it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's value; the header must not be repeated.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().filter_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = found.next();
        assert!(found.next().is_none(), "{name} stands twice in {}", self.head);
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks what every response must have.
    pub(crate) fn check(&self) -> &Self {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(self.header(name), Some(value), "{name} in {}", self.head);
        }
        assert_eq!(self.header("server"), None, "{}", self.head);
        assert!(self.header("x-request-id").is_some(), "{}", self.head);
        if !self.body.is_empty() && self.body != b"Ollama is running" {
            // A file for download may have another type.
            let file = self.header("content-disposition").is_some_and(|value| value.starts_with("attachment;"));
            let kind = self.header("content-type");
            assert!(kind == Some("application/json") || file && kind == Some("application/yaml"), "{}", self.head);
        }
        if self.status >= 400 && !self.body.is_empty() && !self.text().contains("\"reasons\"") {
            let text = self.text();
            assert!(text.starts_with("{\"error\":") || text.starts_with("{\"type\":\"error\","), "{text}");
        }
        self
    }
}

/// A connection.
pub(crate) struct Wire {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    held: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(port: u16) -> Self {
        let (read, write) = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens").into_split();
        Self { read, write, held: Vec::new() }
    }

    /// Sends bytes; a server that has already closed is not an error here.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.write.write_all(bytes.as_ref()).await;
    }

    /// Closes the client's half of the connection.
    pub(crate) async fn finish(&mut self) {
        let _ = self.write.shutdown().await;
    }

    /// Reads one answer; `None` at the end of the stream.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(false)).await.expect("an answer in time")
    }

    /// Reads the answer to a HEAD.
    pub(crate) async fn bare_answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer(true)).await.expect("an answer in time")
    }

    /// Waits for the first bytes of an answer.
    pub(crate) async fn begun(&mut self) {
        let began = tokio::time::timeout(PATIENCE, async { !self.held.is_empty() || self.more().await });
        assert!(began.await.expect("an answer in time"));
    }

    /// Whether the unread bytes begin with `text`.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.held.starts_with(text.as_bytes())
    }

    /// Reads until `text` has arrived.
    pub(crate) async fn until(&mut self, text: &str) {
        let reading = async {
            while find(&self.held, text.as_bytes()).is_none() {
                assert!(self.more().await, "closed before {text:?}");
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("it comes in time");
    }

    /// The bytes that arrived after `text`, up to the next quote.
    pub(crate) fn after(&self, text: &str) -> String {
        let at = find(&self.held, text.as_bytes()).expect("it has come") + text.len();
        String::from_utf8_lossy(&self.held[at..]).split('"').next().unwrap_or_default().to_owned()
    }

    /// Reads everything until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let reading = async { while self.more().await {} };
        tokio::time::timeout(PATIENCE, reading).await.expect("the server closes in time");
        String::from_utf8_lossy(&self.held).into_owned()
    }

    async fn read_answer(&mut self, bare: bool) -> Option<Answer> {
        loop {
            let end = loop {
                if let Some(at) = find(&self.held, b"\r\n\r\n") {
                    break at + 4;
                }
                if !self.more().await {
                    return None;
                }
            };
            let head = String::from_utf8(self.held.drain(..end).collect()).expect("a head is text");
            let status = head.get(9..12)?.parse().ok()?;
            if status == 100 {
                continue;
            }
            let mut answer = Answer { status, head, body: Vec::new() };
            let chunked = answer.header("transfer-encoding") == Some("chunked");
            let length = answer.header("content-length").map_or(0, |length| length.parse().expect("a length"));
            if chunked && !bare {
                answer.body = self.chunks().await?;
            } else if !bare {
                answer.body = self.exactly(length).await?;
            }
            return Some(answer);
        }
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.held, b"\r\n") {
                    break at;
                }
                if !self.more().await {
                    return None;
                }
            };
            let size: Vec<u8> = self.held.drain(..line + 2).collect();
            let size = usize::from_str_radix(std::str::from_utf8(&size).ok()?.trim(), 16).ok()?;
            body.extend(self.exactly(size).await?);
            self.exactly(2).await?;
            if size == 0 {
                return Some(body);
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.held.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.held.drain(..count).collect())
    }

    async fn more(&mut self) -> bool {
        matches!(self.read.read_buf(&mut self.held).await, Ok(1..))
    }
}

fn find(held: &[u8], wanted: &[u8]) -> Option<usize> {
    held.windows(wanted.len()).position(|window| window == wanted)
}
