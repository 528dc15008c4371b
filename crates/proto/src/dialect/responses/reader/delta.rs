//! The hot path: cuts the piece out of a delta frame without parsing the frame.

use std::ops::Range;

use bytes::Bytes;

use super::super::wire::{part_field, piece_field};
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

/// Scans a flat delta object; `None` when its shape is not the usual one.
pub(super) fn scan(data: &Bytes, channel: Channel) -> Option<Delta> {
    let (piece_name, part_name) = (piece_field(channel).as_bytes(), part_field(channel).as_bytes());
    let (mut at, mut part, mut piece) = (None, 0, None);
    let mut scan = Scan::new(data);
    scan.expect(b'{').ok()?;
    loop {
        let key = scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        let key = &data[key.start..key.end];
        if scan.next_token()? == b'"' {
            let body = scan.string(false).ok()?;
            if key == piece_name {
                piece = Some(body.start..body.end);
            }
        } else {
            let start = scan.at();
            scan.skip()?;
            let value = &data[start..scan.at()];
            match key {
                b"output_index" => at = Some(number(value)?),
                _ if key == part_name => part = number(value)?,
                _ => {}
            }
        }
        match scan.next_token()? {
            b',' => scan.bump(),
            b'}' => break,
            _ => return None,
        }
    }
    scan.bump();
    let data = sound(data, piece?)?;
    scan.next_token().is_none().then_some(Delta { at, part, data })
}

/// Reads a delta object of any shape.
pub(super) fn parse(json: &Json, channel: Channel) -> Option<Delta> {
    let index = |name| json.get(name).and_then(|value| value.as_u64()).and_then(|value| u32::try_from(value).ok());
    let data = json.text(piece_field(channel))?;
    Some(Delta { at: index("output_index"), part: index(part_field(channel)).unwrap_or(0), data })
}

/// The piece, if it is UTF-8.
fn sound(data: &Bytes, piece: Range<usize>) -> Option<Text> {
    std::str::from_utf8(&data[piece.clone()]).ok()?;
    Some(Text::from_escaped(data.slice(piece)))
}

fn number(digits: &[u8]) -> Option<u32> {
    let digit = |sum: u32, byte: &u8| sum.checked_mul(10)?.checked_add(char::from(*byte).to_digit(10)?);
    digits.iter().try_fold(0, digit)
}
