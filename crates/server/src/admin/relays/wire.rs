//! The bodies of the relay endpoints: camelCase as in the system that people migrate from, with additional fields.

use engine::{PROVIDERS, PrivateAccess, Provider, RelaySpec, RelayView};
use pool::Secret;
use pool::catalog::Model;
use pool::relay::{self, Capabilities, Relay};
use proto::{Failure, Kind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::admin::input::SecretText;

/// A model.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RelayModel)]
pub(super) struct ModelEntry {
    id: String,
    display_name: String,
}

/// A relay to add, to import or to ask for its models.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewRelay)]
pub(super) struct RelayRequest {
    /// `anthropic`, `openai`, `gemini`, `openrouter` or `custom`.
    provider: Option<String>,
    /// Left out for a relay that takes no key.
    #[serde(alias = "api_key")]
    #[schema(value_type = Option<String>, format = Password)]
    api_key: Option<SecretText>,
    /// The provider's base URL if left out.
    #[serde(alias = "base_url")]
    base_url: Option<String>,
    /// A label from which the name is derived; see `name`.
    label: Option<String>,
    /// The exact name.
    name: Option<String>,
    /// Empty for all models that the relay lists.
    #[serde(default)]
    models: Vec<String>,
    /// One model, as in exports of the other system.
    model: Option<String>,
    /// The prefix of the relay's model names.
    prefix: Option<String>,
    capabilities: Option<Vec<String>>,
    /// `chat`, `responses`, `messages`, `gemini`, or `auto` to find out.
    #[serde(alias = "format")]
    wire: Option<String>,
    /// Whether plain http and private addresses are allowed.
    #[serde(default, alias = "allow_private")]
    allow_private: bool,
    /// The relay's share among relays that could serve the same request; 1 if left out.
    weight: Option<u32>,
    /// `active` or `disabled`.
    status: Option<String>,
    /// The id in an export; not read, because the relay gets a new id.
    #[serde(rename = "id")]
    _id: Option<String>,
    /// A field of an export; not read.
    #[serde(rename = "addedAt")]
    #[schema(value_type = Option<serde_json::Value>)]
    _added: Option<serde::de::IgnoredAny>,
    /// A field of an export; not read.
    #[serde(rename = "lastUsedAt")]
    #[schema(value_type = Option<serde_json::Value>)]
    _used: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelayImport)]
pub(super) struct Import {
    pub(super) keys: Vec<RelayRequest>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelayIds)]
pub(super) struct Batch {
    pub(super) ids: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelayLabel)]
pub(super) struct Label {
    pub(super) label: String,
}

/// The new key of a relay.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RelayKey)]
pub(super) struct Key {
    #[serde(alias = "api_key")]
    #[schema(value_type = String, format = Password)]
    api_key: SecretText,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RelaySwitch)]
pub(super) struct SwitchRequest {
    status: Switch,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = RelayState)]
enum Switch {
    Active,
    Disabled,
}

/// A relay as exported; [`RelayRequest`] reads it back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RelayInClear)]
struct ExportedRelay {
    name: String,
    provider: &'static str,
    api_key: String,
    base_url: String,
    wire: &'static str,
    models: Vec<String>,
    prefix: String,
    capabilities: Vec<&'static str>,
    allow_private: bool,
    weight: u32,
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Relays)]
pub(super) struct RelayList {
    pub(super) keys: Vec<RelayView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RelayAdded)]
pub(super) struct Outcome {
    pub(super) success: bool,
    pub(super) added: usize,
    pub(super) failed: usize,
    pub(super) keys: Vec<RelayView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RelayExport)]
pub(super) struct Exported {
    keys: Vec<ExportedRelay>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RelayModels)]
pub(super) struct Listed {
    models: Vec<ModelEntry>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RelaysRemoved)]
pub(super) struct Deleted {
    pub(super) success: bool,
    pub(super) deleted: usize,
}

/// The result of an import.
#[derive(Default, Serialize, ToSchema)]
#[schema(as = RelaysImported)]
pub(super) struct Imported {
    success: bool,
    pub(super) added: usize,
    failed: usize,
    errors: Vec<ImportFault>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RelayFault)]
struct ImportFault {
    label: String,
    error: String,
}

