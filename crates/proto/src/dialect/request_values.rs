//! Values that requests of several protocols share: text, stop sequences, URLs.

use bytes::Bytes;

use crate::json::Shape;
use crate::json::node::{Node, ReadResult};
use crate::text::Text;

/// Most stop sequences accepted in protocols whose own limit is lower.
pub(super) const MAX_STOPS: usize = 16;
/// Longest stop sequence in bytes: up to this much text may be held back.
const MAX_STOP: usize = 4096;

/// A list of at most `most` stop sequences, without the empty ones.
pub(super) fn stops(node: Node<'_>, most: usize) -> ReadResult<Vec<String>> {
    let mut stops = node.each(most, |node| stop(node, "a string"))?;
    stops.retain(|stop| !stop.is_empty());
    Ok(stops)
}

/// A stop sequence, or a list of them.
pub(super) fn stop_or_stops(node: Node<'_>) -> ReadResult<Vec<String>> {
    let expected = "a string or an array of strings";
    let one = |node: Node<'_>| stop(node, expected);
    let mut stops = if node.is(Shape::Array) { node.each(MAX_STOPS, one)? } else { vec![one(node)?] };
    stops.retain(|stop| !stop.is_empty());
    Ok(stops)
}

fn stop(node: Node<'_>, expected: &str) -> ReadResult<String> {
    let stop = node.string().map_err(|_| node.wrong(expected))?;
    if stop.len() > MAX_STOP {
        return Err(node.bad(&format!("a stop sequence may be {MAX_STOP} bytes long at most.")));
    }
    Ok(stop)
}

/// Whether OpenAI accepts `name` as the name of an output format.
pub(super) fn is_format_name(name: &Text) -> bool {
    let bytes = name.escaped();
    (1..=64).contains(&bytes.len()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(b))
}

/// The URL of a page or file that the upstream fetches; the gateway never does.
pub(super) fn web_url(node: Node<'_>) -> ReadResult<Text> {
    let url = node.filled()?;
    if is_web(&url.plain()) { Ok(url) } else { Err(node.bad("expected an http or https URL.")) }
}

/// Whether a URL is http or https.
pub(super) fn is_web(url: &str) -> bool {
    begins(url, "https://") || begins(url, "http://")
}

/// Whether a URL names a file in Google's storage.
pub(super) fn is_at_google(url: &str) -> bool {
    begins(url, "gs://") || begins(url, "files/")
}

/// Whether a text begins with `prefix`, ignoring ASCII case.
pub(super) fn begins(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// The texts joined with blank lines between them. A single text is returned without a copy.
pub(super) fn joined<'t>(texts: impl IntoIterator<Item = &'t Text>) -> Option<Text> {
    let texts: Vec<&Text> = texts.into_iter().collect();
    if let [] | [_] = texts[..] {
        return texts.first().copied().cloned();
    }
    let paragraphs: Vec<&[u8]> = texts.iter().map(|text| &text.escaped()[..]).collect();
    Some(Text::from_escaped(Bytes::from(paragraphs.join(&br"\n\n"[..]))))
}
