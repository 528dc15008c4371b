//! A relay: another service that serves models over one of four protocols, at a base URL with a key.
//!
//! This module holds its rules: names, capabilities ([`Capabilities`], [`Service`]), how a pasted address becomes a base URL and
//! reveals the protocol ([`PastedAddress`]), the URL of a call, and how model lists are read ([`models`]). [`crate::guard`] decides
//! whether an address may be called; `upstream` makes the calls.

mod address;
pub mod models;
mod services;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use proto::Wire;

pub use self::address::{
    AddressError, PastedAddress, base as base_url, call_url, models_url, same_target, service_url, tags_url,
};
use proto::quirks;

use crate::guard::{self, Denied};
use crate::{AccountId, Millis, Status};

/// Longest name and prefix, bytes.
const NAME: usize = 32;
/// Names that mean something else before the colon of `provider:model`.
const RESERVED: [&str; 1] = ["codex"];
/// Largest weight.
const WEIGHT: u32 = 1000;

/// A relay without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Our own id.
    pub id: AccountId,
    /// Unique; the `provider` of `provider:model`. Lower case letters, digits, `_` and `-`, at most 32.
    pub name: String,
    /// Its base URL, as [`PastedAddress::base`] returns it: without a trailing slash, user name, query or fragment.
    pub base_url: String,
    /// The protocol that it speaks.
    pub wire: Wire,
    /// Its models; empty for its live list.
    pub models: Vec<String>,
    /// The prefix of its model names for clients, removed before a call; empty for none.
    pub prefix: String,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Whether plain http and addresses of this machine and its networks are allowed.
    pub allow_private: bool,
    /// Whether its owner has it switched on.
    pub enabled: bool,
    /// Its share among relays that could serve the same request, from 1.
    pub weight: u32,
    /// Whether it can serve, and if not why; `NeedsLogin` means that its key is refused.
    pub status: Status,
    /// When it was added.
    pub created: Millis,
    /// Grows with every write of its row.
    pub version: i64,
}

/// What a relay can do. As text: the words, separated by commas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four independent facts, not a state")]
pub struct Capabilities {
    /// Answer conversations.
    pub chat: bool,
    /// `/embeddings`.
    pub embeddings: bool,
    /// `/audio/...`.
    pub audio: bool,
    /// `/images/...`.
    pub images: bool,
}

/// One of [`Capabilities`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the field of the same name")]
pub enum Capability {
    Chat,
    Embeddings,
    Audio,
    Images,
}

/// A call that is forwarded unchanged, and so is its answer: OpenAI's endpoints other than conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `POST /embeddings`.
    Embeddings,
    /// `POST /audio/speech`.
    Speech,
    /// `POST /audio/transcriptions`.
    Transcriptions,
    /// `POST /audio/translations`.
    Translations,
    /// `POST /images/generations`.
    Generations,
    /// `POST /images/edits`.
    Edits,
    /// `POST /images/variations`.
    Variations,
    /// `POST /alpha/search`; only accounts have it.
    Search,
}

/// Why a relay is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Not a name.
    #[error(
        "`{0}` is no relay name; hint: 1 to 32 lower case letters, digits, `_` and `-`, the first a letter or digit"
    )]
    Name(String),
    /// A name that means something else.
    #[error("the relay name `{0}` is taken by Polygate itself; hint: choose another")]
    Reserved(String),
    /// Not a prefix.
    #[error("`{0}` is no model prefix; hint: at most 32 letters, digits, `.`, `_`, `-` and `/`")]
    Prefix(String),
    /// Not a model name.
    #[error("`{0}` is no model name; hint: at most 128 visible ASCII characters, without quotes and brackets")]
    Model(String),
    /// Too many models.
    #[error("{0} models are too many; hint: name at most 4096, or none for the live list")]
    Models(usize),
    /// Weight out of bounds.
    #[error("the weight {0} is out of bounds; hint: 1 to 1000")]
    Weight(u32),
    /// No capability.
    #[error("the relay has no capability; hint: chat, embeddings, audio, images")]
    Incapable,
    /// The address cannot be read.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address may not be called.
    #[error(transparent)]
    Denied(#[from] Denied),
}

