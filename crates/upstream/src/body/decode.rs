//! Answers in a content coding that nobody asked for, as middleboxes send them: decoded as they come, layer on layer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::task::coop;

use super::{Body, Cut};

/// What a layer decodes at most before it is handed on, bytes.
const PIECE: usize = 16 * 1024;
/// Log2 of the largest zstd window (8 MiB): what a frame may make us allocate.
const ZSTD_WINDOW: u32 = 23;
/// Longest chain.
const MOST: usize = 3;

/// A content coding that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a body's codings are not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// One of them is unknown.
    #[error("the upstream's answer has a content-encoding that is not read here: {0}")]
    Unknown(String),
    /// There are more than three.
    #[error("the upstream's answer has more than {MOST} content-encodings")]
    TooMany,
}

/// The codings in the order in which they were applied; `identity` is none.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Unread> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = String::from_utf8_lossy(value.as_bytes());
        for name in value.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "identity" | "" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                _ => return Err(Unread::Unknown(name.chars().filter(char::is_ascii_graphic).take(32).collect())),
            }
        }
    }
    if codings.len() > MOST { Err(Unread::TooMany) } else { Ok(codings) }
}

type Input = Pin<Box<dyn AsyncBufRead + Send>>;

/// A body as it was before it was coded.
pub(super) struct Decoder(Input);

impl Decoder {
    /// Puts the decoders on top of each other, that of the last applied coding at the bottom.
    pub(super) fn new(body: Body, codings: &[Coding]) -> Self {
        let wire: Input = Box::pin(Wire { body, chunk: Bytes::new(), over: false });
        let layer = |input, coding: &Coding| -> Input {
            Box::pin(BufReader::with_capacity(PIECE, Layer { state: State::Waits(*coding, input), failed: None }))
        };
        Self(codings.iter().rev().fold(wire, layer))
    }

    /// As [`Body::poll_chunk`]. At most one piece at a time, so that the caps behind it hold for what is decoded.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let piece = ready!(self.0.as_mut().poll_fill_buf(cx)).map(Bytes::copy_from_slice);
        self.0.as_mut().consume(piece.as_ref().map_or(0, Bytes::len));
        Poll::Ready(match piece {
            Err(error) => Some(Err(cut(&error))),
            Ok(piece) => (!piece.is_empty()).then_some(Ok(piece)),
        })
    }
}

/// The connection's own failure where it was that, else what the decoder says.
fn cut(error: &io::Error) -> Cut {
    let below = error.get_ref().and_then(|inner| inner.downcast_ref::<Cut>());
    let odd = || Cut::Broken(format!("its bytes are not what its content-encoding says: {error}"));
    below.cloned().unwrap_or_else(odd)
}

/// The chunks of a body, to be read from.
struct Wire {
    body: Body,
    chunk: Bytes,
    over: bool,
}

impl AsyncBufRead for Wire {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let wire = self.get_mut();
        if wire.chunk.is_empty() && !wire.over {
            match ready!(wire.body.poll_chunk(cx)) {
                Some(chunk) => wire.chunk = chunk.map_err(io::Error::other)?,
                None => wire.over = true,
            }
        }
        Poll::Ready(Ok(&wire.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().chunk.advance(amount);
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let chunk = ready!(self.as_mut().poll_fill_buf(cx))?;
        let length = chunk.len().min(buf.remaining());
        buf.put_slice(&chunk[..length]);
        self.consume(length);
        Poll::Ready(Ok(()))
    }
}

/// One coding taken off.
struct Layer {
    state: State,
    /// Is said once what was decoded before it has been read.
    failed: Option<io::Error>,
}

enum State {
    /// The first byte tells which decoder it takes.
    Waits(Coding, Input),
    Reads(Pin<Box<dyn AsyncRead + Send>>),
    Over,
}

impl Layer {
    fn decode(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let State::Waits(_, input) = &mut self.state {
            let first = ready!(input.as_mut().poll_fill_buf(cx))?.first().copied();
            if let (State::Waits(coding, input), Some(first)) = (std::mem::replace(&mut self.state, State::Over), first)
            {
                self.state = State::Reads(decoder(coding, input, first)?);
            }
        }
        match &mut self.state {
            State::Reads(decoder) => decoder.as_mut().poll_read(cx, buf),
            // Nothing at all, in whatever coding, is nothing.
            State::Waits(..) | State::Over => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Layer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let layer = self.get_mut();
        // A little of a bomb keeps its decoder busy for long without waiting for anything, and a chain may become much on its way and
        // nothing in the end: the runtime gets its turns.
        let turn = ready!(coop::poll_proceed(cx));
        if let Some(error) = layer.failed.take() {
            layer.state = State::Over;
            return Poll::Ready(Err(error));
        }
        let before = buf.filled().len();
        let read = ready!(layer.decode(cx, buf));
        turn.made_progress();
        Poll::Ready(match read {
            Err(error) if buf.filled().len() > before => {
                layer.failed = Some(error);
                Ok(())
            }
            read => read,
        })
    }
}

fn decoder(coding: Coding, input: Input, first: u8) -> io::Result<Pin<Box<dyn AsyncRead + Send>>> {
    Ok(match coding {
        // Some compressors end a member, or a frame, at each flush.
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(input);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        Coding::Zstd => {
            let mut decoder = ZstdDecoder::with_params(input, &[DParameter::window_log_max(ZSTD_WINDOW)]);
            decoder.multiple_members(true);
            Box::pin(decoder)
        }
        // RFC 9110 means zlib; some send the raw form. A raw stream cannot start with method 8, window <= 7.
        Coding::Deflate if first & 0x8f == 0x08 => Box::pin(ZlibDecoder::new(input)),
        Coding::Deflate => Box::pin(DeflateDecoder::new(input)),
        // Large-window brotli asks for up to 1 GiB; RFC 7932 has no such streams.
        Coding::Brotli if first & 0x7f == 0x11 => return Err(io::Error::other("large-window brotli")),
        Coding::Brotli => Box::pin(BrotliDecoder::new(input)),
    })
}
