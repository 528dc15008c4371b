//! The catalog of the providers that are known by name.

use std::collections::BTreeMap;

use engine::{PROVIDERS, Provider};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::ModelEntry;

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
    models: [ModelEntry; 0],
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
