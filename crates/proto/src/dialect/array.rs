//! A stream that comes as one JSON array: yields each element as soon as it is complete.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// Splits an array that arrives in chunks into its elements.
#[derive(Debug)]
pub(super) struct Splitter {
    limit: usize,
    /// The unfinished element.
    held: BytesMut,
    depth: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the array.
    Before,
    /// Between elements.
    Between,
    /// In an element.
    Value,
    /// In a string of an element; `true` after a backslash.
    String(bool),
    /// After the array.
    After,
}

impl Splitter {
    /// A splitter that refuses elements over `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: BytesMut::new(), depth: 0, state: State::Before }
    }

    /// Whether the array is closed.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::After
    }

    /// Reads one chunk and appends the elements that it completes; `None` when the input is not an array of objects.
    pub(super) fn push(&mut self, chunk: &[u8], out: &mut Vec<Bytes>) -> Option<()> {
        let mut at = 0;
        while at < chunk.len() {
            let byte = chunk[at];
            match self.state {
                State::After => return Some(()),
                State::String(false) => {
                    let end = memchr2(b'"', b'\\', &chunk[at..]).unwrap_or(chunk.len() - at);
                    self.keep(&chunk[at..at + end])?;
                    at += end;
                    let Some(&byte) = chunk.get(at) else { return Some(()) };
                    self.state = if byte == b'"' { State::Value } else { State::String(true) };
                    self.keep(&[byte])?;
                }
                State::String(true) => {
                    self.state = State::String(false);
                    self.keep(&[byte])?;
                }
                State::Value => self.value(byte, out)?,
                State::Before | State::Between => self.outside(byte)?,
            }
            at += 1;
        }
        Some(())
    }

    fn outside(&mut self, byte: u8) -> Option<()> {
        self.state = match (self.state, byte) {
            (state, b' ' | b'\t' | b'\r' | b'\n') => state,
            (State::Before, b'[') | (State::Between, b',') => State::Between,
            (State::Between, b']') => State::After,
            (State::Between, b'{') => {
                self.depth = 1;
                self.keep(b"{")?;
                State::Value
            }
            _ => return None,
        };
        Some(())
    }

    fn value(&mut self, byte: u8, out: &mut Vec<Bytes>) -> Option<()> {
        self.keep(&[byte])?;
        match byte {
            b'"' => self.state = State::String(false),
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.state = State::Between;
                    out.push(self.held.split().freeze());
                }
            }
            _ => {}
        }
        Some(())
    }

    fn keep(&mut self, bytes: &[u8]) -> Option<()> {
        self.held.extend_from_slice(bytes);
        (self.held.len() <= self.limit).then_some(())
    }
}
