//! The engine's answer to the server: a streamed reply, a whole one, or a refusal.

use bytes::Bytes;
use http::HeaderMap;
use pool::AccountId;
use pool::catalog::Resolved;
use proto::{Failure, Notes};

use crate::request::stream::ReplyStream;

/// A reply with status 200.
pub struct Reply {
    /// Facts for the headers.
    pub head: Head,
    /// The body in the client's protocol.
    pub body: ReplyBody,
}

/// The body of a reply.
pub enum ReplyBody {
    /// A stream. Dropping it cancels the upstream.
    Stream(Box<ReplyStream>),
    /// Complete: a collected body, or a whole stream that the gateway itself wrote.
    Whole(Bytes),
}

/// Facts for the headers of an answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The account or relay that served or was tried last; `None` when no call was made.
    pub account: Option<AccountId>,
    /// The relay's name, if a relay served.
    pub relay: Option<String>,
    /// The model's slug, empty when the name was not resolved.
    pub model: String,
    /// The retired name of the model that the client asked for; such answers carry a `Deprecation` header.
    pub retired_from: Option<String>,
    /// Model calls that this request made.
    pub attempts: u32,
    /// The substitution, if a model other than the requested one served.
    pub fallback: Option<Fallback>,
    /// Notes about what was dropped or approximated.
    pub notes: Notes,
    /// Upstream headers that the client may see: the rate-limit family and, unless the model has a name other than the requested one,
    /// `openai-model`; for Codex clients also `x-codex-turn-state` and `x-models-etag`.
    pub headers: HeaderMap,
}

impl Head {
    /// The head of an answer by a resolved model; a retired name is noted.
    pub fn of(resolved: &Resolved, mut notes: Notes) -> Self {
        let (model, retired_from) = (resolved.model.slug.clone(), resolved.retired_from.clone());
        if let Some(name) = &retired_from {
            notes.add(format!("{} is retired and {model} answers", shortened(name)));
        }
        Self { model, retired_from, notes, ..Self::default() }
    }
}

/// A name from a client, shortened for a note.
pub(crate) fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(64)]
}

/// A model that served in place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The requested model.
    pub from: String,
    /// The model that served.
    pub to: String,
    /// The reason, in a word or two.
    pub why: String,
}

/// An answer other than 200. Nothing has been sent to the client; the server writes `dialect.error(&failure)`.
#[derive(Debug, thiserror::Error)]
#[error("{}", failure.message)]
pub struct Refusal {
    /// The failure.
    pub failure: Failure,
    /// Facts for the headers.
    pub head: Box<Head>,
}