/// A word that is no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no capability; hint: chat, embeddings, audio, images")]
pub struct NoCapability(pub String);

impl Relay {
    /// Checks its name, prefix, models, weight and capabilities, and the address by its text.
    pub fn check(&self) -> Result<(), Invalid> {
        check_name(&self.name)?;
        check_prefix(&self.prefix)?;
        check_models(&self.models)?;
        if !(1..=WEIGHT).contains(&self.weight) {
            return Err(Invalid::Weight(self.weight));
        }
        if self.capabilities == Capabilities::NONE {
            return Err(Invalid::Incapable);
        }
        let url = address::base(&self.base_url)?;
        Ok(guard::check_url(&url, self.allow_private)?)
    }

    /// The relay's own name for a model that a client names by `provider:model` or by the prefix; `None` for a name that does not
    /// select this relay.
    pub fn chosen<'n>(&self, model: &'n str) -> Option<&'n str> {
        let named = model.strip_prefix(self.name.as_str()).and_then(|rest| rest.strip_prefix(':'));
        let prefixed = || model.strip_prefix(self.prefix.as_str()).filter(|_| !self.prefix.is_empty());
        named.or_else(prefixed).filter(|name| !name.is_empty())
    }

    /// Whether it refuses a chat request with a field that OpenAI's API does not have.
    pub fn strict(&self) -> bool {
        services::host(&self.base_url).is_some_and(|host| quirks::is_strict(&host))
    }

    /// Whether it takes only function tools in Chat. Free-text tools are OpenAI's, and other services refuse them.
    pub fn functions_only(&self) -> bool {
        !services::host(&self.base_url).is_some_and(|host| quirks::takes_free_text_tools(&host))
    }

    /// A model's name as shown to clients.
    pub fn shown(&self, model: &str) -> String {
        format!("{}{model}", self.prefix)
    }
}

/// Whether `name` can be a relay's: `[a-z0-9][a-z0-9_-]{0,31}`, and not reserved.
pub fn check_name(name: &str) -> Result<(), Invalid> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if !begins || name.len() > NAME || !name.bytes().all(plain) {
        return Err(Invalid::Name(crate::sanitize::short(name, 64)));
    }
    if RESERVED.contains(&name) {
        return Err(Invalid::Reserved(name.to_owned()));
    }
    Ok(())
}

/// Checks a prefix of model names. It has no colon, because that means `provider:model`.
pub fn check_prefix(prefix: &str) -> Result<(), Invalid> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let good = prefix.len() <= NAME && prefix.bytes().all(plain);
    if good { Ok(()) } else { Err(Invalid::Prefix(crate::sanitize::short(prefix, 64))) }
}

/// Checks a fixed list of models.
pub fn check_models(names: &[String]) -> Result<(), Invalid> {
    if names.len() > models::MOST {
        return Err(Invalid::Models(names.len()));
    }
    let bad = names.iter().find(|name| !models::plain(name));
    bad.map_or(Ok(()), |name| Err(Invalid::Model(crate::sanitize::short(name, 64))))
}

/// A protocol's name in configuration, command line and store.
pub fn format(wire: Wire) -> &'static str {
    match wire {
        Wire::Responses => "responses",
        Wire::Chat => "chat",
        Wire::Messages => "messages",
        Wire::Gemini => "gemini",
    }
}

/// The protocol of a name from [`format()`], or of a common other name, in any case.
pub fn wire(name: &str) -> Option<Wire> {
    Some(match name.trim().to_ascii_lowercase().as_str() {
        // Exports of the system that people come from have `codex-responses`.
        "responses" | "openai-responses" | "codex-responses" => Wire::Responses,
        "chat" | "openai" | "chat-completions" | "chat_completions" | "ollama" | "openrouter" => Wire::Chat,
        "messages" | "anthropic" | "claude" => Wire::Messages,
        "gemini" | "google" => Wire::Gemini,
        _ => return None,
    })
}

