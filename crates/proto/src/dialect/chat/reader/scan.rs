//! The fast path for the most common frame: a chunk with a piece of text and nothing else.
//!
//! The text is sliced from the bytes between two landmarks that cannot occur inside a JSON string, because a quote in a string is escaped.
//! Any chunk that differs from this shape takes the full parse.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::dialect::mismatches::Mismatches;
use crate::json::Scan;
use crate::text::Text;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""delta":{"content":"#));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason":null"#));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage":{"#));
static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""index":"#));

/// The bytes around the text of the last chunk that was only a piece of text. A chunk with the same bytes around its text is one too.
#[derive(Debug, Default)]
pub(super) struct TextChunks {
    /// The bytes before the text, up to `split`, and those after it.
    around: Vec<u8>,
    split: usize,
    mismatches: Mismatches,
}

impl TextChunks {
    /// The text of a chunk that only has a piece of text of the first choice; `None` for every other chunk.
    pub(super) fn content(&mut self, data: &Bytes) -> Option<Text> {
        if let Some(span) = self.find(data) {
            self.mismatches.reset();
            return text(data, span);
        }
        let span = find_content(data)?;
        if self.mismatches.learns() {
            self.split = span.start - 1;
            self.around.clear();
            self.around.extend_from_slice(&data[..self.split]);
            self.around.extend_from_slice(&data[span.end + 1..]);
        }
        text(data, span)
    }

    /// The position of the text in a chunk like the last one.
    pub(super) fn find(&self, data: &[u8]) -> Option<Range<usize>> {
        if self.around.is_empty() {
            return None;
        }
        let (before, after) = self.around.split_at(self.split);
        let mut scan = Scan::new(data);
        scan.pass(before)?;
        let body = scan.string(false).ok()?;
        (body.end > body.start && data[scan.at()..] == *after).then_some(body.start..body.end)
    }
}

/// The text, if it is UTF-8.
fn text(data: &Bytes, span: Range<usize>) -> Option<Text> {
    let text = data.slice(span);
    std::str::from_utf8(&text).is_ok().then(|| Text::from_escaped(text))
}

/// The position of the text inside its quotes, found by landmarks.
fn find_content(data: &[u8]) -> Option<Range<usize>> {
    let start = DELTA.find(data)? + DELTA.needle().len();
    let mut scan = Scan::from(data, start);
    let body = scan.string(false).ok()?;
    let (head, tail) = (&data[..start], &data[scan.at()..]);
    let plain = body.end > body.start
        && tail.starts_with(b"}")
        && data.ends_with(b"}")
        && FINISH.find(tail).or_else(|| FINISH.find(head)).is_some()
        && USAGE.find(tail).or_else(|| USAGE.find(head)).is_none()
        && first(head)
        && first(tail);
    plain.then_some(body.start..body.end)
}

/// Whether every index in `part` is that of the first choice.
fn first(part: &[u8]) -> bool {
    let mut values = INDEX.find_iter(part).map(|at| &part[at + INDEX.needle().len()..]);
    values.all(|value| value.first() == Some(&b'0') && !value.get(1).is_some_and(u8::is_ascii_digit))
}
