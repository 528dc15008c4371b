//! Settings that a writer needs in addition to the events of a reply.

use super::responses::{Echo, Stored};
use crate::canon::{ReplyOptions, SchemaEnvelope};
use crate::framing::Framing;
use crate::text::Text;

/// The values for a reply that its events do not carry.
#[derive(Clone, Debug, Default)]
pub struct ReplySetting {
    /// Id for replies in dialects with a separate id format (`chatcmpl-...`); ASCII, no quotes.
    pub id: String,
    /// Model to show when the upstream does not name one.
    pub model: String,
    /// Unix seconds to show when the upstream sends no time.
    pub created: u64,
    /// How the client wants its reply.
    pub reply: ReplyOptions,
    /// The shape in which the upstream's text comes ([`super::Undo::envelope`]).
    pub envelope: SchemaEnvelope,
    /// Whether the client is Codex (originator or User-Agent `codex*`) and so gets `codex.*` events.
    pub codex: bool,
    /// How the events of the stream are separated (responses dialect); a WebSocket sends each as a message.
    pub framing: Framing,
    /// Whether the response is stored, and which response it continues (responses dialect).
    pub stored: Stored,
    /// The fields of the request that the gateway's own response objects repeat (responses dialect).
    pub echo: Echo,
}

impl ReplySetting {
    /// The id to show in a dialect whose replies have ids that the gateway makes; the upstream's id when `id` is empty.
    pub(super) fn shown_id(&self, upstream: Option<&Text>) -> Text {
        upstream.filter(|_| self.id.is_empty()).cloned().unwrap_or_else(|| Text::from_plain(&self.id))
    }

    /// The model to show.
    pub(super) fn shown_model(&self, upstream: Option<&Text>) -> Text {
        upstream.cloned().unwrap_or_else(|| Text::from_plain(&self.model))
    }

    /// The time to show, in Unix seconds.
    pub(super) fn shown_time(&self, upstream: u64) -> u64 {
        if upstream > 0 { upstream } else { self.created }
    }
}
