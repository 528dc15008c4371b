//! Newline-delimited JSON: one value per line. Blank lines are skipped; a last line without LF is a line too.

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::sse::TooLong;

/// The decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    held: BytesMut,
    dead: bool,
}

impl Decoder {
    /// A decoder that refuses lines over `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: BytesMut::new(), dead: false }
    }

    /// Reads one chunk and appends the lines that it completes, without their line ends. Errors: [`TooLong`] when a line passes the
    /// limit; lines before it are in `out`.
    pub fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Bytes>) -> Result<(), TooLong> {
        while !self.dead && !chunk.is_empty() {
            let end = memchr(b'\n', &chunk);
            let part = chunk.split_to(end.map_or(chunk.len(), |at| at + 1));
            if self.held.len() + part.len() > self.limit.saturating_add(2) {
                self.dead = true;
                self.held = BytesMut::new();
                return Err(TooLong { limit: self.limit });
            }
            match end {
                Some(_) => self.complete(part, out),
                None => self.held.extend_from_slice(&part),
            }
        }
        Ok(())
    }

    /// Ends the stream; appends the last line if it had no LF.
    pub fn end(mut self, out: &mut Vec<Bytes>) {
        self.complete(Bytes::new(), out);
    }

    fn complete(&mut self, part: Bytes, out: &mut Vec<Bytes>) {
        let line = if self.held.is_empty() {
            part
        } else {
            self.held.extend_from_slice(&part);
            self.held.split().freeze()
        };
        let trimmed = line.trim_ascii();
        if !trimmed.is_empty() {
            out.push(line.slice_ref(trimmed));
        }
    }
}
