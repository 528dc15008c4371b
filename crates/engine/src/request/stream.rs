//! A reply that runs, as the server sees it: a source of bytes.

mod held;
pub(crate) mod reply_stream;
pub(crate) mod transcoder;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::request::reply::Head;
use reply_stream::ReplyStream;

/// A committed reply: upstream bytes in, client bytes out. Dropping it cancels the upstream.
pub struct Stream {
    head: Head,
    from: ByteSource,
}

/// Where the bytes come from.
enum ByteSource {
    /// A call that runs.
    Flow(Box<ReplyStream>),
    /// We have said all of it ourselves, until it is taken.
    Us(Option<Bytes>),
}

impl Stream {
    pub(crate) fn new(head: Head, flow: Box<ReplyStream>) -> Self {
        Self { head, from: ByteSource::Flow(flow) }
    }

    /// A reply of ours.
    pub(crate) fn said(head: Head, bytes: Bytes) -> Self {
        Self { head, from: ByteSource::Us(Some(bytes)) }
    }

    /// What the headers say.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Takes out what the headers say: kept for as long as the stream runs it holds memory, the upstream's header block too.
    pub fn take_head(&mut self) -> Head {
        std::mem::take(&mut self.head)
    }

    /// The next bytes for the client, one piece per upstream read, heartbeats included. A failed upstream is written in the
    /// client's protocol; `None` follows the terminal event at once.
    pub fn poll_bytes(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut self.get_mut().from {
            ByteSource::Flow(flow) => flow.poll_bytes(cx),
            ByteSource::Us(bytes) => Poll::Ready(bytes.take()),
        }
    }

    /// Ends the reply now, because the server stops: cancels the upstream and gives what the client's protocol says when a
    /// reply fails midway; empty when it has ended already.
    pub fn cut(self: Pin<&mut Self>, failure: &proto::Failure) -> Bytes {
        match &mut self.get_mut().from {
            ByteSource::Flow(flow) => flow.cut(failure.clone()),
            ByteSource::Us(bytes) => bytes.take().unwrap_or_default(),
        }
    }
}
