//! Reads whole request bodies, decodes them within every cap, and charges them to one memory budget until their last slice is dropped.

mod budget;
mod partial;

pub(crate) use budget::{BodyBudget, BodyReservation};
pub(crate) use partial::{PartialBody, read_beginning};

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, unfold};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::Body;
use http_body_util::BodyStream;
use pool::limits;
use proto::{Failure, Kind};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;
use tokio_util::io::StreamReader;
use wire_body::{Coding, DecodeError, INLINE, Trailing, Unsupported};

use crate::settings::Limits;

/// The largest buffer that is reserved for a declared length, bytes.
const PREALLOCATED: usize = 1 << 20;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// Over the cap on the wire or decoded (413).
    #[error(
        "the request body is too large; the limit is {} MiB, and {} MiB once decoded",
        limits::BODY_WIRE >> 20,
        limits::BODY_DECODED >> 20
    )]
    TooLarge,
    /// Over the cap of an endpoint that anybody may call (413).
    #[error("the request body is too large; the limit of this endpoint is {} KiB", limits::PUBLIC_BODY.0 >> 10)]
    PublicTooLarge,
    /// No byte arrived for too long, or the bytes arrived too slowly (408).
    #[error("the request body stopped arriving, or came slower than {} bytes a second", limits::BODY_RATE)]
    Stalled,
    /// The body ended early, or its chunks are malformed (400).
    #[error("the request body was cut short")]
    Cut,
    /// An unsupported content coding (415).
    #[error("the content-encoding is not supported; use gzip, deflate, br, zstd or identity")]
    Coding,
    /// Encoded bytes that do not decode, end early or continue after their end (400).
    #[error("the request body does not match its content-encoding")]
    Corrupt,
    /// The memory budget of request bodies is used up (503).
    #[error("too many request bodies are in flight")]
    Full,
}

impl From<Unsupported> for BodyError {
    fn from(_: Unsupported) -> Self {
        Self::Coding
    }
}

impl From<BodyError> for Failure {
    fn from(broken: BodyError) -> Self {
        let kind = match broken {
            BodyError::TooLarge | BodyError::PublicTooLarge => Kind::TooLarge,
            BodyError::Stalled => Kind::Stalled,
            BodyError::Cut | BodyError::Corrupt => Kind::Invalid,
            BodyError::Coding => Kind::Unsupported,
            BodyError::Full => {
                return Self::new(Kind::Overloaded, broken.to_string()).code("overloaded").retry_after(1);
            }
        };
        Self::new(kind, broken.to_string())
    }
}

/// Reads a whole body. Errors: see [`BodyError`]; a declared length over the cap is refused before the first byte is read.
pub(crate) async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limits: &Limits,
    budget: &BodyBudget,
) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limits.wire) {
        return Err(BodyError::TooLarge);
    }
    let codings = wire_body::codings(headers)?;
    let wire = chunks(body, limits.wire, limits.body_stall);
    if codings.is_empty() {
        let charge = budget.reservation(usize::try_from(limits.wire).unwrap_or(usize::MAX));
        let expected = declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        return plain(wire, expected, charge).await;
    }
    decoded(wire, &codings, limits.decoded, budget.reservation(limits.decoded)).await
}

/// Reads a short body from an unauthenticated client: without a coding, within [`limits::PUBLIC_BODY`], and without memory from the
/// budget, which is for authenticated clients. Errors: see [`BodyError`].
pub(crate) async fn read_public<B>(headers: &HeaderMap, body: B) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    if !wire_body::codings(headers)?.is_empty() {
        return Err(BodyError::Coding);
    }
    let (cap, within) = limits::PUBLIC_BODY;
    let mut wire = chunks(body, cap as u64, within);
    let read = async {
        let mut whole = Vec::new();
        while let Some(chunk) = wire.next().await {
            whole.extend_from_slice(&chunk.map_err(|broken| match broken {
                BodyError::TooLarge => BodyError::PublicTooLarge,
                other => other,
            })?);
        }
        Ok(Bytes::from(whole))
    };
    // A slow client must not keep the request open.
    tokio::time::timeout(within, read).await.unwrap_or(Err(BodyError::Stalled))
}

/// The longest total wait for a client after `received` bytes, so that a slow client cannot keep a body open.
pub(crate) fn total_time(received: u64, stall: Duration) -> Duration {
    stall + Duration::from_secs(received) / limits::BODY_RATE
}

/// The body's data, with limits on its size and time. Only the time spent waiting for the client counts.
fn chunks<B>(body: B, cap: u64, stall: Duration) -> impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    let state = (BodyStream::new(body), cap, Duration::ZERO);
    Box::pin(unfold(state, move |(mut body, left, mut waited)| async move {
        loop {
            let (asked, rest) = (Instant::now(), total_time(cap - left, stall).saturating_sub(waited));
            let frame = match tokio::time::timeout(stall.min(rest), body.next()).await {
                Err(_) => return Some((Err(BodyError::Stalled), (body, left, waited))),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some((Err(BodyError::Cut), (body, left, waited))),
                Ok(Some(Ok(frame))) => frame,
            };
            waited += asked.elapsed();
            let Ok(data) = frame.into_data() else { continue };
            return match left.checked_sub(data.len() as u64) {
                Some(left) => Some((Ok(data), (body, left, waited))),
                None => Some((Err(BodyError::TooLarge), (body, 0, waited))),
            };
        }
    }))
}

async fn plain(
    mut wire: impl Stream<Item = Result<Bytes, BodyError>> + Unpin,
    expected: usize,
    mut charge: BodyReservation,
) -> Result<Bytes, BodyError> {
    let mut whole = Vec::new();
    // The client may send less than the declared length, so at most 1 MiB is reserved for it.
    charge.grow(&mut whole, expected.min(PREALLOCATED))?;
    while let Some(chunk) = wire.next().await {
        let chunk = chunk?;
        charge.grow(&mut whole, chunk.len())?;
        whole.extend_from_slice(&chunk);
    }
    Ok(charge.seal(whole))
}

async fn decoded(
    wire: impl Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
    codings: &[Coding],
    cap: usize,
    mut charge: BodyReservation,
) -> Result<Bytes, BodyError> {
    let wire = StreamReader::new(wire.map(|chunk| chunk.map_err(io::Error::other)));
    let mut reader = wire_body::decoder(Box::pin(wire), codings, Trailing::Refused { cap });
    let (mut whole, mut rested) = (Vec::new(), 0);
    loop {
        charge.grow(&mut whole, 16 << 10)?;
        if fill(&mut reader, &mut whole).await? == 0 {
            return Ok(charge.seal(whole));
        }
        // Decoding runs while the body arrives, so it is not offloaded, but it yields to other tasks.
        if whole.len() - rested >= INLINE {
            rested = whole.len();
            tokio::task::yield_now().await;
        }
    }
}

/// Reads into the spare capacity of `whole`, without growing it.
async fn fill(reader: &mut (impl AsyncRead + Unpin), whole: &mut Vec<u8>) -> Result<usize, BodyError> {
    let room = whole.capacity() - whole.len();
    reader.take(room as u64).read_buf(whole).await.map_err(|error| {
        let inner = error.get_ref();
        let too_large = matches!(inner.and_then(|inner| inner.downcast_ref()), Some(DecodeError::TooLarge));
        let ours = inner.and_then(|inner| inner.downcast_ref::<BodyError>());
        ours.copied().unwrap_or(if too_large { BodyError::TooLarge } else { BodyError::Corrupt })
    })
}

#[cfg(test)]
mod tests;
