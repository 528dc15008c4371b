//! A reply that runs, as the server sees it: a source of bytes.

pub(crate) mod flow;
mod held;
pub(crate) mod pipe;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::request::reply::Head;
use flow::Flow;

/// A committed reply: upstream bytes in, client bytes out. Dropping it cancels the upstream.
pub struct Stream {
    head: Head,
    from: From,
}

/// Where the bytes come from.
enum From {
    /// A call that runs.
    Flow(Box<Flow>),
    /// We have said all of it ourselves, until it is taken.
    Us(Option<Bytes>),
}

impl Stream {
    pub(crate) fn new(head: Head, flow: Box<Flow>) -> Self {
        Self { head, from: From::Flow(flow) }
    }

    /// A reply of ours.
    pub(crate) fn said(head: Head, bytes: Bytes) -> Self {
        Self { head, from: From::Us(Some(bytes)) }
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
            From::Flow(flow) => flow.poll_bytes(cx),
            From::Us(bytes) => Poll::Ready(bytes.take()),
        }
    }

    /// Ends the reply now, because the server stops: cancels the upstream and gives what the client's protocol says when a
    /// reply fails midway; empty when it has ended already.
    pub fn cut(self: Pin<&mut Self>, failure: &proto::Failure) -> Bytes {
        match &mut self.get_mut().from {
            From::Flow(flow) => flow.cut(failure.clone()),
            From::Us(bytes) => bytes.take().unwrap_or_default(),
        }
    }
}
