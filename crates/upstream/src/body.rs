//! An answer's body, read chunk by chunk.

use std::task::{Context, Poll};

use bytes::Bytes;

/// An answer's body.
pub struct Body(());

/// A body that ended badly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The connection ended, was reset or broke the protocol.
    #[error("upstream closed the stream: {0}")]
    Broken(String),
    /// More than the cap given to [`Body::collect`].
    #[error("upstream's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Body {
    /// The next chunk as it came from the socket; `None` at the end.
    pub fn poll_chunk(&mut self, _cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        unimplemented!()
    }

    /// As [`Body::poll_chunk`], awaited.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Cut>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body, at most `cap` bytes.
    pub async fn collect(self, _cap: usize) -> Result<Bytes, Cut> {
        unimplemented!()
    }

    /// Reads what is left so that the connection can be reused: at most 64 KiB, and not longer than `limit`.
    pub async fn drain(self, _limit: std::time::Duration) {
        unimplemented!()
    }
}
