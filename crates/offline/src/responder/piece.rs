//! Splits a text into pieces, the tokens of this crate: one per word, several for a long word.

/// The maximum length of a piece, bytes.
const PIECE: usize = 12;

/// The piece that begins at `from`: whitespace and the word after it.
pub(crate) fn piece(text: &str, from: usize) -> &str {
    let rest = &text[from..];
    let word = rest.find(|letter: char| !letter.is_whitespace()).unwrap_or(rest.len());
    let end = rest[word..].find(char::is_whitespace).map_or(rest.len(), |length| word + length);
    let mut end = end.min(PIECE);
    while !rest.is_char_boundary(end) {
        end += 1;
    }
    &rest[..end.min(rest.len())]
}

/// The number of pieces of a text.
pub(crate) fn count(text: &str) -> u64 {
    let (mut at, mut count) = (0, 0);
    while at < text.len() {
        at += piece(text, at).len();
        count += 1;
    }
    count
}

/// The first `pieces` pieces of a text.
pub(crate) fn cut(text: &str, pieces: u64) -> &str {
    let (mut at, mut left) = (0, pieces);
    while at < text.len() && left > 0 {
        at += piece(text, at).len();
        left -= 1;
    }
    &text[..at]
}

/// The pieces of an owned text.
pub(crate) struct Pieces {
    text: String,
    at: usize,
}

impl Pieces {
    pub(crate) fn new(text: String) -> Self {
        Self { text, at: 0 }
    }
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let piece = piece(&self.text, self.at);
        self.at += piece.len();
        Some(piece.to_owned()).filter(|piece| !piece.is_empty())
    }
}

/// A string as JSON.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("invariant: a string serialises")
}
