//! Server-sent events by the WHATWG rules: bytes in, frames out, for any chunking.
//!
//! A frame inside one chunk is a slice of it; only a frame that crosses a chunk border is copied, once. Each frame holds its bytes as they
//! came, so that a writer of the same protocol can pass them on.

mod parse;
#[cfg(test)]
mod tests;

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

pub use parse::parse;

/// One event as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// All bytes of the frame with the blank line that closes it; includes comments inside the frame, but not a byte order mark.
    pub raw: Bytes,
    /// The position of the `event` field in `raw`.
    event: Range<usize>,
    /// The `data` lines joined by LF. May be invalid UTF-8.
    pub data: Bytes,
    /// Whether `raw` is the whole frame.
    pub extent: Extent,
}

impl Frame {
    /// The frame's bytes, the position of the `event` field in them, and the data.
    pub(crate) fn into_parts(self) -> (Bytes, Range<usize>, Bytes) {
        (self.raw, self.event, self.data)
    }

    /// The `event` field, empty when there is none.
    pub fn event(&self) -> &[u8] {
        self.raw.get(self.event.clone()).unwrap_or_default()
    }
}

/// Whether a [`Frame`] is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The whole frame.
    Whole,
    /// A piece of a frame that is too large to hold; `event` and `data` are empty.
    Piece,
    /// The last such piece.
    Last,
}

/// A frame is longer than the decoder's limit. The decoder reads nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is over {limit} bytes")]
pub struct TooLong {
    /// The limit, in bytes.
    pub limit: usize,
}

/// When a frame that is still arriving is passed on in pieces instead of being held.
#[derive(Clone, Copy, Debug)]
pub struct Spill {
    /// Bytes that are held before `may` is called.
    pub over: usize,
    /// Decides from the bytes held so far whether the frame may pass in pieces.
    pub may: fn(&[u8]) -> bool,
}

/// The decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    spill: Option<Spill>,
    /// The unfinished frame's bytes from earlier chunks.
    held: BytesMut,
    /// How many bytes of the unfinished frame were passed on already.
    passed: usize,
    ends: Ends,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the very start, where a byte order mark is possible.
    Start,
    Open,
    /// A frame was too long.
    Dead,
}

impl Decoder {
    /// A decoder that refuses frames over `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            spill: None,
            held: BytesMut::new(),
            passed: 0,
            ends: Ends { at: End::Lf, blank: true },
            state: State::Start,
        }
    }

    /// The same decoder, which passes large frames on in pieces where `spill` allows it.
    #[must_use]
    pub fn spilling(mut self, spill: Spill) -> Self {
        self.spill = Some(spill);
        self
    }

    /// Reads one chunk and appends the frames that it completes. Frames without data (comments, `retry`) are left out. Errors:
    /// [`TooLong`] when a frame passes the limit; frames before it are in `out`.
    pub fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Frame>) -> Result<(), TooLong> {
        while self.state != State::Dead && !chunk.is_empty() {
            let Some(length) = self.ends.find(&chunk) else {
                self.hold(&chunk, out)?;
                break;
            };
            let part = chunk.split_to(length);
            if self.passed + self.held.len() + part.len() > self.limit {
                return Err(self.die());
            }
            self.complete(part, out);
        }
        Ok(())
    }

    /// The bytes held of an unfinished frame.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Ends the stream: completes a frame whose blank line lacks only its optional LF, and drops an incomplete frame. Returns whether
    /// nothing was dropped.
    pub fn end(mut self, out: &mut Vec<Frame>) -> bool {
        let whole = self.ends.blank && self.ends.at == End::Cr;
        if whole && self.state != State::Dead {
            self.complete(Bytes::new(), out);
        }
        self.held.is_empty() && self.passed == 0
    }

    fn hold(&mut self, chunk: &Bytes, out: &mut Vec<Frame>) -> Result<(), TooLong> {
        self.held.extend_from_slice(chunk);
        if self.passed + self.held.len() > self.limit {
            return Err(self.die());
        }
        let spills = self.passed > 0 || self.spill.is_some_and(|s| self.held.len() > s.over && (s.may)(&self.held));
        if spills {
            let raw = self.held.split().freeze();
            self.passed += raw.len();
            out.push(piece(raw, Extent::Piece));
        }
        Ok(())
    }

    /// Completes the unfinished frame with `part`.
    fn complete(&mut self, part: Bytes, out: &mut Vec<Frame>) {
        let mut raw = if self.held.is_empty() {
            part
        } else {
            self.held.extend_from_slice(&part);
            self.held.split().freeze()
        };
        if std::mem::take(&mut self.passed) > 0 {
            out.push(piece(raw, Extent::Last));
            return;
        }
        if self.state == State::Start {
            self.state = State::Open;
            if raw.starts_with(b"\xEF\xBB\xBF") {
                raw = raw.slice(3..);
            }
        }
        out.extend(parse(raw));
    }

    fn die(&mut self) -> TooLong {
        self.state = State::Dead;
        self.held = BytesMut::new();
        TooLong { limit: self.limit }
    }
}

fn piece(raw: Bytes, extent: Extent) -> Frame {
    Frame { raw, event: 0..0, data: Bytes::new(), extent }
}

/// Finds the ends of frames line by line, and remembers the last bytes across chunks.
///
/// CR LF is one line end and may be cut between chunks. A blank line that ends with CR is therefore held until the next byte
/// shows whether an LF belongs to it, unless the line before it ended with a bare CR: such a stream uses no LF, and
/// waiting would delay its last event for ever.
#[derive(Debug)]
struct Ends {
    at: End,
    /// Whether the current line is empty so far; with `at == Cr`, whether the line that the CR ended was empty.
    blank: bool,
}

/// How the last line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lf,
    CrLf,
    /// CR, and the next byte, unknown yet, may be an LF.
    Cr,
    /// CR without LF.
    BareCr,
}

impl Ends {
    /// Length of the part of `chunk` up to and including the next frame end; `None` when the frame does not end in this chunk.
    fn find(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if self.at == End::Cr {
            let lf = *chunk.first()? == b'\n';
            at = usize::from(lf);
            self.at = if lf { End::CrLf } else { End::BareCr };
            if std::mem::replace(&mut self.blank, true) {
                return Some(at);
            }
        }
        loop {
            let Some(length) = memchr2(b'\n', b'\r', &chunk[at..]) else {
                self.blank &= at == chunk.len();
                return None;
            };
            let blank = self.blank && length == 0;
            at += length + 1;
            self.blank = true;
            if chunk[at - 1] == b'\n' {
                self.at = End::Lf;
            } else if blank && self.at == End::BareCr {
                self.at = End::BareCr;
            } else {
                match chunk.get(at) {
                    None => {
                        self.at = End::Cr;
                        self.blank = blank;
                        return None;
                    }
                    Some(b'\n') => {
                        at += 1;
                        self.at = End::CrLf;
                    }
                    Some(_) => self.at = End::BareCr,
                }
            }
            if blank {
                return Some(at);
            }
        }
    }
}
