//! Relays as the admin API shows them: camelCase as in the system that people migrate from, and without their keys.

use pool::Millis;
use pool::pick::CandidateKind;
use pool::relay::format;

use super::provider;
use crate::date::Date;
use crate::registry::accounts::AccountEntry;
use crate::registry::relays::{RelayEntry, RelayOrigin};

/// A relay as lists show it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Relay)]
pub struct RelayView {
    /// Our id.
    pub id: String,
    /// The id of its provider, `custom` for one that is not known by name.
    pub provider: &'static str,
    /// Its name, the `provider` of `provider:model`.
    #[serde(rename = "label")]
    pub name: String,
    /// All but a few characters are hidden; empty when it takes none.
    #[serde(rename = "apiKey")]
    pub key: String,
    /// Its address.
    pub base_url: String,
    /// `chat`, `responses`, `messages` or `gemini`.
    pub wire: &'static str,
    /// The models that its owner chose; empty for its live list.
    pub models: Vec<String>,
    /// Models that it lists; 0 while that is not known.
    pub listed: usize,
    /// What stands before its model names.
    pub prefix: String,
    /// `chat`, `embeddings`, `audio` and `images`, as far as it has them.
    pub capabilities: Vec<&'static str>,
    /// Whether plain http and private addresses are allowed.
    pub allow_private: bool,
    /// Its share among relays that could serve the same request.
    pub weight: u32,
    /// `active`, `cooling`, `exhausted`, `key_refused`, `blocked` or `disabled`, as it is now.
    pub status: &'static str,
    /// Why it does not serve, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// When that ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Where it is kept.
    pub origin: RelayOrigin,
    /// When it was added.
    pub added_at: Date,
}

impl RelayView {
    /// The view of an entry; `None` for an account.
    pub(crate) fn of(entry: &AccountEntry, now: Millis) -> Option<Self> {
        let RelayEntry { relay, key, origin } = &**entry.relay.as_ref()?;
        let reason = entry.account.status.usable(now).err();
        Some(Self {
            id: relay.id.0.clone(),
            provider: provider::of(&relay.base_url),
            name: relay.name.clone(),
            key: masked(key.expose()),
            base_url: relay.base_url.clone(),
            wire: format(relay.wire),
            models: relay.models.clone(),
            listed: entry.models.as_ref().map_or(0, |listing| listing.models.len()),
            prefix: relay.prefix.clone(),
            capabilities: relay.capabilities.names(),
            allow_private: relay.allow_private,
            weight: relay.weight,
            status: if reason.is_some() { status_word(&entry.account.status) } else { "active" },
            until: reason.as_ref().and_then(pool::status::Reason::until).map(Date::from),
            why: reason.map(|reason| CandidateKind::Relays.why(&reason, now)),
            origin: *origin,
            added_at: relay.created.into(),
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
