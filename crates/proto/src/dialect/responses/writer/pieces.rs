//! A frame that passes in pieces; it is closed properly when its rest never comes.

use bytes::{BufMut, BytesMut};

use crate::json::closer::Closer;

/// The part of the frame that has passed.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    value: Option<Closer>,
}

impl Pieces {
    /// Adds the next piece; the first piece holds all bytes before the data.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        match &mut self.value {
            Some(value) => value.feed(piece),
            None => self.value = Some(start(piece)),
        }
    }

    /// Ends the frame. A client must see the failure that follows, and a frame with half a JSON value would hide the failure behind
    /// a parse error; so the value is closed first.
    pub(super) fn close_truncated(&self, out: &mut BytesMut) {
        let closing = self.value.as_ref().and_then(Closer::closing);
        out.put_slice(&closing.unwrap_or_default());
        out.put_slice(b"\n\n");
    }
}

fn start(piece: &[u8]) -> Closer {
    let mut closer = Closer::default();
    let mut rest = piece;
    while let Some(end) = memchr::memchr2(b'\n', b'\r', rest).filter(|_| !rest.starts_with(b"data:")) {
        rest = &rest[end + 1..];
    }
    closer.feed(rest.strip_prefix(b"data:").unwrap_or(rest));
    closer
}
