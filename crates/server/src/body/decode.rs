//! Content codings, chained, streaming. A decoder's end must be its input's end: bytes after it are refused, not skipped.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::task::coop;

use super::Broken;

/// Log2 of the largest zstd window (8 MiB): what a frame may make us allocate.
const ZSTD_WINDOW: u32 = 23;
/// What a decoder gives at most at once, bytes.
const PIECE: usize = 16 << 10;
/// Longest chain; no client sends more than one.
const MOST: usize = 3;

/// A content coding that we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The codings in the order in which they were applied; `identity` is none.
pub(super) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Broken> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| Broken::Coding)?;
        for name in value.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "identity" | "" => {}
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" => codings.push(Coding::Zstd),
                _ => return Err(Broken::Coding),
            }
        }
    }
    if codings.len() > MOST { Err(Broken::Coding) } else { Ok(codings) }
}

type Input = Pin<Box<dyn AsyncBufRead + Send>>;

/// Puts the decoders for `codings` on top of each other, the last applied at the bottom. None of them gives more than `cap` bytes: what
/// a body becomes on its way could else be endless, and nothing in the end.
pub(super) fn chain(wire: Input, codings: &[Coding], cap: usize) -> Input {
    let stage = |coding: &Coding, input| Stage { layer: Layer::Sniff(*coding, Some(input)), left: cap };
    codings.iter().rev().fold(wire, |input, coding| Box::pin(BufReader::new(stage(coding, input))))
}

/// A decoder, and how many bytes more it may give.
struct Stage {
    layer: Layer,
    left: usize,
}

impl AsyncRead for Stage {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stage = self.get_mut();
        // A decoder that is fed from memory never waits by itself: the runtime gets its turns.
        let turn = ready!(coop::poll_proceed(cx));
        // Where no more may come, one byte tells a body that is too long from one that ends.
        let most = buf.remaining().min(PIECE).min(stage.left.max(1));
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        ready!(Pin::new(&mut stage.layer).poll_read(cx, &mut part))?;
        turn.made_progress();
        let count = part.filled().len();
        let Some(left) = stage.left.checked_sub(count) else {
            return Poll::Ready(Err(io::Error::other(Broken::TooLarge)));
        };
        stage.left = left;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// One decoder, chosen once its first byte is there.
enum Layer {
    Sniff(Coding, Option<Input>),
    Gzip(GzipDecoder<Input>),
    Zlib(ZlibDecoder<Input>),
    Deflate(DeflateDecoder<Input>),
    Brotli(BrotliDecoder<Input>),
    Zstd(ZstdDecoder<Input>),
}

impl Layer {
    fn new(coding: Coding, input: Input, first: Option<u8>) -> Result<Self, Broken> {
        Ok(match (coding, first) {
            (_, None) => return Err(Broken::Corrupt),
            // Large-window brotli asks for up to 1 GiB; RFC 7932 has no such streams.
            (Coding::Brotli, Some(first)) if first & 0x7f == 0x11 => return Err(Broken::Corrupt),
            (Coding::Brotli, _) => Self::Brotli(BrotliDecoder::new(input)),
            // Some compressors end a member, or a frame, at each flush (RFC 1952, section 2.2; RFC 8878, section 3.1).
            (Coding::Gzip, _) => {
                let mut decoder = GzipDecoder::new(input);
                decoder.multiple_members(true);
                Self::Gzip(decoder)
            }
            // RFC 9110 means zlib; some clients send the raw form. A raw stream cannot start with method 8, window <= 7.
            (Coding::Deflate, Some(first)) if first & 0x8f == 0x08 => Self::Zlib(ZlibDecoder::new(input)),
            (Coding::Deflate, _) => Self::Deflate(DeflateDecoder::new(input)),
            (Coding::Zstd, _) => {
                let mut decoder = ZstdDecoder::with_params(input, &[DParameter::window_log_max(ZSTD_WINDOW)]);
                decoder.multiple_members(true);
                Self::Zstd(decoder)
            }
        })
    }

    fn poll_decoder(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Sniff(..) => Poll::Ready(Ok(())),
            Self::Gzip(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Zlib(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Deflate(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Brotli(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Zstd(decoder) => Pin::new(decoder).poll_read(cx, buf),
        }
    }

    fn input(&mut self) -> Option<&mut Input> {
        match self {
            Self::Sniff(_, input) => input.as_mut(),
            Self::Gzip(decoder) => Some(decoder.get_mut()),
            Self::Zlib(decoder) => Some(decoder.get_mut()),
            Self::Deflate(decoder) => Some(decoder.get_mut()),
            Self::Brotli(decoder) => Some(decoder.get_mut()),
            Self::Zstd(decoder) => Some(decoder.get_mut()),
        }
    }
}

impl AsyncRead for Layer {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Self::Sniff(coding, input) = &mut *self {
            let (coding, waiting) = (*coding, input.as_mut().ok_or_else(corrupt)?);
            let first = ready!(waiting.as_mut().poll_fill_buf(cx))?.first().copied();
            let input = input.take().ok_or_else(corrupt)?;
            *self = Self::new(coding, input, first).map_err(io::Error::other)?;
        }
        let before = buf.filled().len();
        ready!(self.poll_decoder(cx, buf))?;
        if buf.filled().len() > before || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let input = self.input().ok_or_else(corrupt)?;
        let rest = ready!(input.as_mut().poll_fill_buf(cx))?.is_empty();
        Poll::Ready(if rest { Ok(()) } else { Err(corrupt()) })
    }
}

fn corrupt() -> io::Error {
    io::Error::other(Broken::Corrupt)
}
