//! Texts of others, made fit for people, clients and logs.

#[cfg(test)]
mod tests;

/// Shorter words are no tokens.
const TOKEN: usize = 20;
/// Beginnings of the tokens that we, the provider and services behind relays hand out, and of JSON Web Tokens.
const PREFIXES: [&str; 12] =
    ["eyJ", "sk-", "rt_", "ac_", "oaistb_", "pgk_", "pga_", "gsk_", "AIza", "xai-", "pplx-", "hf_"];

/// `text` at most `most` bytes long, without control characters and what turns the direction of text, and with `***` where something looks like a token.
pub fn clean(text: &str, most: usize) -> String {
    let text = short(text, 2 * most);
    let mut out = String::with_capacity(text.len());
    let mut bearer = false;
    for piece in text.split_inclusive(|c: char| !token_char(c)) {
        let word = piece.trim_end_matches(|c: char| !token_char(c));
        match token(word).or((bearer && word.len() >= TOKEN).then_some(0)) {
            Some(at) => out.extend([&word[..at], "***"]),
            None => out.push_str(word),
        }
        out.push_str(&piece[word.len()..]);
        bearer = word.eq_ignore_ascii_case("bearer");
    }
    short(&out, most)
}

/// `text` without control characters and what turns its direction, at most `most` bytes, cut at a character.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let c = if c.is_control() || turns(c) { ' ' } else { c };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}

/// Whether all that follows is shown in another direction: a terminal or page would show something else than is there.
fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+/=".contains(c)
}

/// Where a token begins in `word`: at its start, or after a sign inside it (`refresh_token=rt_...`).
fn token(word: &str) -> Option<usize> {
    let starts = |at: usize| at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric();
    let last = (word.len() + 1).checked_sub(TOKEN)?;
    (0..last).find(|at| starts(*at) && PREFIXES.iter().any(|prefix| word[*at..].starts_with(prefix)))
}
