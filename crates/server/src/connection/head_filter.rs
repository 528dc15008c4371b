//! The stream below hyper. On reads, this filter holds back each HTTP/1 head until the head is complete and checked ([`super::head`]), with
//! a deadline. On writes, it ends a connection whose client has stopped reading.
//!
//! A refused head is replaced by a harmless request, so that its response is made like all others and sent in order; nothing more is read
//! from such a connection. The filter has no chunk parser and does not know where a chunked body ends, so a chunked request is the
//! connection's last.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::io::poll_read_buf;

use super::head::{self, Framing, HeadError};
use super::state::{ConnectionState, Phase as Life};
use crate::settings::Limits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PLACEHOLDER_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";
/// How long a closed connection is still read. Otherwise, a reset could discard the response of a client that is still sending.
const LINGER: Duration = Duration::from_secs(5);

/// The HTTP version of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// See the module.
pub(crate) struct HeadFilter {
    socket: TcpStream,
    connection: Arc<ConnectionState>,
    limits: Arc<Limits>,
    reading: Reading,
    buffered: BytesMut,
    /// Whether a head was passed on.
    head_released: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    write_blocked_since: Option<Instant>,
    write_timer: Option<Pin<Box<Sleep>>>,
    linger_timer: Option<Pin<Box<Sleep>>>,
}

/// The reader's position in the byte stream.
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// Buffers a head; the end of the head is not in the first `seen` bytes.
    Head { seen: usize },
    /// Passes on the first `left` buffered bytes.
    Release { left: usize, then: AfterHead },
    /// Passes on a body of known length.
    Body { left: u64 },
    /// Passes all bytes on.
    Open,
    /// Passes nothing on.
    Shut,
}

#[derive(Clone, Copy, Debug)]
enum AfterHead {
    Body(u64),
    Open,
    Shut,
}

impl HeadFilter {
    /// A filter on an accepted socket; the wait for the first byte begins now.
    pub(crate) fn new(socket: TcpStream, connection: Arc<ConnectionState>, limits: Arc<Limits>) -> Self {
        let deadline = Some(Box::pin(sleep_until(Instant::now() + limits.first_byte)));
        let (held, reading) = (BytesMut::new(), Reading::Head { seen: 0 });
        Self {
            socket,
            connection,
            limits,
            reading,
            buffered: held,
            head_released: false,
            deadline,
            write_blocked_since: None,
            write_timer: None,
            linger_timer: None,
        }
    }

    /// Waits for enough bytes to determine the HTTP version. Errors: the client leaves or is too slow, or the server drains before the
    /// first byte.
    pub(crate) async fn version(&mut self) -> io::Result<Version> {
        std::future::poll_fn(|cx| self.poll_version(cx)).await
    }

    fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        loop {
            if self.buffered.starts_with(PREFACE) {
                self.reading = Reading::Open;
                self.deadline = None;
                return Poll::Ready(Ok(Version::Http2));
            }
            if !self.buffered.is_empty() && !PREFACE.starts_with(&self.buffered) {
                return Poll::Ready(Ok(Version::Http1));
            }
            if self.connection.phase(cx.waker()) != Life::Open {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            if ready!(self.poll_more(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads more into the buffer; 0 at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return self.poll_head_timeout();
        }
        // No buffer while nothing has arrived, because connections may idle for hours.
        ready!(self.socket.poll_read_ready(cx))?;
        self.buffered.reserve(2048);
        let Self { socket, buffered, .. } = self;
        // Unlike `try_read_buf`, this read remembers that it has emptied the socket, which spares each request a second read.
        let read = poll_read_buf(Pin::new(socket), cx, buffered);
        self.release_buffer();
        let count = ready!(read)?;
        self.wait_for_head(cx);
        Poll::Ready(Ok(count))
    }

    /// Handles a head that missed its deadline. A late first head ends the connection. A later head may be late while the previous response
    /// is still being written: an error would end that response, so the connection finishes it and then closes.
    fn poll_head_timeout(&mut self) -> Poll<io::Result<usize>> {
        self.deadline = None;
        if !self.head_released {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.buffered = BytesMut::new();
        self.reading = Reading::Shut;
        self.connection.advance(Life::Drain);
        Poll::Pending
    }

    /// Frees an empty buffer, because connections may idle for hours.
    fn release_buffer(&mut self) {
        if self.buffered.is_empty() {
            self.buffered = BytesMut::new();
        }
    }

    /// Starts the deadline of a head at the head's first byte; the deadline of the first head runs since the accept. The empty line that
    /// some clients send after a body starts no deadline, which would end the response that is still running.
    fn wait_for_head(&mut self, cx: &mut Context<'_>) {
        let begun = !matches!(&self.buffered[..], b"" | b"\r" | b"\r\n");
        if matches!(self.reading, Reading::Head { .. }) && self.deadline.is_none() && begun {
            let mut timer = Box::pin(sleep_until(Instant::now() + self.limits.head));
            let _ = timer.as_mut().poll(cx);
            self.deadline = Some(timer);
        }
    }

    /// Looks for the end of the head in the buffer, and releases or refuses it.
    fn check_head(&mut self, mut seen: usize) {
        if seen < 2 && self.buffered.starts_with(b"\r\n") {
            // RFC 9112 2.2: an empty line before a request line is ignored, also when its two bytes come one by one.
            self.buffered.advance(2);
            seen = 0;
        }
        match self.head_outcome(seen) {
            Ok(Some(ready)) => self.reading = ready,
            Ok(None) => self.reading = Reading::Head { seen: self.buffered.len() },
            Err(why) => self.refuse(why),
        }
        if !matches!(self.reading, Reading::Head { .. }) {
            self.deadline = None;
        }
    }

    fn head_outcome(&mut self, seen: usize) -> Result<Option<Reading>, HeadError> {
        if head::is_not_http(&self.buffered) {
            return Err(HeadError::Malformed);
        }
        let end = head::end(&self.buffered, seen)?;
        if end.unwrap_or(self.buffered.len()) > self.limits.head_bytes {
            return Err(HeadError::TooLarge);
        }
        let Some(left) = end else { return Ok(None) };
        let then = match head::check(&self.buffered[..left], self.limits.headers)? {
            Framing::Length(length) => AfterHead::Body(length),
            Framing::Chunked => {
                self.connection.close_after_response();
                AfterHead::Open
            }
        };
        Ok(Some(Reading::Release { left, then }))
    }

    fn refuse(&mut self, why: HeadError) {
        self.connection.refuse(why);
        self.buffered = BytesMut::from(PLACEHOLDER_REQUEST);
        self.reading = Reading::Release { left: PLACEHOLDER_REQUEST.len(), then: AfterHead::Shut };
    }

    /// Moves up to `most` buffered bytes into `buf`.
    fn hand_over(&mut self, most: usize, buf: &mut ReadBuf<'_>) -> usize {
        let count = most.min(self.buffered.len()).min(buf.remaining());
        buf.put_slice(&self.buffered[..count]);
        self.buffered.advance(count);
        self.release_buffer();
        count
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, left: u64, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let mut count = self.hand_over(most, buf);
        if count == 0 {
            let before = buf.filled().len();
            if buf.remaining() <= most {
                ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
                count = buf.filled().len() - before;
            } else {
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
                ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part))?;
                count = part.filled().len();
                buf.advance(count);
            }
        }
        self.reading = Reading::Body { left: left - count as u64 };
        Poll::Ready(Ok(()))
    }

    fn poll_open(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.buffered.is_empty() {
            self.hand_over(usize::MAX, buf);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }

    /// Returns a write's result, or an error once the client has read nothing for the limit.
    fn with_write_timeout<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_blocked_since = None;
            return written;
        }
        let deadline = *self.write_blocked_since.get_or_insert_with(Instant::now) + self.limits.write_stall;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and drops the client's remaining bytes after the write side is closed.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.linger_timer.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + LINGER)));
        if timer.as_mut().poll(cx).is_ready() || self.connection.phase(cx.waker()) >= Life::Abort {
            return Poll::Ready(());
        }
        let mut scrap = [0; 8192];
        loop {
            let mut part = ReadBuf::new(&mut scrap);
            match ready!(Pin::new(&mut self.socket).poll_read(cx, &mut part)) {
                Ok(()) if !part.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Whether the client may still be sending bytes that will not be read.
    fn expects_unread_bytes(&self) -> bool {
        match self.reading {
            Reading::Body { left } => left > 0,
            Reading::Shut | Reading::Release { .. } => true,
            Reading::Open => self.connection.closes_after_response(),
            Reading::Head { .. } => false,
        }
    }
}

impl AsyncRead for HeadFilter {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.reading {
                Reading::Head { .. } if self.connection.upgraded() => {
                    self.reading = Reading::Open;
                    self.deadline = None;
                }
                Reading::Head { seen } => {
                    if self.buffered.len() > seen {
                        self.check_head(seen);
                    } else if ready!(self.poll_more(cx))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
                Reading::Release { left, then } => {
                    self.head_released = true;
                    let count = self.hand_over(left, buf);
                    self.reading = match (left - count, then) {
                        (0, AfterHead::Body(left)) => Reading::Body { left },
                        (0, AfterHead::Open) => Reading::Open,
                        (0, AfterHead::Shut) => Reading::Shut,
                        (left, then) => Reading::Release { left, then },
                    };
                    return Poll::Ready(Ok(()));
                }
                Reading::Body { left: 0 } => self.reading = Reading::Head { seen: 0 },
                Reading::Body { left } => return self.poll_body(cx, left, buf),
                Reading::Open => return self.poll_open(cx, buf),
                // Nothing wakes this read: hyper closes the connection after the response, and the write timer limits how long that takes.
                Reading::Shut => return Poll::Pending,
            }
        }
    }
}

impl AsyncWrite for HeadFilter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.with_write_timeout(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.with_write_timeout(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.with_write_timeout(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger_timer.is_none() {
            ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        }
        if self.expects_unread_bytes() {
            ready!(self.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
