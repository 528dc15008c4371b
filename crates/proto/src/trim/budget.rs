//! Counts tokens against a limit, as late and as little as possible.
//!
//! A token is at least a byte. As long as the counted tokens and the uncounted bytes are together within the limit, no count is needed.
//! Only then is text counted, piece by piece as the tokeniser cuts it; the last pieces wait, because later text can change where they are
//! cut.

use crate::tokens;

/// How many pieces at the end can still change: letters and the start of a contraction (`don` `'t`), a run of spaces and the piece after
/// it.
const UNSURE: usize = 2;
/// Longest text without a final piece; a longer one is counted as it is. Only a single word can be that long.
const LONGEST: usize = 4096;

/// The limit and the tokens spent.
#[derive(Debug)]
pub(super) struct Budget {
    max: u64,
    /// Tokens of the text that was counted.
    used: u64,
    /// Segments that ended uncounted.
    closed: Vec<String>,
    /// Uncounted text of the current segment.
    tail: String,
    /// How many bytes of `tail` were granted.
    sent: usize,
}

/// How much of the text may pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// Further bytes that may pass.
    pub(super) bytes: usize,
    /// Whether the text continues behind these bytes, and so beyond the limit.
    pub(super) over: bool,
}

impl Budget {
    pub(super) fn new(max: u64) -> Self {
        Self { max, used: 0, closed: Vec::new(), tail: String::new(), sent: 0 }
    }

    /// Tokens of all granted text, by count where there is one, else by length.
    pub(super) fn counted(&self) -> u64 {
        let uncounted = self.closed.iter().map(String::len).sum::<usize>() + self.sent;
        self.max.min(self.used + tokens::estimate(uncounted as u64))
    }

    /// Adds text of the segment.
    pub(super) fn feed(&mut self, text: &str) -> Grant {
        self.tail.push_str(text);
        if self.all_text_fits() {
            return self.grant(self.tail.len(), false);
        }
        let sure = self.sure();
        self.spend(sure)
    }

    /// Completes the segment.
    pub(super) fn close(&mut self) -> Grant {
        let grant = if self.all_text_fits() {
            self.closed.push(self.tail.clone());
            self.grant(self.tail.len(), false)
        } else {
            self.spend(self.tail.len())
        };
        self.tail.clear();
        self.sent = 0;
        grant
    }

    /// Whether all text is within the limit however it is cut into tokens; counts closed segments only if it must.
    fn all_text_fits(&mut self) -> bool {
        let closed: usize = self.closed.iter().map(String::len).sum();
        if self.used + (closed + self.tail.len()) as u64 <= self.max {
            return true;
        }
        self.used += self.closed.drain(..).map(|text| tokens::count(&text)).sum::<u64>();
        self.used + self.tail.len() as u64 <= self.max
    }

    /// How many bytes of the tail are in pieces that no later text can change.
    fn sure(&self) -> usize {
        let sizes: Vec<usize> = tokens::pieces(&self.tail).map(str::len).collect();
        let sure = sizes[..sizes.len().saturating_sub(UNSURE)].iter().sum();
        if self.tail.len() - sure > LONGEST { self.tail.len() } else { sure }
    }

    /// Counts the first `bytes` bytes of the tail, which end with a piece.
    fn spend(&mut self, bytes: usize) -> Grant {
        let mut tail = std::mem::take(&mut self.tail);
        let mut done = 0;
        // The pieces of the whole tail: the final pieces alone could be cut in another way.
        for piece in tokens::pieces(&tail) {
            if done == bytes {
                break;
            }
            let size = tokens::size(piece);
            if self.used + size > self.max {
                let granted = done + tokens::prefix(piece, self.max - self.used);
                self.used = self.max;
                return self.grant(granted, true);
            }
            self.used += size;
            done += piece.len();
        }
        let left = self.max - self.used;
        let over = left == 0 && tail.len() > bytes;
        // As many bytes as there are tokens left always fit.
        let safe = bytes.saturating_add(usize::try_from(left).unwrap_or(usize::MAX)).min(tail.len());
        let grant = self.grant(tail.floor_char_boundary(safe), over);
        self.tail = tail.split_off(bytes);
        self.sent -= bytes;
        grant
    }

    fn grant(&mut self, bytes: usize, over: bool) -> Grant {
        let more = bytes.saturating_sub(self.sent);
        self.sent = self.sent.max(bytes);
        Grant { bytes: more, over }
    }
}
