//! The fields of one complete frame.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::{Extent, Frame};

/// Reads the fields of one whole frame; `None` when it has no data and so no meaning.
pub fn parse(raw: Bytes) -> Option<Frame> {
    let mut event = 0..0;
    let mut data = Data::None;
    let mut at = 0;
    while at < raw.len() {
        let length = memchr2(b'\n', b'\r', &raw[at..]).unwrap_or(raw.len() - at);
        let line = &raw[at..at + length];
        at += length + 1;
        if let Some(value) = field(line, b"data") {
            data.add(&raw, value);
        } else if let Some(value) = field(line, b"event") {
            event = at - 1 - value.len()..at - 1;
        }
    }
    let data = data.finish()?;
    Some(Frame { raw, event, data, extent: Extent::Whole })
}

/// The value of `line` when its field is `name`: the bytes after the colon, without one leading space.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.split_first() {
        None => Some(rest),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

/// The data lines so far: nearly always a single line, which is not copied.
enum Data {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Data {
    fn add(&mut self, raw: &Bytes, line: &[u8]) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(raw.slice_ref(line)),
            Self::One(first) => {
                let mut joined = BytesMut::with_capacity(raw.len());
                joined.extend_from_slice(&first);
                Self::Many(append(joined, line))
            }
            Self::Many(joined) => Self::Many(append(joined, line)),
        };
    }

    fn finish(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Many(joined) => Some(joined.freeze()),
        }
    }
}

fn append(mut joined: BytesMut, line: &[u8]) -> BytesMut {
    joined.extend_from_slice(b"\n");
    joined.extend_from_slice(line);
    joined
}
