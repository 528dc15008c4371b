//! The services that are known by name, with what a relay to one of them needs.

use std::collections::BTreeMap;

use pool::relay;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::Named;

/// A provider that is known by name.
pub(super) struct Provider {
    pub(super) id: &'static str,
    display: &'static str,
    pub(super) base_url: &'static str,
    pub(super) wire: &'static str,
}

const PROVIDERS: [Provider; 4] = [
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

/// The providers; their models are asked for at `/auth/api-keys/models`.
#[derive(Serialize, ToSchema)]
#[schema(as = RelayCatalog)]
pub(super) struct Catalog {
    catalog: BTreeMap<&'static str, Offer>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RelayOffer)]
struct Offer {
    display_name: &'static str,
    default_base_url: &'static str,
    models: [Named; 0],
}

impl Catalog {
    pub(super) fn new() -> Self {
        let offer = |provider: &Provider| Offer {
            display_name: provider.display,
            default_base_url: provider.base_url,
            models: [],
        };
        Self { catalog: PROVIDERS.iter().map(|provider| (provider.id, offer(provider))).collect() }
    }
}

/// The provider of this name.
pub(super) fn named(id: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.id == id)
}

/// The provider that an address belongs to.
pub(super) fn of(base_url: &str) -> &'static str {
    let same = |provider: &&Provider| relay::same_target(provider.base_url, base_url);
    PROVIDERS.iter().find(same).map_or("custom", |provider| provider.id)
}
