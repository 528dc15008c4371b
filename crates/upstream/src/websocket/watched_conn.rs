//! A connection that reports whether bytes arrived, because the WebSocket library reports only whole messages. It also buffers what it reads:
//! the library clears its buffer before each read and should read small pieces, while the socket should be read in large ones.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

use crate::transport::conn::Conn;

/// The most that is read at once, so that an idle socket keeps only a small buffer.
const READ: usize = 4 << 10;

/// A connection, and whether bytes were read from it.
pub(crate) struct WatchedConn {
    conn: BufReader<Conn>,
    has_read: bool,
}

impl WatchedConn {
    /// Watches a connection that was opened just now.
    pub(crate) fn new(conn: Conn) -> Self {
        Self { conn: BufReader::with_capacity(READ, conn), has_read: false }
    }

    /// Whether a byte was read since the last call.
    pub(crate) fn take_read(&mut self) -> bool {
        std::mem::take(&mut self.has_read)
    }
}

impl AsyncRead for WatchedConn {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.conn).poll_read(cx, buf);
        self.has_read |= buf.filled().len() > before;
        read
    }
}

impl AsyncWrite for WatchedConn {
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
