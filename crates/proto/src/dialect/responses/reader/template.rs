//! What consecutive delta frames have in common: all but the piece itself, its padding and its number. A frame with the same
//! bytes around them means the same, and its keys need not be read again.

use std::ops::Range;

use super::delta::{DeltaSpan, Scanned};
use crate::canon::Channel;
use crate::json::Scan;

/// Frames that may differ in a row before most of them are no longer learned from: that costs more than reading them.
const MISSES: u32 = 8;
/// Then only one frame of so many is learned from, in case the layout has settled.
const PAUSE: u32 = 32;

/// The last frame's layout, while frames keep to it.
#[derive(Debug, Default)]
pub(super) struct Template {
    shape: Option<Shape>,
    misses: u32,
}

#[derive(Debug)]
struct Shape {
    channel: Channel,
    at: Option<u32>,
    part: u32,
    /// What stands around the holes, one stretch after the other.
    fixed: Vec<u8>,
    /// Where in `fixed` the stretch before each hole ends, and what fills the hole.
    holes: Vec<(usize, HoleKind)>,
}

/// A value that differs from frame to frame.
#[derive(Debug)]
pub(super) struct Hole {
    pub(super) filling: HoleKind,
    /// Where the value lies in its frame, a string with its quotes.
    pub(super) span: Range<usize>,
}

/// What fills a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HoleKind {
    /// The piece, a string.
    Piece,
    /// A string that says nothing to us.
    String,
    /// A number that says nothing to us.
    Number,
}

impl Template {
    /// The contents of a frame that keeps to the layout.
    pub(super) fn find(&mut self, data: &[u8]) -> Option<(Channel, DeltaSpan)> {
        let shape = self.shape.as_ref()?;
        let span = shape.find(data)?;
        self.misses = 0;
        Some((shape.channel, span))
    }

    /// Takes over the layout of a frame that did not, as it was scanned.
    pub(super) fn learn(&mut self, data: &[u8], channel: Channel, scanned: &Scanned) {
        self.misses = self.misses.wrapping_add(1);
        let learns = self.misses <= MISSES || self.misses.is_multiple_of(PAUSE);
        self.shape = learns.then(|| Shape::of(data, channel, scanned));
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
