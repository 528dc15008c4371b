//! A reply that runs.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::reply::Head;

/// A committed reply: upstream bytes in, client bytes out. Dropping it cancels the upstream.
pub struct Stream {
    head: Head,
}

impl Stream {
    /// What the headers say.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next bytes for the client, one piece per upstream read, heartbeats included. A failed upstream is written in the
    /// client's protocol; `None` follows the terminal event at once.
    pub fn poll_bytes(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        unimplemented!()
    }

    /// Ends the reply now, because the server stops: cancels the upstream and gives what the client's protocol says when a
    /// reply fails midway; empty when it has ended already.
    pub fn cut(self: Pin<&mut Self>, _failure: &proto::Failure) -> Bytes {
        unimplemented!()
    }
}
