//! The providers that are known by name, with what a relay to one of them needs.

use pool::relay;

/// A provider that is known by name.
#[derive(Debug)]
pub struct Provider {
    /// Its id.
    pub id: &'static str,
    /// Its name for people.
    pub display: &'static str,
    /// Its address.
    pub base_url: &'static str,
    /// `chat`, `responses`, `messages` or `gemini`.
    pub wire: &'static str,
}

/// Every provider.
pub const PROVIDERS: [Provider; 4] = [
    Provider { id: "anthropic", display: "Anthropic", base_url: "https://api.anthropic.com", wire: "messages" },
    Provider { id: "openai", display: "OpenAI", base_url: "https://api.openai.com/v1", wire: "responses" },
    Provider {
        id: "gemini",
        display: "Google Gemini",
        base_url: "https://generativelanguage.googleapis.com",
        wire: "gemini",
    },
    Provider { id: "openrouter", display: "OpenRouter", base_url: "https://openrouter.ai/api/v1", wire: "chat" },
];

/// The id of the provider that an address belongs to.
pub(super) fn of(base_url: &str) -> &'static str {
    let same = |provider: &&Provider| relay::same_target(provider.base_url, base_url);
    PROVIDERS.iter().find(same).map_or("custom", |provider| provider.id)
}
