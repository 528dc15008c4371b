//! About how many tokens a request is, for replies whose usage nobody reports.

use proto::Request;
use proto::canon::{Item, ItemKind, Part, Source};
use proto::tokens;

#[cfg(test)]
mod tests;

/// A picture or file inside a request is taken for this many bytes of text: its own length says nothing.
const EMBEDDED: usize = 4000;

/// The input tokens of a request that is `size` bytes as sent.
pub(crate) fn input(request: &Request, size: usize) -> u64 {
    let embedded = request.items.iter().flat_map(parts).filter_map(embedded);
    let (count, bytes) = embedded.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
    tokens::estimate((size.saturating_sub(bytes) + count * EMBEDDED) as u64)
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
