//! Streaming decoders for content codings, also chained: for requests, and for answers that a middlebox compressed unasked.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use tokio::io::{AsyncBufRead, AsyncRead, BufReader, ReadBuf};
use tokio::task::coop;

/// Most bytes that a decoder yields at once.
const PIECE: usize = 16 * 1024;
/// Log2 of the largest zstd window (8 MiB), which bounds the memory that a frame can make a decoder allocate.
const ZSTD_WINDOW: u32 = 23;
/// Longest chain of codings; no client sends more than one.
pub const MOST_CODINGS: usize = 3;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the coding of the same name")]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Why a message's codings cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A coding is unknown; at most 32 visible characters of its name.
    #[error("unknown content coding: {0}")]
    Unknown(String),
    /// More codings than [`MOST_CODINGS`].
    #[error("more than {MOST_CODINGS} content codings")]
    TooMany,
}

/// Why decoding failed; the inner error of the reader's [`io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A decoder yielded more than the cap.
    #[error("more decoded bytes than the cap")]
    TooLarge,
    /// The body is empty, or continues after the end of its coding.
    #[error("the body and its content coding do not end together")]
    Length,
    /// A large-window brotli stream can ask for up to 1 GiB; RFC 7932 has no such streams.
    #[error("large-window brotli")]
    LargeWindow,
}

/// How strictly the end of the input is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailing {
    /// Bytes after the end of the coding are an error, and so is an empty body. No decoder yields more than `cap` bytes: an
    /// intermediate layer could otherwise be endless and the result empty.
    Refused {
        /// Bytes.
        cap: usize,
    },
    /// Bytes after the end of the coding are ignored, and an empty body is empty.
    Ignored,
}

/// The codings in the order in which they were applied; `identity` is not listed. Errors: [`Unsupported`].
pub fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Unsupported> {
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
                _ => return Err(Unsupported::Unknown(name.chars().filter(char::is_ascii_graphic).take(32).collect())),
            }
        }
    }
    if codings.len() > MOST_CODINGS { Err(Unsupported::TooMany) } else { Ok(codings) }
}

/// A source of bytes.
pub type Input = Pin<Box<dyn AsyncBufRead + Send>>;

/// Removes the codings from `wire`. The decoder of the coding that was applied last reads `wire` itself.
pub fn decoder(wire: Input, codings: &[Coding], trailing: Trailing) -> Input {
    let left = match trailing {
        Trailing::Refused { cap } => cap,
        Trailing::Ignored => usize::MAX,
    };
    let layer = |input, coding: &Coding| -> Input {
        let layer = CodingLayer {
            state: State::Waiting(*coding, input),
            refuse_trailing: trailing != Trailing::Ignored,
            left,
            failed: None,
        };
        Box::pin(BufReader::with_capacity(PIECE, layer))
    };
    codings.iter().rev().fold(wire, layer)
}

/// One coding of the chain.
struct CodingLayer {
    state: State,
    /// Whether the input must end where the coding ends.
    refuse_trailing: bool,
    /// Bytes that may still be yielded.
    left: usize,
    /// An error that is reported after the bytes decoded before it.
    failed: Option<io::Error>,
}

enum State {
    /// The first byte decides on the decoder.
    Waiting(Coding, Input),
    Decoding(Decoder),
    Ended,
}

impl CodingLayer {
    fn decode(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let State::Waiting(_, input) = &mut self.state {
            let first = ready!(input.as_mut().poll_fill_buf(cx))?.first().copied();
            if first.is_none() && self.refuse_trailing {
                return Poll::Ready(Err(io::Error::other(DecodeError::Length)));
            }
            let waiting = std::mem::replace(&mut self.state, State::Ended);
            if let (State::Waiting(coding, input), Some(first)) = (waiting, first) {
                self.state = State::Decoding(Decoder::new(coding, input, first)?);
            }
        }
        let State::Decoding(decoder) = &mut self.state else { return Poll::Ready(Ok(())) };
        ready!(decoder.poll_read(cx, buf))?;
        if !buf.filled().is_empty() || buf.remaining() == 0 || !self.refuse_trailing {
            return Poll::Ready(Ok(()));
        }
        let ended = ready!(decoder.input().as_mut().poll_fill_buf(cx))?.is_empty();
        Poll::Ready(if ended { Ok(()) } else { Err(io::Error::other(DecodeError::Length)) })
    }
}

impl AsyncRead for CodingLayer {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let layer = self.get_mut();
        // A decoder that reads from memory never waits, and a small decompression bomb keeps it busy for long: yield to the runtime.
        let budget = ready!(coop::poll_proceed(cx));
        if let Some(error) = layer.failed.take() {
            layer.state = State::Ended;
            return Poll::Ready(Err(error));
        }
        // At the cap, read one byte more: it shows whether the body is too long or ends here.
        let most = buf.remaining().min(PIECE).min(layer.left.max(1));
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let decoded = ready!(layer.decode(cx, &mut part));
        budget.made_progress();
        let count = part.filled().len();
        let Some(left) = layer.left.checked_sub(count) else {
            return Poll::Ready(Err(io::Error::other(DecodeError::TooLarge)));
        };
        layer.left = left;
        buf.advance(count);
        Poll::Ready(match decoded {
            Err(error) if count > 0 => {
                layer.failed = Some(error);
                Ok(())
            }
            decoded => decoded,
        })
    }
}

enum Decoder {
    Gzip(GzipDecoder<Input>),
    Zlib(ZlibDecoder<Input>),
    Deflate(DeflateDecoder<Input>),
    Brotli(BrotliDecoder<Input>),
    Zstd(ZstdDecoder<Input>),
}

impl Decoder {
    fn new(coding: Coding, input: Input, first: u8) -> io::Result<Self> {
        Ok(match coding {
            // Some compressors end a member, or a frame, at each flush (RFC 1952, section 2.2; RFC 8878, section 3.1).
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(input);
                decoder.multiple_members(true);
                Self::Gzip(decoder)
            }
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::with_params(input, &[DParameter::window_log_max(ZSTD_WINDOW)]);
                decoder.multiple_members(true);
                Self::Zstd(decoder)
            }
            // In RFC 9110, `deflate` means zlib; some servers send raw deflate. A raw stream cannot start with method 8, window <= 7.
            Coding::Deflate if first & 0x8f == 0x08 => Self::Zlib(ZlibDecoder::new(input)),
            Coding::Deflate => Self::Deflate(DeflateDecoder::new(input)),
            Coding::Brotli if first & 0x7f == 0x11 => return Err(io::Error::other(DecodeError::LargeWindow)),
            Coding::Brotli => Self::Brotli(BrotliDecoder::new(input)),
        })
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Gzip(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Zlib(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Deflate(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Brotli(decoder) => Pin::new(decoder).poll_read(cx, buf),
            Self::Zstd(decoder) => Pin::new(decoder).poll_read(cx, buf),
        }
    }

    fn input(&mut self) -> &mut Input {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}
