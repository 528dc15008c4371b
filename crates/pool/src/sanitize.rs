//! Sanitises texts from outside for people, clients and logs.

#[cfg(test)]
mod tests;

use crate::Secret;

/// Least length of a token, bytes.
const TOKEN: usize = 20;
/// Prefixes of tokens that we, the provider and services behind relays issue, and of JSON Web Tokens.
const PREFIXES: [&str; 12] =
    ["eyJ", "sk-", "rt_", "ac_", "oaistb_", "pgk_", "pga_", "gsk_", "AIza", "xai-", "pplx-", "hf_"];

/// `text` without control characters and direction marks, with `***` instead of anything like a token, at most `most` bytes.
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

/// Least length of a secret that is searched for. Shorter ones would match ordinary words.
const FINDABLE: usize = 8;

/// Replaces a secret by `***` in a text of its receiver: the secret as it is, as in a URL and as in JSON, and a prefix of at least
/// [`FINDABLE`] bytes at the end of the text.
pub(crate) fn hide(text: &mut String, secret: &Secret) {
    if secret.expose().len() < FINDABLE {
        return;
    }
    for form in forms(secret.expose()) {
        if text.contains(&form) {
            *text = text.replace(&form, "***");
        }
        let cut = (FINDABLE..form.len()).rev().find(|end| form.get(..*end).is_some_and(|start| text.ends_with(start)));
        if let Some(cut) = cut {
            text.truncate(text.len() - cut);
            text.push_str("***");
        }
    }
}

/// A body without a secret. JSON may hold needless escapes (`\/`, `\u002B`). So the JSON is also searched without these escapes, and
/// that form replaces the body when it holds the secret.
pub(crate) fn hidden(body: &[u8], secret: &Secret) -> String {
    let without = |mut text: String| {
        let before = text.clone();
        hide(&mut text, secret);
        (text != before).then_some(text)
    };
    let escapes = body.contains(&b'\\');
    let json = escapes.then(|| serde_json::from_slice::<serde_json::Value>(body).ok()).flatten();
    let text = String::from_utf8_lossy(body).into_owned();
    json.and_then(|json| without(json.to_string())).or_else(|| without(text.clone())).unwrap_or(text)
}

/// The forms in which a secret may be written.
fn forms(secret: &str) -> [String; 5] {
    let escaped = |escape: fn(u8) -> String| -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        secret.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { escape(byte) }).collect()
    };
    let json = serde_json::to_string(secret).expect("invariant: a text serialises");
    let json = json[1..json.len() - 1].to_owned();
    let slashes = json.replace('/', "\\/");
    [secret.to_owned(), escaped(|byte| format!("%{byte:02X}")), escaped(|byte| format!("%{byte:02x}")), json, slashes]
}

/// `text` without control characters and direction marks, at most `most` bytes, cut at a character.
pub(crate) fn short(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        let c = if c.is_control() || changes_direction(c) { ' ' } else { c };
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}

/// Whether a character changes the direction of the text after it, so that a terminal or page would show another text.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.~+/=".contains(c)
}

/// Where a token begins in `word`: at its start, or after a punctuation mark (`refresh_token=rt_...`).
fn token(word: &str) -> Option<usize> {
    let starts = |at: usize| at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric();
    let last = (word.len() + 1).checked_sub(TOKEN)?;
    (0..last).find(|at| starts(*at) && PREFIXES.iter().any(|prefix| word[*at..].starts_with(prefix)))
}
