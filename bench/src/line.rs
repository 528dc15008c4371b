//! One HTTP/1.1 connection of the load, with its own parser: the load shares its core with the backend, and both together must use
//! less CPU time per token than the proxy uses.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BytesMut};
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection for consecutive requests.
pub(crate) struct Connection {
    socket: TcpStream,
    buffer: BytesMut,
    /// The pause before each read.
    rest: Duration,
}

/// The framing of a body.
enum Length {
    Chunked,
    Bytes(usize),
}

impl Connection {
    /// Connects to a proxy on loopback. A `rest` before each read collects several tokens per read, which costs less.
    pub(crate) async fn connect(port: u16, rest: Duration) -> Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: BytesMut::with_capacity(16 << 10), rest })
    }

    /// Sends a request and passes the pieces of the answer's body to `take` as they arrive.
    pub(crate) async fn ask(&mut self, request: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.socket.write_all(request).await?;
        match self.head().await? {
            Length::Bytes(length) => self.pass(length, &mut take).await,
            Length::Chunked => loop {
                let size = self.until(b"\r\n").await?;
                let size =
                    usize::from_str_radix(std::str::from_utf8(&size)?.trim_end(), 16).context("a chunk's size")?;
                self.pass(size, &mut take).await?;
                self.until(b"\r\n").await?;
                if size == 0 {
                    return Ok(());
                }
            },
        }
    }

    async fn head(&mut self) -> Result<Length> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = std::str::from_utf8(&head)?.to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "answered {}", head.lines().next().unwrap_or_default());
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match (field("transfer-encoding:"), field("content-length:")) {
            (Some("chunked"), _) => Ok(Length::Chunked),
            (None, Some(length)) => Ok(Length::Bytes(length.parse()?)),
            other => bail!("a body of unknown length: {other:?}"),
        }
    }

    /// All bytes up to and including `mark`.
    async fn until(&mut self, mark: &[u8]) -> Result<BytesMut> {
        loop {
            if let Some(at) = memmem::find(&self.buffer, mark) {
                return Ok(self.buffer.split_to(at + mark.len()));
            }
            self.more().await?;
        }
    }

    async fn pass(&mut self, length: usize, take: &mut impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.more().await?;
            }
            let piece = left.min(self.buffer.len());
            take(&self.buffer[..piece])?;
            self.buffer.advance(piece);
            left -= piece;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<()> {
        if !self.rest.is_zero() {
            tokio::time::sleep(self.rest).await;
        }
        self.buffer.reserve(8 << 10);
        ensure!(self.socket.read_buf(&mut self.buffer).await? > 0, "the proxy closed the connection");
        Ok(())
    }
}
