//! Token counts by OpenAI's o200k vocabulary, which all current models use.
//!
//! The vocabulary costs about 20 ms and 7 MB on first use and stays loaded, so callers use this module only when they need a count;
//! [`estimate`] is free.

mod merges;
mod request;
mod split;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use request::{Words, request, words};
use vocabulary::O200K;

/// The number of tokens in `text`. Loads the vocabulary.
pub fn count(text: &str) -> u64 {
    pieces(text).map(size).sum()
}

/// About how many tokens `bytes` bytes of text are: four to a token, rounded up. Loads nothing.
pub fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// The pieces that the tokeniser cuts `text` into before it looks for tokens; no token crosses a piece's end. Loads the
/// vocabulary.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    split::pieces(text)
}

/// The number of tokens in one piece.
pub(crate) fn size(piece: &str) -> u64 {
    O200K.count(piece.as_bytes()) as u64
}

/// The length in bytes of the first `tokens` tokens of `piece`, without the bytes of a character that would be cut.
pub(crate) fn prefix(piece: &str, tokens: u64) -> usize {
    let count = usize::try_from(tokens).unwrap_or(usize::MAX);
    let encoded = O200K.encode(piece.as_bytes());
    let bytes = encoded.into_iter().take(count).map(|token| O200K.length(token)).sum();
    piece.floor_char_boundary(bytes)
}
