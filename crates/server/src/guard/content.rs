//! The media type of a request body. Browsers post forms and `text/plain` to other origins without a preflight, so a JSON endpoint takes
//! JSON types only. The Ollama listener checks this for browsers only: other programs send any type there, or none (LiteLLM's provider).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Whether the body is JSON in UTF-8: `application/json` or `application/*+json`, with no charset other than utf-8.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
        (Some(value), None) => is_json_type(value),
        _ => false,
    }
}

fn is_json_type(value: &str) -> bool {
    let mut pieces = value.split(';').map(str::trim);
    let media = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let subtype = media.strip_prefix("application/").unwrap_or_default();
    let token = subtype.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte));
    let json = subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty());
    json && token && pieces.filter(|piece| !piece.is_empty()).all(parameter)
}

fn parameter(piece: &str) -> bool {
    let Some((name, value)) = piece.split_once('=') else { return false };
    !name.trim().eq_ignore_ascii_case("charset") || {
        let value = value.trim().trim_matches('"');
        value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
    }
}

#[cfg(test)]
mod tests;
