//! An answer's body, read chunk by chunk: each as it came from the socket, none copied, unless it has to be decoded.

pub(crate) mod decode;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http_body::Body as _;
use tokio::time::Instant;

use self::decode::{Coding, Decoder};
use crate::client::lanes::Place;
use crate::codex::socket::Reply;
use crate::fault::root;

/// What [`Body::drain`] reads at most.
const DRAIN: usize = 64 * 1024;

/// An answer's body. Dropping it before its end ends the exchange: the connection is closed, or the stream reset.
pub struct Body {
    source: Source,
}

/// Where the bytes come from.
enum Source {
    Http {
        body: reqwest::Body,
        /// Over HTTP/2, whose streams say where they end.
        marked: bool,
        _place: Place,
    },
    /// The conversation's socket.
    Socket(Box<Reply>),
    /// Another body, in codings.
    Decoded(Decoder),
    /// All of it is here.
    Whole(Option<Bytes>),
}

/// A body that ended badly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The connection ended, was reset or broke the protocol, or its bytes do not decode.
    #[error("the upstream's answer broke off: {0}")]
    Broken(String),
    /// More than the cap given to [`Body::collect`].
    #[error("the upstream's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Body {
    pub(crate) fn new(body: reqwest::Body, version: Version, place: Place) -> Self {
        let source = Source::Http { body, marked: version == Version::HTTP_2, _place: place };
        Self { source }
    }

    pub(crate) fn socket(reply: Reply) -> Self {
        Self { source: Source::Socket(Box::new(reply)) }
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { source: Source::Whole((!bytes.is_empty()).then_some(bytes)) }
    }

    /// The body as it was before `codings` were applied, in this order.
    pub(crate) fn decoded(self, codings: &[Coding]) -> Self {
        Self { source: Source::Decoded(Decoder::new(self, codings)) }
    }

    /// The next chunk as it came from the socket or its decoder, never empty; `None` at the proper end. Trailers are skipped.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let (body, marked) = match &mut self.source {
            Source::Http { body, marked, .. } => (body, *marked),
            Source::Socket(reply) => return reply.poll(cx),
            Source::Decoded(decoder) => return decoder.poll(cx),
            Source::Whole(bytes) => return Poll::Ready(bytes.take().map(Ok)),
        };
        loop {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                // A stream that the server gave up with NO_ERROR reads as one that came to its end (hyper 1.12, November 2026). Of the
                // two, only the other one says so; with its own decoders the HTTP client would keep that to itself.
                let end = !marked || body.is_end_stream();
                return Poll::Ready((!end).then(|| Err(Cut::Broken("the server gave the stream up".to_owned()))));
            };
            match frame.map_err(|error| Cut::Broken(root(&error.without_url()))) {
                Err(cut) => return Poll::Ready(Some(Err(cut))),
                Ok(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    _ => {}
                },
            }
        }
    }

    /// When the connection last gave a byte, where that may be later than the last chunk: a WebSocket's pings and the messages that
    /// are not whole yet are bytes too.
    pub fn last_read(&self) -> Option<Instant> {
        match &self.source {
            Source::Socket(reply) => reply.last_read(),
            Source::Http { .. } | Source::Decoded(_) | Source::Whole(_) => None,
        }
    }

    /// As [`Body::poll_chunk`], awaited.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Cut>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body, at most `cap` bytes. One chunk is handed on without a copy.
    pub async fn collect(mut self, cap: usize) -> Result<Bytes, Cut> {
        let Some(first) = self.chunk().await.transpose()? else { return Ok(Bytes::new()) };
        let mut whole = Whole::One(first);
        while whole.len() <= cap {
            match self.chunk().await.transpose()? {
                Some(next) => whole = whole.join(&next),
                None => return Ok(whole.freeze()),
            }
        }
        Err(Cut::TooLarge(cap))
    }

    /// Reads what is left so that the connection can be used again: at most 64 KiB, and not longer than `limit`.
    pub async fn drain(mut self, limit: Duration) {
        let rest = async {
            let mut read = 0;
            while let Some(Ok(chunk)) = self.chunk().await {
                read += chunk.len();
                if read > DRAIN {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(limit, rest).await;
    }
}

enum Whole {
    One(Bytes),
    Many(BytesMut),
}

impl Whole {
    fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        }
    }

    fn join(self, next: &[u8]) -> Self {
        let mut all = match self {
            Self::One(bytes) => BytesMut::from(&bytes[..]),
            Self::Many(bytes) => bytes,
        };
        all.extend_from_slice(next);
        Self::Many(all)
    }

    fn freeze(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}