impl Capabilities {
    /// Nothing.
    pub const NONE: Self = Self { chat: false, embeddings: false, audio: false, images: false };
    /// Conversations only.
    pub const CHAT: Self = Self { chat: true, ..Self::NONE };
    /// Everything.
    pub const ALL: Self = Self { chat: true, embeddings: true, audio: true, images: true };

    /// The default capabilities of a relay with this protocol and address: everything for OpenAI itself, embeddings for others with
    /// its protocols, conversations for the rest.
    pub fn likely(wire: Wire, base_url: &str) -> Self {
        let openai = services::host(base_url).is_some_and(|host| host == "api.openai.com");
        match wire {
            Wire::Responses | Wire::Chat if openai => Self::ALL,
            Wire::Responses | Wire::Chat => Self { embeddings: true, ..Self::CHAT },
            Wire::Gemini if services::google(base_url) => Self { embeddings: true, ..Self::CHAT },
            Wire::Messages | Wire::Gemini => Self::CHAT,
        }
    }

    /// Whether it is among them.
    pub fn has(self, capability: Capability) -> bool {
        match capability {
            Capability::Chat => self.chat,
            Capability::Embeddings => self.embeddings,
            Capability::Audio => self.audio,
            Capability::Images => self.images,
        }
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, capability: Capability) -> Self {
        match capability {
            Capability::Chat => self.chat = true,
            Capability::Embeddings => self.embeddings = true,
            Capability::Audio => self.audio = true,
            Capability::Images => self.images = true,
        }
        self
    }
}

impl Default for Capabilities {
    /// [`Capabilities::CHAT`].
    fn default() -> Self {
        Self::CHAT
    }
}

impl Capability {
    /// Each of them.
    pub const EACH: [Self; 4] = [Self::Chat, Self::Embeddings, Self::Audio, Self::Images];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embeddings => "embeddings",
            Self::Audio => "audio",
            Self::Images => "images",
        }
    }
}

impl Capabilities {
    /// The words of those that it has.
    pub fn names(self) -> Vec<&'static str> {
        Capability::EACH.into_iter().filter(|capability| self.has(*capability)).map(Capability::as_str).collect()
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl FromStr for Capabilities {
    type Err = NoCapability;

    /// Empty text is [`Capabilities::NONE`].
    fn from_str(text: &str) -> Result<Self, NoCapability> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.into_iter().try_fold(Self::NONE, |all, word| {
            let known = Capability::EACH.into_iter().find(|capability| capability.as_str() == word);
            known.map(|capability| all.with(capability)).ok_or_else(|| NoCapability(crate::sanitize::short(word, 64)))
        })
    }
}

impl Service {
    /// Each of them.
    pub const EACH: [Self; 7] = [
        Self::Embeddings,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Generations,
        Self::Edits,
        Self::Variations,
    ];

    /// Whether accounts have it too: the backend draws and searches.
    pub fn by_accounts(self) -> bool {
        matches!(self, Self::Generations | Self::Edits | Self::Search)
    }

    /// Whether the plan must be able to draw.
    pub fn draws(self) -> bool {
        matches!(self, Self::Generations | Self::Edits)
    }

    /// Its word in usage rows.
    pub fn as_str(self) -> &'static str {
        self.capability().map_or("search", Capability::as_str)
    }

    /// Its path below a base URL; clients call it below `/v1`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Embeddings => "/embeddings",
            Self::Speech => "/audio/speech",
            Self::Transcriptions => "/audio/transcriptions",
            Self::Translations => "/audio/translations",
            Self::Generations => "/images/generations",
            Self::Edits => "/images/edits",
            Self::Variations => "/images/variations",
            Self::Search => "/alpha/search",
        }
    }

    /// The capability that it needs; `None` where no relay has it.
    pub fn capability(self) -> Option<Capability> {
        match self {
            Self::Embeddings => Some(Capability::Embeddings),
            Self::Speech | Self::Transcriptions | Self::Translations => Some(Capability::Audio),
            Self::Generations | Self::Edits | Self::Variations => Some(Capability::Images),
            Self::Search => None,
        }
    }
}
