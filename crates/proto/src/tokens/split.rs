//! Cuts a text into the pieces that no token crosses.

use std::sync::LazyLock;

use regex_automata::meta::Regex;
use regex_automata::{Anchored, Input};

/// OpenAI's pattern of o200k_base without its negative look-ahead, which makes a regular expression slow: `\s+(?!\S)` is the second pattern
/// here, whose last character is not part of the piece, and `\s+$` in the first. (As in GitHub's `bpe-openai`, MIT.)
const PATTERNS: [&str; 3] = [
    concat!(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+$",
    ),
    r"\s+\s",
    r"\s+",
];
/// The pattern that ends with a character of the next piece.
const LOOKS_AHEAD: usize = 1;

static PATTERN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new_many(&PATTERNS).expect("invariant: the patterns are constants"));

/// The pieces of `text`, which follow one another without a gap.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let found = PATTERN.find(Input::new(rest).anchored(Anchored::Yes))?;
        let mut end = found.end();
        if found.pattern().as_usize() == LOOKS_AHEAD {
            end = rest[..end].char_indices().next_back()?.0;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}