impl RelayRequest {
    /// The name for the relay.
    pub(super) fn label(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let label = self.label.as_deref().map(engine::slugify_relay_name).filter(|name| !name.is_empty());
        let host = || self.base_url.as_deref().and_then(engine::host_name);
        let known = self.provider().map(|provider| provider.id.to_owned());
        label.or(known).or_else(host).unwrap_or_else(|| "relay".to_owned())
    }

    /// Whether the request gives the exact name.
    pub(super) fn named(&self) -> bool {
        self.name.is_some()
    }

    fn provider(&self) -> Option<&'static Provider> {
        PROVIDERS.iter().find(|provider| Some(provider.id) == self.provider.as_deref())
    }

    /// The relay to add.
    pub(super) fn relay(&self, name: String) -> Result<RelaySpec, Failure> {
        let provider = self.provider();
        if let (Some(given), None) = (self.provider.as_deref(), provider)
            && given != "custom"
        {
            let known = "anthropic, openai, gemini, openrouter or custom";
            return Err(Failure::new(Kind::Invalid, format!("'provider' is not {known}")).at("provider"));
        }
        let base_url = self.base_url.clone().or_else(|| provider.map(|provider| provider.base_url.to_owned()));
        let requested = self.wire.as_deref().filter(|wire| *wire != "auto");
        let wire = requested.or_else(|| provider.filter(|_| self.base_url.is_none()).map(|provider| provider.wire));
        let format = |word: &str| {
            relay::wire(word).ok_or_else(|| {
                Failure::new(Kind::Invalid, "'wire' is not chat, responses, messages or gemini").at("wire")
            })
        };
        Ok(RelaySpec {
            name,
            base_url: base_url.ok_or_else(|| Failure::new(Kind::Invalid, "'baseUrl' is missing").at("baseUrl"))?,
            key: self.api_key.as_ref().map_or_else(|| Secret::from(""), |key| key.0.clone()),
            wire: wire.map(format).transpose()?,
            models: self.models.iter().chain(&self.model).cloned().collect(),
            prefix: self.prefix.clone().unwrap_or_default(),
            capabilities: self.capabilities()?,
            // Over the network, a private address needs the flag; only the owner at the machine may add one without it.
            private: if self.allow_private { PrivateAccess::Allowed } else { PrivateAccess::Refused },
            weight: self.weight.unwrap_or(1),
            enabled: self.status.as_deref() != Some("disabled"),
        })
    }

    fn capabilities(&self) -> Result<Option<Capabilities>, Failure> {
        let Some(words) = &self.capabilities else { return Ok(None) };
        let parsed = words.join(",").parse::<Capabilities>();
        parsed.map(Some).map_err(|error| Failure::new(Kind::Invalid, error.to_string()).at("capabilities"))
    }
}

impl Key {
    pub(super) fn secret(self) -> Secret {
        self.api_key.0
    }
}

impl SwitchRequest {
    pub(super) fn enabled(&self) -> bool {
        self.status == Switch::Active
    }
}

impl Exported {
    pub(super) fn of(relays: Vec<(Relay, Secret, &'static str)>) -> Self {
        let clear = |(relay, key, provider): (Relay, Secret, &'static str)| ExportedRelay {
            provider,
            name: relay.name,
            api_key: key.expose().to_owned(),
            base_url: relay.base_url,
            wire: relay::format(relay.wire),
            models: relay.models,
            prefix: relay.prefix,
            capabilities: relay.capabilities.names(),
            allow_private: relay.allow_private,
            weight: relay.weight,
            status: if relay.enabled { "active" } else { "disabled" },
        };
        Self { keys: relays.into_iter().map(clear).collect() }
    }
}

impl Listed {
    pub(super) fn of(models: Vec<Model>) -> Self {
        let named = |model: Model| ModelEntry { id: model.slug, display_name: model.display };
        Self { models: models.into_iter().map(named).collect() }
    }
}

impl Imported {
    pub(super) fn fail(&mut self, label: String, error: String) {
        self.failed += 1;
        self.errors.push(ImportFault { label, error });
    }

    pub(super) fn finish(mut self) -> Self {
        self.success = self.failed == 0;
        self
    }
}
