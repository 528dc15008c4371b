//! Token counts by OpenAI's o200k vocabulary, which all current models use.
//!
//! The vocabulary costs about 57 ms and 67 MB on first use and stays loaded, so nothing here is called before a count is
//! really needed; [`estimate`] is free.

mod request;
#[cfg(test)]
mod tests;

use bpe_openai::o200k_base;

pub use request::{Words, request, words};

/// The number of tokens in `text`. Loads the vocabulary.
pub fn count(text: &str) -> u64 {
    o200k_base().count(text) as u64
}

/// About how many tokens `bytes` bytes of text are: four to a token, rounded up. Loads nothing.
pub fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// The pieces that the tokeniser cuts `text` into before it looks for tokens; no token crosses a piece's end. Loads the
/// vocabulary.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    o200k_base().split(text)
}

/// The number of tokens in one piece.
pub(crate) fn size(piece: &str) -> u64 {
    o200k_base().bpe.count(piece.as_bytes()) as u64
}

/// How many bytes of `piece` its first `tokens` tokens are, less what would cut a character.
pub(crate) fn prefix(piece: &str, tokens: u64) -> usize {
    let bpe = &o200k_base().bpe;
    let kept = usize::try_from(tokens).unwrap_or(usize::MAX);
    let encoded = bpe.encode_via_backtracking(piece.as_bytes());
    let bytes = encoded.into_iter().take(kept).map(|token| bpe.token_len(token)).sum();
    piece.floor_char_boundary(bytes)
}
