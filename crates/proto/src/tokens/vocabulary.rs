//! The o200k vocabulary and its byte-pair encoding.
//!
//! `o200k_base.pairs` holds the 256 tokens of one byte in the order of their ids, then each further token as the ids of the
//! two tokens that it is merged from, three bytes each (little-endian). A token has exactly one such pair, because a merge never
//! crosses the ends of the token that it leads to. So the pairs alone decide every encoding, in 1.2 MB instead of the
//! 32 MB of automata that a search by bytes needs. The tests rebuild OpenAI's own file from the pairs and compare its SHA-256.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::LazyLock;

use super::merges::Merges;

/// The vocabulary of all current models. Its first use builds the table, which takes a few milliseconds and 4 MiB.
pub(super) static O200K: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::parse(include_bytes!("o200k_base.pairs")));

/// Above this a heap finds the next merge; below it a scan is quicker.
const SCANNED: usize = 96;
/// A longer piece is encoded in windows of this many bytes, so that the memory for it stays bounded.
const WINDOW: usize = 16 << 10;
/// Tokens of a window that the next window encodes again, because what follows may change them.
const OVERLAP: usize = 16;

/// Tokens by their merges.
pub(super) struct Vocabulary {
    /// The token of each byte.
    bytes: [u32; 256],
    merges: Merges,
    /// Bytes of each token.
    lengths: Vec<u8>,
}

/// A token of an encoding under way.
#[derive(Clone, Copy)]
struct Part {
    token: u32,
    /// The token that this one and the next would become.
    merged: Option<u32>,
}

impl Vocabulary {
    fn parse(data: &[u8; 1_198_708]) -> Self {
        let (singles, pairs) = data.split_at(256);
        let pairs = pairs.as_chunks::<6>().0;
        let mut bytes = [0; 256];
        for (token, byte) in (0..).zip(singles) {
            bytes[usize::from(*byte)] = token;
        }
        let mut lengths = vec![1_u8; 256];
        let mut merges = Merges::with_capacity(pairs.len());
        for (token, [a, b, c, x, y, z]) in (256..).zip(pairs) {
            let (left, right) = (u32::from_le_bytes([*a, *b, *c, 0]), u32::from_le_bytes([*x, *y, *z, 0]));
            lengths.push(lengths[left as usize] + lengths[right as usize]);
            merges.insert(left, right, token);
        }
        Self { bytes, merges, lengths }
    }

    /// The length of a token in bytes.
    pub(super) fn length(&self, token: u32) -> usize {
        usize::from(self.lengths[token as usize])
    }

    /// The number of tokens in one piece.
    pub(super) fn count(&self, piece: &[u8]) -> usize {
        if piece.len() > WINDOW { self.encode(piece).len() } else { self.parts(piece).len() }
    }

    /// The tokens of one piece.
    pub(super) fn encode(&self, piece: &[u8]) -> Vec<u32> {
        let mut tokens = Vec::new();
        let (mut start, mut end) = (0, 0);
        while end < piece.len() {
            end = piece.len().min(end.max(start) + WINDOW);
            let mut window = self.follow(&mut tokens, &mut start, &piece[..end]);
            if end < piece.len() {
                window.truncate(window.len().saturating_sub(OVERLAP).max(1));
            }
            start += window.iter().map(|token| self.length(*token)).sum::<usize>();
            tokens.append(&mut window);
        }
        tokens
    }

    /// The tokens of `bytes` from `start` on. They must continue `tokens`: an encoding is right where each two neighbours are the encoding
    /// of their own bytes. Removes tokens from the end of `tokens`, and moves `start` back, until that is true.
    fn follow(&self, tokens: &mut Vec<u32>, start: &mut usize, bytes: &[u8]) -> Vec<u32> {
        loop {
            let window: Vec<u32> = self.parts(&bytes[*start..]).iter().map(|part| part.token).collect();
            let (Some(last), Some(first)) = (tokens.last().copied(), window.first().copied()) else { return window };
            let both = &bytes[*start - self.length(last)..*start + self.length(first)];
            if self.parts(both).iter().map(|part| part.token).eq([last, first]) {
                return window;
            }
            tokens.pop();
            *start -= self.length(last);
        }
    }

    fn parts(&self, bytes: &[u8]) -> Vec<Part> {
        let mut parts: Vec<Part> =
            bytes.iter().map(|byte| Part { token: self.bytes[usize::from(*byte)], merged: None }).collect();
        for at in 1..parts.len() {
            parts[at - 1].merged = self.merges.get(parts[at - 1].token, parts[at].token);
        }
        if parts.len() > SCANNED {
            self.merge_by_heap(&mut parts);
        } else {
            self.merge_by_scan(&mut parts);
        }
        parts
    }

    /// Merges the lowest token first, the leftmost of equals, as byte-pair encoding requires.
    fn merge_by_scan(&self, parts: &mut Vec<Part>) {
        let lowest = |parts: &[Part]| {
            let merges = parts.iter().enumerate().filter_map(|(at, part)| Some((part.merged?, at)));
            merges.min()
        };
        while let Some((token, at)) = lowest(parts) {
            parts.remove(at + 1);
            let merged = parts.get(at + 1).and_then(|next| self.merges.get(token, next.token));
            parts[at] = Part { token, merged };
            if let Some(before) = at.checked_sub(1) {
                parts[before].merged = self.merges.get(parts[before].token, token);
            }
        }
    }

    /// The same for many parts. A merge leaves its right part behind as a gap.
    fn merge_by_heap(&self, parts: &mut Vec<Part>) {
        let mut links = Links::new(parts.len());
        let merges = parts.iter().enumerate().filter_map(|(at, part)| Some(Reverse((part.merged?, at))));
        let mut heap: BinaryHeap<_> = merges.collect();
        while let Some(Reverse((token, at))) = heap.pop() {
            // One of the two parts was merged with another part in the meantime.
            if parts[at].merged != Some(token) {
                continue;
            }
            parts[links.next[at]].merged = None;
            links.remove_after(at);
            let next = links.next[at];
            parts[at] = Part { token, merged: parts.get(next).and_then(|next| self.merges.get(token, next.token)) };
            heap.extend(parts[at].merged.map(|merged| Reverse((merged, at))));
            if let Some(before) = links.before(at) {
                parts[before].merged = self.merges.get(parts[before].token, token);
                heap.extend(parts[before].merged.map(|merged| Reverse((merged, before))));
            }
        }
        links.compact(parts);
    }
}

/// The remaining parts, as a list: the neighbours of each part by index.
struct Links {
    next: Vec<usize>,
    /// The index of the previous part plus one; 0 for none.
    previous: Vec<usize>,
}

impl Links {
    fn new(parts: usize) -> Self {
        Self { next: (1..=parts).collect(), previous: (0..=parts).collect() }
    }

    fn before(&self, at: usize) -> Option<usize> {
        self.previous[at].checked_sub(1)
    }

    fn remove_after(&mut self, at: usize) {
        let after = self.next[self.next[at]];
        self.next[at] = after;
        self.previous[after] = at + 1;
    }

    fn compact(&self, parts: &mut Vec<Part>) {
        let mut length = 0;
        let mut at = 0;
        while at < parts.len() {
            parts[length] = parts[at];
            length += 1;
            at = self.next[at];
        }
        parts.truncate(length);
    }
}
