//! The table of merges: which token two neighbouring tokens become.

/// Bits of a token's id.
const TOKEN: u32 = 18;
/// A free entry. No merge leads to token 0, which is a byte.
const FREE: u64 = 0;

/// A hash table with open addressing: each entry is two tokens and the merged token in 54 bits of one word; at most half full.
pub(super) struct Merges {
    words: Vec<u64>,
    /// The right shift that brings a hash below the table's size.
    shift: u32,
}

impl Merges {
    /// An empty table with room for `merges`.
    pub(super) fn with_capacity(merges: usize) -> Self {
        let size = (2 * merges).next_power_of_two();
        Self { words: vec![FREE; size], shift: u64::BITS - size.trailing_zeros() }
    }

    /// Adds the token that `left` and `right` become.
    pub(super) fn insert(&mut self, left: u32, right: u32, merged: u32) {
        let pair = pair(left, right);
        let mut at = self.first(pair);
        while self.words[at] != FREE {
            at = self.after(at);
        }
        self.words[at] = pair << TOKEN | u64::from(merged);
    }

    /// The token that `left` and `right` become.
    pub(super) fn get(&self, left: u32, right: u32) -> Option<u32> {
        let pair = pair(left, right);
        let mut at = self.first(pair);
        loop {
            let word = self.words[at];
            if word >> TOKEN == pair {
                return u32::try_from(word & ((1 << TOKEN) - 1)).ok().filter(|_| word != FREE);
            }
            if word == FREE {
                return None;
            }
            at = self.after(at);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves fewer bits than the table's size has")]
    fn first(&self, pair: u64) -> usize {
        // Fibonacci hashing: the high bits of a product with 2^64 divided by the golden ratio.
        (pair.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> self.shift) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.words.len() - 1)
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << TOKEN | u64::from(right)
}
