//! The hot path: cuts the piece out of a delta frame without parsing the frame.

use std::ops::Range;

use bytes::{Buf, Bytes};

use super::super::wire::{part_index_field, piece_field};
use super::template::{Hole, HoleKind};
use crate::canon::Channel;
use crate::json::Scan;
use crate::text::{Json, Text};

/// A delta frame's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delta {
    /// Output index, if the frame has one.
    pub(super) at: Option<u32>,
    /// Part index.
    pub(super) part: u32,
    /// The piece; may be empty.
    pub(super) data: Text,
}

/// The positions of a delta frame's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeltaSpan {
    pub(super) at: Option<u32>,
    pub(super) part: u32,
    pub(super) piece: Range<usize>,
}

/// The result of a scan.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) span: DeltaSpan,
    /// The values that differ in the next frame, in their order.
    pub(super) holes: Vec<Hole>,
}

impl DeltaSpan {
    /// Cuts the piece out of the frame's data; consumes the data, so that it costs no reference count and no copy.
    pub(super) fn cut(self, mut data: Bytes) -> Delta {
        data.truncate(self.piece.end);
        data.advance(self.piece.start);
        Delta { at: self.at, part: self.part, data: Text::from_escaped(data) }
    }
}

/// Scans a flat delta object from `from`, the position after its type; `None` for an unusual shape.
pub(super) fn scan(data: &[u8], from: usize, channel: Channel) -> Option<Scanned> {
    let (piece_name, part_name) = (piece_field(channel).as_bytes(), part_index_field(channel).as_bytes());
    let (mut at, mut part, mut piece) = (None, 0, None);
    let mut holes = Vec::new();
    let mut scan = Scan::from(data, from);
    while next(&mut scan)? {
        let key = scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        let key = &data[key.start..key.end];
        let first = scan.next_token()?;
        let start = scan.at();
        match first {
            b'"' => {
                let body = scan.string(false).ok()?;
                if key == piece_name {
                    piece = Some(body.start..body.end);
                }
            }
            b'0'..=b'9' => {
                let number = scan.small()?;
                if key == b"output_index" {
                    at = Some(number);
                } else if key == part_name {
                    part = number;
                }
            }
            _ => scan.skip()?,
        }
        let filling = filling(key, piece_name, first);
        holes.extend(filling.map(|filling| Hole { filling, span: start..scan.at() }));
    }
    let piece = piece?;
    let sound = std::str::from_utf8(&data[piece.clone()]).is_ok() && scan.next_token().is_none();
    sound.then_some(Scanned { span: DeltaSpan { at, part, piece }, holes })
}

/// Skips the bytes before the next member; `false` at the end of the object.
fn next(scan: &mut Scan<'_>) -> Option<bool> {
    let more = match scan.next_token()? {
        b',' => true,
        b'}' => false,
        _ => return None,
    };
    scan.bump();
    Some(more)
}

/// The kind of `key`'s value if the value differs from frame to frame.
fn filling(key: &[u8], piece: &[u8], first: u8) -> Option<HoleKind> {
    match (key, first) {
        (key, b'"') if key == piece => Some(HoleKind::Piece),
        (b"obfuscation", b'"') => Some(HoleKind::String),
        (b"sequence_number", b'0'..=b'9') => Some(HoleKind::Number),
        _ => None,
    }
}

/// Reads a delta object of any shape.
pub(super) fn parse(json: &Json, channel: Channel) -> Option<Delta> {
    let index = |name| json.get(name).and_then(|value| value.as_u64()).and_then(|value| u32::try_from(value).ok());
    let data = json.text(piece_field(channel))?;
    Some(Delta { at: index("output_index"), part: index(part_index_field(channel)).unwrap_or(0), data })
}
