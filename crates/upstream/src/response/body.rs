//! An answer's body, read chunk by chunk. The chunks are the socket's own, without a copy, unless the body must be decoded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::Version;
use http_body::Body as _;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wire_body::{Coding, Trailing};

use crate::fault::{Fault, FaultKind, Sent, root_cause};

/// Most bytes that [`Body::drain`] reads.
const DRAIN: usize = 64 * 1024;

/// An answer's body. Dropping it before its end ends the exchange: the connection is closed, or the stream reset.
pub struct Body {
    source: Source,
}

/// Where the bytes come from.
enum Source {
    Http {
        body: reqwest::Body,
        /// Whether the stream marks its end, as in HTTP/2.
        marked: bool,
        _permit: OwnedSemaphorePermit,
    },
    /// A WebSocket or a decoder.
    Other(Box<dyn ByteSource>),
    /// The whole body, in memory.
    Whole(Option<Bytes>),
}

/// A body that does not come from the HTTP client.
pub(crate) trait ByteSource: Send {
    /// As [`Body::poll_chunk`].
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyReadError>>>;

    /// As [`Body::has_messages`].
    fn has_messages(&self) -> bool {
        false
    }

    /// As [`Body::last_read`].
    fn last_read(&self) -> Option<Instant> {
        None
    }
}

/// A body that did not end properly.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyReadError {
    /// The connection ended, was reset or broke the protocol, or its bytes do not decode.
    #[error("the upstream's answer broke off: {0}")]
    Broken(String),
    /// More than the cap given to [`Body::collect`].
    #[error("the upstream's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Body {
    pub(crate) fn new(body: reqwest::Body, version: Version, permit: OwnedSemaphorePermit) -> Self {
        let source = Source::Http { body, marked: version == Version::HTTP_2, _permit: permit };
        Self { source }
    }

    pub(crate) fn from_source(source: impl ByteSource + 'static) -> Self {
        Self { source: Source::Other(Box::new(source)) }
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { source: Source::Whole((!bytes.is_empty()).then_some(bytes)) }
    }

    /// Whether each chunk is one event, a message of a WebSocket; otherwise the body is what HTTP has: server-sent events or data.
    pub fn has_messages(&self) -> bool {
        match &self.source {
            Source::Other(source) => source.has_messages(),
            Source::Http { .. } | Source::Whole(_) => false,
        }
    }

    /// The body as it was before `codings` were applied, in this order.
    pub(crate) fn decoded(self, codings: &[Coding]) -> Self {
        let wire = Reader { body: self, chunk: Bytes::new(), ended: false };
        // A middlebox may append bytes to an answer; the decoded part is complete without them.
        Self::from_source(Decoded(wire_body::decoder(Box::pin(wire), codings, Trailing::Ignored)))
    }

    /// The next chunk as it came from the socket or its decoder, never empty; `None` at the proper end. Trailers are skipped.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyReadError>>> {
        let (body, marked) = match &mut self.source {
            Source::Http { body, marked, .. } => (body, *marked),
            Source::Other(source) => return source.poll_chunk(cx),
            Source::Whole(bytes) => return Poll::Ready(bytes.take().map(Ok)),
        };
        loop {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                // hyper reports a stream that the server reset with NO_ERROR like one that ended (1.12, November 2026). Only a
                // stream that really ended is `is_end_stream`; the HTTP client's own decoders would hide that flag.
                let end = !marked || body.is_end_stream();
                return Poll::Ready(
                    (!end).then(|| Err(BodyReadError::Broken("the server gave the stream up".to_owned()))),
                );
            };
            match frame.map_err(|error| BodyReadError::Broken(root_cause(&error.without_url()))) {
                Err(cut) => return Poll::Ready(Some(Err(cut))),
                Ok(frame) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    _ => {}
                },
            }
        }
    }

    /// When the connection last received a byte, if that may be later than the last chunk: a WebSocket also receives pings and partial
    /// messages.
    pub fn last_read(&self) -> Option<Instant> {
        match &self.source {
            Source::Other(source) => source.last_read(),
            Source::Http { .. } | Source::Whole(_) => None,
        }
    }

    /// As [`Body::poll_chunk`], awaited.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, BodyReadError>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The whole body, at most `cap` bytes. A single chunk is returned without a copy.
    pub async fn collect(mut self, cap: usize) -> Result<Bytes, BodyReadError> {
        let Some(first) = self.chunk().await.transpose()? else { return Ok(Bytes::new()) };
        let mut whole = CollectedBody::One(first);
        while whole.len() <= cap {
            match self.chunk().await.transpose()? {
                Some(next) => whole = whole.join(&next),
                None => return Ok(whole.freeze()),
            }
        }
        Err(BodyReadError::TooLarge(cap))
    }

    /// Reads the rest so that the connection can be reused: at most 64 KiB, within `limit`.
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

enum CollectedBody {
    One(Bytes),
    Many(BytesMut),
}

impl CollectedBody {
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

impl From<BodyReadError> for Fault {
    /// The fault for a body that did not end properly.
    fn from(cut: BodyReadError) -> Self {
        let kind = match cut {
            BodyReadError::Broken(_) => FaultKind::Cut,
            BodyReadError::TooLarge(_) => FaultKind::TooLarge,
        };
        Self::new(Sent::Yes, kind, cut.to_string())
    }
}

/// A body without its content codings.
struct Decoded(wire_body::Input);

impl ByteSource for Decoded {
    /// At most one piece at a time, so that the callers' caps hold for the decoded bytes.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyReadError>>> {
        let piece = ready!(self.0.as_mut().poll_fill_buf(cx)).map(Bytes::copy_from_slice);
        self.0.as_mut().consume(piece.as_ref().map_or(0, Bytes::len));
        Poll::Ready(match piece {
            Err(error) => Some(Err(decode_failure(&error))),
            Ok(piece) => (!piece.is_empty()).then_some(Ok(piece)),
        })
    }
}

/// The connection's failure if there was one, else the decoder's.
fn decode_failure(error: &io::Error) -> BodyReadError {
    let below = error.get_ref().and_then(|inner| inner.downcast_ref::<BodyReadError>());
    let corrupt = || BodyReadError::Broken(format!("its bytes are not what its content-encoding says: {error}"));
    below.cloned().unwrap_or_else(corrupt)
}

/// The chunks of a body as a reader.
struct Reader {
    body: Body,
    chunk: Bytes,
    ended: bool,
}

impl AsyncBufRead for Reader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let reader = self.get_mut();
        if reader.chunk.is_empty() && !reader.ended {
            match ready!(reader.body.poll_chunk(cx)) {
                Some(chunk) => reader.chunk = chunk.map_err(io::Error::other)?,
                None => reader.ended = true,
            }
        }
        Poll::Ready(Ok(&reader.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().chunk.advance(amount);
    }
}

impl AsyncRead for Reader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let chunk = ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = chunk.len().min(buf.remaining());
        buf.put_slice(&chunk[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}
