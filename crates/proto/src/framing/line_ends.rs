//! Characters that some clients read as the end of a line: U+0085, U+2028 and U+2029. Python's `str.splitlines`, with which clients cut
//! streams into lines, splits there. JSON may hold these characters raw inside strings, so the gateway escapes them in its own frames.

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};
use memchr::memmem;

/// Escapes these characters in the JSON of `out` from byte `from` on. The bytes of `passed`, a frame that is passed on as it came, do not
/// change.
pub fn escape(out: &mut BytesMut, from: usize, passed: Option<&[u8]>) {
    if next(&out[from..]).is_none() {
        return;
    }
    let written = out.split_off(from);
    let found = passed.and_then(|passed| memmem::find(&written, passed).map(|at| at..at + passed.len()));
    let Some(passed) = found else { return append(&written, out) };
    append(&written[..passed.start], out);
    out.put_slice(&written[passed.clone()]);
    append(&written[passed.end..], out);
}

fn append(mut rest: &[u8], out: &mut BytesMut) {
    while let Some((at, length, escaped)) = next(rest) {
        out.put_slice(&rest[..at]);
        out.put_slice(escaped);
        rest = &rest[at + length..];
    }
    out.put_slice(rest);
}

/// Position, length and escape of the first such character.
fn next(bytes: &[u8]) -> Option<(usize, usize, &'static [u8])> {
    memchr::memchr2_iter(0xC2, 0xE2, bytes).find_map(|at| match bytes[at..] {
        [0xC2, 0x85, ..] => Some((at, 2, &br"\u0085"[..])),
        [0xE2, 0x80, 0xA8, ..] => Some((at, 3, &br"\u2028"[..])),
        [0xE2, 0x80, 0xA9, ..] => Some((at, 3, &br"\u2029"[..])),
        _ => None,
    })
}
