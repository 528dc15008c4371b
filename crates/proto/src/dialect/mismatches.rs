//! When a reader that compares each frame with the last one learns from a frame that differs.

/// Mismatches in a row after which most frames teach nothing: some servers pad each frame with other bytes, and learning costs more than
/// reading the frame.
pub(super) const MISSES: u32 = 8;
/// After that, one frame in this many teaches, in case the form has settled.
pub(super) const PAUSE: u32 = 32;

/// The frames in a row that did not match.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mismatches(u32);

impl Mismatches {
    /// Notes a frame that matches.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }

    /// Notes a frame that does not match; `true` if the reader should learn from it.
    pub(super) fn learns(&mut self) -> bool {
        self.0 = self.0.wrapping_add(1);
        self.0 <= MISSES || self.0.is_multiple_of(PAUSE)
    }
}
