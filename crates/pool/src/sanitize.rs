//! Texts of others, made fit for people, clients and logs.

#[cfg(test)]
mod tests;

use crate::Secret;

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

/// A secret shorter than this is not looked for: it would be found in ordinary words.
const FINDABLE: usize = 8;

/// Puts `***` in the place of a secret in what its receiver says, whatever the secret looks like: as it is, as in a URL and as in JSON,
/// and where the end of the text has cut it off after [`FINDABLE`] bytes.
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

/// A body without a secret. JSON may escape what it need not (`\/`, `\u002B`): a secret that is written so is looked for in the JSON
/// without these escapes, which then takes the body's place.
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

/// How a secret may be written.
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
