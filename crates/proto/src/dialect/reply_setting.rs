//! What a reply shows beside its events.

use super::responses::{Echo, Stored};
use crate::canon::{ReplyOptions, SchemaEnvelope};
use crate::framing::Framing;
use crate::text::Text;

/// What a writer needs to know that the events do not say.
#[derive(Clone, Debug, Default)]
pub struct ReplySetting {
    /// Id for replies in dialects that need one of their own (`chatcmpl-...`); ASCII, no quotes.
    pub id: String,
    /// Model to show when the upstream does not name one.
    pub model: String,
    /// Unix seconds to show when the upstream does not say.
    pub created: u64,
    /// How the client wants its reply.
    pub reply: ReplyOptions,
    /// The shape in which the upstream's text comes ([`super::Undo::envelope`]).
    pub envelope: SchemaEnvelope,
    /// Whether the client is Codex (originator or User-Agent `codex*`) and so gets `codex.*` events.
    pub codex: bool,
    /// How the events of the stream are told apart (responses dialect); a WebSocket sends each as a message.
    pub framing: Framing,
    /// Whether the response is kept, and what it goes on from (responses dialect).
    pub stored: Stored,
    /// What response objects of ours repeat of their request (responses dialect).
    pub echo: Echo,
}

impl ReplySetting {
    /// The id to show in a dialect whose replies have ids of ours; an upstream's where none was set.
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
