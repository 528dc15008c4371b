//! Characters outside the basic plane that an upstream cut in two: `\ud83d` at the end of one delta, `\ude00` at the start of the next. The
//! halves are joined before any code reads the plain text, which cannot hold half characters.

use bytes::{Bytes, BytesMut};

use crate::text::Text;

/// Length of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// `data` with the previous half in front; a new half at its end is removed and stored in `half`.
pub(super) fn join(half: &mut Bytes, data: &Text) -> Text {
    let escaped = data.escaped();
    let joined = if half.is_empty() {
        escaped.clone()
    } else {
        let mut joined = BytesMut::from(&half[..]);
        joined.extend_from_slice(escaped);
        joined.freeze()
    };
    let end = if ends_with_half(&joined) { joined.len() - ESCAPE } else { joined.len() };
    *half = joined.slice(end..);
    Text::from_escaped(joined.slice(..end))
}

/// Whether the last escape is the first half of a pair.
fn ends_with_half(escaped: &[u8]) -> bool {
    let Some(start) = escaped.len().checked_sub(ESCAPE) else { return false };
    let (before, last) = escaped.split_at(start);
    let high = matches!(last, [b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _]);
    let slashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    high && slashes % 2 == 0
}
