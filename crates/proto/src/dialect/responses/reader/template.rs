//! The common bytes of consecutive delta frames: everything but the piece, its padding and its number. A frame with the same
//! common bytes has the same meaning, so its keys need not be read again.

use std::ops::Range;

use super::delta::{DeltaSpan, Scanned};
use crate::canon::Channel;
use crate::dialect::mismatches::Mismatches;
use crate::json::Scan;

/// The last frame's layout, as long as frames match it.
#[derive(Debug, Default)]
pub(super) struct Template {
    shape: Option<Shape>,
    mismatches: Mismatches,
}

#[derive(Debug)]
struct Shape {
    channel: Channel,
    at: Option<u32>,
    part: u32,
    /// The bytes around the holes, concatenated.
    fixed: Vec<u8>,
    /// For each hole, the end of the bytes before it in `fixed`, and the kind of its value.
    holes: Vec<(usize, HoleKind)>,
}

/// A value that differs from frame to frame.
#[derive(Debug)]
pub(super) struct Hole {
    pub(super) filling: HoleKind,
    /// The position of the value in its frame; a string includes its quotes.
    pub(super) span: Range<usize>,
}

/// The kind of value in a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoleKind {
    /// The piece, a string.
    Piece,
    /// A string that we ignore.
    String,
    /// A number that we ignore.
    Number,
}

impl Template {
    /// The contents of a frame that matches the layout.
    pub(super) fn find(&mut self, data: &[u8]) -> Option<(Channel, DeltaSpan)> {
        let shape = self.shape.as_ref()?;
        let span = shape.find(data)?;
        self.mismatches.reset();
        Some((shape.channel, span))
    }

    /// Learns the layout of a scanned frame that did not match.
    pub(super) fn learn(&mut self, data: &[u8], channel: Channel, scanned: &Scanned) {
        self.shape = self.mismatches.learns().then(|| Shape::of(data, channel, scanned));
    }
}

impl Shape {
    fn of(data: &[u8], channel: Channel, scanned: &Scanned) -> Self {
        let (mut fixed, mut holes) = (Vec::with_capacity(data.len()), Vec::with_capacity(scanned.holes.len()));
        let mut from = 0;
        for hole in &scanned.holes {
            fixed.extend_from_slice(&data[from..hole.span.start]);
            holes.push((fixed.len(), hole.filling));
            from = hole.span.end;
        }
        fixed.extend_from_slice(&data[from..]);
        Self { channel, at: scanned.span.at, part: scanned.span.part, fixed, holes }
    }

    fn find(&self, data: &[u8]) -> Option<DeltaSpan> {
        let mut scan = Scan::new(data);
        let (mut from, mut piece) = (0, None);
        for (end, filling) in &self.holes {
            scan.pass(&self.fixed[from..*end])?;
            from = *end;
            match filling {
                HoleKind::Piece => {
                    let body = scan.string(false).ok()?;
                    piece = Some(body.start..body.end);
                }
                HoleKind::String => _ = scan.string(false).ok()?,
                HoleKind::Number => _ = scan.small()?,
            }
        }
        scan.pass(&self.fixed[from..])?;
        let piece = piece.filter(|_| scan.peek().is_none())?;
        let sound = std::str::from_utf8(&data[piece.clone()]).is_ok();
        sound.then_some(DeltaSpan { at: self.at, part: self.part, piece })
    }
}

#[cfg(test)]
mod tests;
