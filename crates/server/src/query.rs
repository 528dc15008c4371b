//! The query of a request's target. Keys are removed from the query before the target can be logged.

use http::Uri;
use http::request::Parts;
use http::uri::PathAndQuery;

/// The query parameter that holds a key.
const KEY: &str = "key";

/// Removes the keys from a request's target, so that nothing can log or show them later.
pub(crate) fn take_keys(parts: &mut Parts) -> Vec<String> {
    let Some(query) = parts.uri.query() else { return Vec::new() };
    let (keys, rest): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| name(pair).as_deref() == Some(KEY));
    if keys.is_empty() {
        return Vec::new();
    }
    // A key that does not decode counts as a wrong key, not as a missing one.
    let value = |pair: &str| pair.split_once('=').map(|(_, value)| decode(value).unwrap_or_else(|| value.to_owned()));
    let found = keys.into_iter().filter_map(value).collect();
    let path = parts.uri.path();
    let target = if rest.is_empty() { path.to_owned() } else { format!("{path}?{}", rest.join("&")) };
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = PathAndQuery::try_from(target).ok();
    parts.uri = Uri::from_parts(uri).unwrap_or_default();
    found
}

/// The value of a parameter; `None` if it is absent, empty if it has several different values or does not decode.
pub(crate) fn single(parts: &Parts, wanted: &str) -> Option<String> {
    let mut values = all(parts, wanted);
    let first = values.next()?;
    if values.all(|value| value == first) { Some(first) } else { Some(String::new()) }
}

/// The values of a parameter; a value that does not decode is empty.
pub(crate) fn all(parts: &Parts, wanted: &str) -> impl Iterator<Item = String> {
    let pairs = parts.uri.query().into_iter().flat_map(|query| query.split('&'));
    pairs.filter(move |pair| name(pair).as_deref() == Some(wanted)).map(|pair| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        decode(value).unwrap_or_default()
    })
}

fn name(pair: &str) -> Option<String> {
    decode(pair.split('=').next().unwrap_or_default())
}

/// Percent-decoded text; `None` if it is not UTF-8 or holds characters that a path must not hold.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            plain => plain,
        });
    }
    let text = String::from_utf8(out).ok()?;
    let hidden = text.chars().any(|c| c.is_control() || matches!(c, '\\' | ';'));
    (!hidden).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests;
