//! Readings of a model name without suffixes and vendor prefixes, and the table of retired names.

/// Tier suffixes.
const TIERS: [&str; 2] = ["fast", "flex"];
/// Effort suffixes.
const EFFORTS: [&str; 8] = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"];
/// Prefixes that clients and routers put before a name: vendors, and `codex:` for the accounts beside relays.
const VENDORS: [&str; 4] = ["openai/", "anthropic/", "google/", "codex:"];
/// Prefixes of the names of image models, which take no suffixes.
const IMAGES: [&str; 3] = ["gpt-image", "chatgpt-image", "dall-e"];

/// Aliases for the default model names of other vendors' clients.
pub(super) const SHIPPED: [(&str, &str); 5] = [
    ("claude-*opus*", super::FIRST),
    ("claude-*sonnet*", super::FIRST),
    ("gemini-*-pro*", super::FIRST),
    ("claude-*haiku*", super::SMALLEST),
    ("gemini-*-flash*", super::SMALLEST),
];
/// Words in the names of small models.
const SMALL: [&str; 3] = ["mini", "luna", "nano"];

/// A name without suffixes, and their values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading<'a> {
    pub(super) base: &'a str,
    pub(super) effort: Option<&'a str>,
    pub(super) tier: Option<&'a str>,
}

/// The readings of `name`, the most literal first: with its vendor prefix and then without, each with no, one and two
/// suffixes taken off.
pub(super) fn readings(name: &str) -> impl Iterator<Item = Reading<'_>> {
    let bare = VENDORS.iter().find_map(|vendor| name.strip_prefix(vendor)).filter(|bare| !bare.is_empty());
    std::iter::once(name).chain(bare).flat_map(|name| {
        let whole = Reading { base: name, ..Reading::default() };
        std::iter::successors(Some(whole), Reading::shorter)
    })
}

impl<'a> Reading<'a> {
    /// Removes one more suffix: at most one tier and one effort, in either order.
    fn shorter(&self) -> Option<Self> {
        let (base, suffix) = self.base.rsplit_once('-')?;
        if base.is_empty() || is_image_model(base) {
            return None;
        }
        if self.tier.is_none() && TIERS.contains(&suffix) {
            return Some(Self { base, tier: Some(suffix), ..*self });
        }
        let effort = self.effort.is_none() && EFFORTS.contains(&suffix);
        effort.then_some(Self { base, effort: Some(suffix), ..*self })
    }

    /// The inner reading's name with the suffixes of both. The outer suffixes, which the client wrote, have priority.
    pub(super) fn over(self, inner: Reading<'a>) -> Self {
        Self { base: inner.base, effort: self.effort.or(inner.effort), tier: self.tier.or(inner.tier) }
    }
}

/// Whether a model is of a small kind, by its name.
pub(super) fn is_small(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| SMALL.contains(&word))
}

/// Whether `name` matches a pattern. A `*` matches any text, the empty one included.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        let Some(at) = left.find(piece) else { return false };
        left = &left[at + piece.len()..];
    }
    left.ends_with(end)
}

fn is_image_model(name: &str) -> bool {
    IMAGES.iter().any(|image| name.starts_with(image))
}

/// The successor of a retired model. A name counts with its own suffix first (`gpt-5.1-codex-max` was a model, not an
/// effort), so callers ask for the most literal reading first.
pub(super) fn successor(name: &str) -> Option<&'static str> {
    const SOL: &str = "gpt-6-sol";
    const LUNA: &str = "gpt-6-luna";
    let family = |stem: &str| name.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let suffixed = Reading { base: name, ..Reading::default() }.shorter().is_some();
    match name {
        "gpt-5.1-codex-max" => Some(SOL),
        _ if suffixed || why_unknown(name).is_some() => None,
        _ if name.ends_with("-mini") && is_openai_family(name) => Some(LUNA),
        "gpt-5.4" | "gpt-5.3-codex" | "gpt-5-codex" => Some(SOL),
        _ if family("gpt-5.2") || family("gpt-5.1") => Some(SOL),
        _ => None,
    }
}

/// Whether a name belongs to an OpenAI family. Other vendors have minis too.
fn is_openai_family(name: &str) -> bool {
    let numbered = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    name.starts_with("gpt-") || name.starts_with("codex-") || numbered
}

/// An explanation for well-known names that cannot work here.
pub(super) fn why_unknown(name: &str) -> Option<&'static str> {
    if name == "gpt-5.3-codex-spark" {
        Some("It was a preview for some plans and has no successor of its kind; a small fast model is the nearest.")
    } else if name.starts_with("gpt-oss-") {
        Some("It is an open-weight model, which the ChatGPT backend does not serve; run it elsewhere.")
    } else if is_image_model(name) {
        Some("It makes images and cannot chat; offer a chat model the image_generation tool instead.")
    } else {
        None
    }
}
