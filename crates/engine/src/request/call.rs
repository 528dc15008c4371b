//! A client's request as the server hands it to the engine: read and authenticated.

use std::sync::Arc;

use proto::framing::Framing;
use proto::{Dialect, Notes, Request};
use uuid::Uuid;

use crate::memory::RequestMemory;
use crate::registry::keys::KeyId;
use crate::request::stored::ConnectionHistory;

/// One request of a client.
#[derive(Clone, Debug)]
pub struct Call {
    /// The client's protocol; the reply is written in it.
    pub dialect: Dialect,
    /// The request in the common form.
    pub request: Request,
    /// Notes from reading the request.
    pub notes: Notes,
    /// The client's key.
    pub key: KeyId,
    /// Facts about the client besides its request.
    pub client: Client,
    /// The memory charge of the conversation that the request continues.
    pub memory: RequestMemory,
}

/// Facts about a client besides its request.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// The gateway's id of the request; the same for all attempts.
    pub request_id: String,
    /// The client's `User-Agent`, empty when the client sent none.
    pub user_agent: String,
    /// Whether it is a Codex client (originator or User-Agent `codex*`); such clients get `codex.*` events and headers.
    pub codex: bool,
    /// The version that a Codex client reports.
    pub version: Option<String>,
    /// The client's Codex headers, those that [`upstream::PASSED`] names, lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The headers that a relay with the client's protocol gets, those that [`upstream::relay::PASSED`] names.
    pub relayed: Vec<(&'static str, String)>,
    /// The conversation that the client names in a header (`session-id`, `session_id`, `conversation_id`), if any.
    pub session: Option<String>,
    /// The client's `thread-id`, if that differs from the session (subagents).
    pub thread: Option<String>,
    /// The `x-codex-turn-state` that the client echoes.
    pub turn_state: Option<String>,
    /// Whether the client refuses hosted tools that it did not ask for.
    pub own_tools: bool,
    /// The history of its WebSocket connection; `None` over HTTP.
    pub socket_history: Option<Arc<ConnectionHistory>>,
    /// The conversation of the response that the request continues; the engine sets it.
    pub chained: Option<Uuid>,
}

impl Client {
    /// The framing of its streams: a WebSocket sends each event as a message.
    pub(crate) fn framing(&self) -> Framing {
        if self.socket_history.is_some() { Framing::Lines } else { Framing::ServerSentEvents }
    }
}
