//! The hot path: cuts the piece out of a `content_block_delta` without parsing the frame.

use std::ops::Range;

use bytes::{Buf, Bytes};

use super::super::wire::Piece;
use crate::json::Scan;
use crate::text::Text;

/// The positions of a delta frame's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeltaSpan {
    /// The index of the content block.
    pub(super) index: u32,
    /// The kind of the piece.
    pub(super) piece: Piece,
    text: Range<usize>,
}

impl DeltaSpan {
    /// Cuts the piece out of the frame's data; consumes the data, so that it costs no reference count and no copy.
    pub(super) fn cut(self, mut data: Bytes) -> Text {
        data.truncate(self.text.end);
        data.advance(self.text.start);
        Text::from_escaped(data)
    }
}

/// Scans a delta event; `None` for another event or an unusual shape.
pub(super) fn delta(data: &[u8]) -> Option<DeltaSpan> {
    let (mut index, mut found, mut named) = (None, None, false);
    let mut scan = Scan::new(data);
    scan.expect(b'{').ok()?;
    loop {
        let key = scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        let next = scan.next_token()?;
        match &data[key.start..key.end] {
            b"type" => {
                let name = scan.string(false).ok()?;
                named = &data[name.start..name.end] == b"content_block_delta";
                if !named {
                    return None;
                }
            }
            b"index" if next.is_ascii_digit() => index = Some(scan.small()?),
            b"delta" if next == b'{' => found = Some(piece(data, &mut scan)?),
            _ => scan.skip()?,
        }
        match scan.next_token()? {
            b',' => scan.bump(),
            b'}' => break,
            _ => return None,
        }
    }
    scan.bump();
    let (piece, text) = found.filter(|_| named && scan.next_token().is_none())?;
    std::str::from_utf8(&data[text.clone()]).ok()?;
    Some(DeltaSpan { index: index?, piece, text })
}

/// Scans the `delta` object.
fn piece(data: &[u8], scan: &mut Scan<'_>) -> Option<(Piece, Range<usize>)> {
    let (mut kind, mut text) = (None, None);
    scan.expect(b'{').ok()?;
    loop {
        let key = scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        if scan.next_token()? == b'"' {
            let body = scan.string(false).ok()?;
            let (key, value) = (&data[key.start..key.end], body.start..body.end);
            if key == b"type" {
                kind = Piece::ALL.into_iter().find(|piece| piece.name().as_bytes() == &data[value.clone()]);
                kind?;
            } else if let Some(piece) = Piece::ALL.into_iter().find(|piece| piece.field().as_bytes() == key) {
                text = Some((piece, value));
            }
        } else {
            scan.skip()?;
        }
        match scan.next_token()? {
            b',' => scan.bump(),
            b'}' => break,
            _ => return None,
        }
    }
    scan.bump();
    text.filter(|(piece, _)| Some(*piece) == kind)
}
