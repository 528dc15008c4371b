//! The stream below a WebSocket. It charges the bytes of an incomplete message to the budget of request bodies, and records when
//! the last byte arrived.
//!
//! The stream never reads beyond the current frame, so that the frame reader holds nothing between two messages.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::scan::FrameScanner;
use crate::body::{BodyBudget, BodyReservation, total_time};
use crate::connection::head_filter::HeadFilter;

/// See the module.
pub(super) struct MeteredStream {
    inner: HeadFilter,
    /// Bytes that arrived with the upgrade request.
    early: Bytes,
    scan: FrameScanner,
    budget: BodyBudget,
    charge: BodyReservation,
    /// Bytes of the message that have arrived.
    held: usize,
    /// When the last byte of the message arrived.
    last_byte_at: Instant,
    /// When the first byte of the message arrived.
    began: Option<Instant>,
}

impl MeteredStream {
    /// Counts the bytes from `inner`, after those in `early`.
    pub(super) fn new(inner: HeadFilter, early: Bytes, budget: BodyBudget) -> Self {
        let charge = budget.reservation(usize::MAX);
        Self {
            inner,
            early,
            scan: FrameScanner::default(),
            budget,
            charge,
            held: 0,
            last_byte_at: Instant::now(),
            began: None,
        }
    }

    /// The deadline of an incomplete message, by the rule of request bodies; `None` if no message is incomplete.
    pub(super) fn deadline(&self, stall: Duration) -> Option<Instant> {
        let first_byte_at = self.began.filter(|_| self.scan.is_open())?;
        Some((self.last_byte_at + stall).min(first_byte_at + total_time(self.held as u64, stall)))
    }

    /// Takes a complete message, which keeps its charge.
    pub(super) fn take(&mut self, message: Bytes) -> Bytes {
        self.held = 0;
        self.began = None;
        std::mem::replace(&mut self.charge, self.budget.reservation(usize::MAX)).seal_covered(message)
    }

    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        let seen = self.scan.pass(bytes);
        if seen.breach {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if seen.began || seen.payload > 0 {
            self.last_byte_at = Instant::now();
            self.began.get_or_insert(self.last_byte_at);
        }
        self.held += seen.payload;
        self.charge.charge_to(self.held * self.scan.copies()).map_err(io::Error::other)
    }

    /// Reads into a buffer that is limited to the current frame.
    fn fill(&mut self, cx: &mut Context<'_>, part: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.early.is_empty() {
            return Pin::new(&mut self.inner).poll_read(cx, part);
        }
        let count = part.remaining().min(self.early.len());
        part.put_slice(&self.early[..count]);
        self.early.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for MeteredStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = this.scan.ahead().min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(this.fill(cx, &mut part))?;
        let count = part.filled().len();
        this.count(part.filled())?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MeteredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
