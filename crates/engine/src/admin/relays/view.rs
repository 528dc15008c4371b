//! Relays for people: without their keys.

use pool::Millis;
use pool::pick::CandidateKind;
use pool::relay::format;

use crate::registry::accounts::Entry;
use crate::registry::relays::{RelayEntry, RelayOrigin};

/// A relay for people.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RelayView {
    /// Our id.
    pub id: String,
    /// Its name, the `provider` of `provider:model`.
    pub name: String,
    /// Where it is.
    pub base_url: String,
    /// `chat`, `responses`, `messages` or `gemini`.
    pub format: &'static str,
    /// The models that its owner chose; empty for its live list.
    pub models: Vec<String>,
    /// What stands before its model names.
    pub prefix: String,
    /// What it can do: words, separated by commas.
    pub capabilities: String,
    /// Whether plain http and private addresses are allowed.
    pub allow_private: bool,
    /// Its share among relays that could serve the same request.
    pub weight: u32,
    /// Where it is kept.
    pub origin: RelayOrigin,
    /// Its key, all but a few characters hidden; empty when it takes none.
    pub key: String,
    /// `active`, `cooling`, `exhausted`, `key_refused`, `blocked` or `disabled`, as it is now.
    pub status: &'static str,
    /// Why it does not serve, for people.
    pub why: Option<String>,
    /// When that ends by itself.
    pub until: Option<Millis>,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// Models that it lists; 0 while that is not known.
    pub listed: usize,
    /// When it was added.
    pub created: Millis,
}

impl RelayView {
    /// The view of an entry; `None` for an account.
    pub(crate) fn of(entry: &Entry, in_flight: u32, now: Millis) -> Option<Self> {
        let RelayEntry { relay, key, origin } = &**entry.relay.as_ref()?;
        let reason = entry.account.status.usable(now).err();
        Some(Self {
            id: relay.id.0.clone(),
            name: relay.name.clone(),
            base_url: relay.base_url.clone(),
            format: format(relay.wire),
            models: relay.models.clone(),
            prefix: relay.prefix.clone(),
            capabilities: relay.capabilities.to_string(),
            allow_private: relay.allow_private,
            weight: relay.weight,
            origin: *origin,
            key: masked(key.expose()),
            status: if reason.is_some() { status_word(&entry.account.status) } else { "active" },
            until: reason.as_ref().and_then(pool::status::Reason::until),
            why: reason.map(|reason| CandidateKind::Relays.why(&reason, now)),
            in_flight,
            listed: entry.models.as_ref().map_or(0, |listing| listing.models.len()),
            created: relay.created,
        })
    }
}

/// The state of a relay in one word.
pub fn status_word(status: &pool::Status) -> &'static str {
    match status {
        pool::Status::NeedsLogin { .. } => "key_refused",
        other => other.as_str(),
    }
}

/// A key as its owner may recognise it: at most eight of its characters, and less than half of them.
pub fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let shown = (chars.len() / 5).min(4);
    match chars.len() {
        0 => String::new(),
        length => {
            let text = |chars: &[char]| chars.iter().collect::<String>();
            format!("{}****{}", text(&chars[..shown]), text(&chars[length - shown..]))
        }
    }
}
