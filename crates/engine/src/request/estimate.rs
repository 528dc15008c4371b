//! Estimates of tokens and bytes, for replies whose usage the upstream does not report.

use bytes::Bytes;
use proto::canon::{Item, ItemKind, Part, Source};
use proto::{Request, Text, Whole, tokens};

#[cfg(test)]
mod tests;

/// The bytes that an image or file counts as: its own length says nothing about tokens.
const EMBEDDED: usize = 4000;

/// The input tokens of a request that has `size` bytes when sent.
pub(crate) fn input(request: &Request, size: usize) -> u64 {
    let embedded = request.items.iter().flat_map(parts).filter_map(embedded);
    let (count, bytes) = embedded.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
    tokens::estimate((size.saturating_sub(bytes) + count * EMBEDDED) as u64)
}

/// The approximate bytes of a request's texts. The time to read and write the request grows with them.
pub(crate) fn bytes(request: &Request) -> usize {
    let body = request.raw.as_ref().map_or(0, Bytes::len);
    body.max(request.items.iter().map(length).sum())
}

/// As [`bytes`], for a collected reply.
pub(crate) fn reply(whole: &Whole) -> usize {
    let frames = whole.frames.iter().map(|frame| frame.bytes.len()).sum::<usize>();
    frames.max(whole.items.iter().map(length).sum())
}

fn length(item: &Item) -> usize {
    if let Some(raw) = &item.raw {
        return raw.bytes().len();
    }
    let texts = |texts: &[Text]| texts.iter().map(|text| text.escaped().len()).sum::<usize>();
    match &item.kind {
        ItemKind::Message { parts, .. } | ItemKind::Output { parts, .. } => parts.iter().map(part).sum(),
        ItemKind::Reasoning { summary, text, encrypted, .. } => {
            texts(summary) + texts(text) + encrypted.as_ref().map_or(0, |state| state.escaped().len())
        }
        ItemKind::Call { input: text, .. } | ItemKind::Image { result: text, .. } => text.escaped().len(),
        ItemKind::Search { .. } | ItemKind::Other { .. } => 0,
    }
}

fn part(part: &Part) -> usize {
    match part {
        Part::Text { text, .. }
        | Part::Refusal(text)
        | Part::Image { source: Source::Url(text) | Source::Id(text), .. }
        | Part::File { source: Source::Url(text) | Source::Id(text), .. } => text.escaped().len(),
        Part::Other(json) => json.bytes().len(),
    }
}

fn parts(item: &Item) -> &[Part] {
    match &item.kind {
        ItemKind::Message { parts, .. } | ItemKind::Output { parts, .. } => parts,
        _ => &[],
    }
}

/// The length of a data URL.
fn embedded(part: &Part) -> Option<usize> {
    let (Part::Image { source: Source::Url(url), .. } | Part::File { source: Source::Url(url), .. }) = part else {
        return None;
    };
    url.escaped().starts_with(b"data:").then_some(url.escaped().len())
}
