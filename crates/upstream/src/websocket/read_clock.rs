//! A connection that records when its last byte arrived, because the WebSocket library reports only whole messages, and no pings. It also
//! buffers what it reads: the library clears its buffer before each read and should read small pieces, while the socket should be read in large
//! ones.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::time::Instant;

use crate::transport::conn::Conn;

/// The most that is read at once, so that an idle socket keeps only a small buffer.
const READ: usize = 4 << 10;

/// A connection, and when its last byte was read.
pub(crate) struct ReadClock {
    conn: BufReader<Conn>,
    last: Instant,
}

impl ReadClock {
    /// A connection that was opened just now.
    pub(crate) fn new(conn: Conn) -> Self {
        Self { conn: BufReader::with_capacity(READ, conn), last: Instant::now() }
    }

    /// When the last byte was read.
    pub(crate) fn last_read(&self) -> Instant {
        self.last
    }
}

impl AsyncRead for ReadClock {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.conn).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.last = Instant::now();
        }
        read
    }
}

impl AsyncWrite for ReadClock {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.conn).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.conn).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.conn.is_write_vectored()
    }
}
