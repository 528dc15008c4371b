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
    /// Output index, where the frame names one.
    pub(super) at: Option<u32>,
    /// Part index.
    pub(super) part: u32,
    /// The piece, perhaps empty.
    pub(super) data: Text,
}

/// Where the contents of a delta frame lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeltaSpan {
    pub(super) at: Option<u32>,
    pub(super) part: u32,
    pub(super) piece: Range<usize>,
}

/// What a scan found.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) span: DeltaSpan,
    /// The values that the next frame will have others of, in their order.
    pub(super) holes: Vec<Hole>,
}

impl DeltaSpan {
    /// Cuts the piece out of the frame's data, which is used up so that nothing is counted or copied.
    pub(super) fn cut(self, mut data: Bytes) -> Delta {
        data.truncate(self.piece.end);
        data.advance(self.piece.start);
        Delta { at: self.at, part: self.part, data: Text::from_escaped(data) }
    }
}

/// Scans a flat delta object from `from`, behind its type; `None` when its shape is not the usual one.
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

/// Passes what stands before the next member; `false` at the end of the object.
fn next(scan: &mut Scan<'_>) -> Option<bool> {
    let more = match scan.next_token()? {
        b',' => true,
        b'}' => false,
        _ => return None,
    };
    scan.bump();
    Some(more)
}

/// What the value of `key` is when it differs from frame to frame.
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
