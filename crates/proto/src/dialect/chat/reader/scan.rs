//! The fast path for the most common frame: a chunk with a piece of text and nothing else.
//!
//! The text is sliced from the bytes between two landmarks that cannot occur inside a JSON string, because a quote in a string is escaped.
//! Any chunk that differs from this shape takes the full parse.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;

use crate::json::Scan;
use crate::text::Text;

static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""delta":{"content":"#));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason":null"#));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage":{"#));
static INDEX: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""index":"#));

/// The text of a chunk that only has a piece of text of the first choice; `None` for every other chunk.
pub(super) fn content(data: &Bytes) -> Option<Text> {
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
    let text = data.slice(body.start..body.end);
    (plain && std::str::from_utf8(&text).is_ok()).then(|| Text::from_escaped(text))
}

/// Whether every index in `part` is that of the first choice.
fn first(part: &[u8]) -> bool {
    let mut values = INDEX.find_iter(part).map(|at| &part[at + INDEX.needle().len()..]);
    values.all(|value| value.first() == Some(&b'0') && !value.get(1).is_some_and(u8::is_ascii_digit))
}
