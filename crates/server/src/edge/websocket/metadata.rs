//! Metadata that HTTP has in headers: over a WebSocket, a Codex client sends it in `client_metadata` and receives it in events.

use engine::Client;
use http::HeaderMap;
use proto::dialect::responses;
use proto::{Json, Request};
use tokio_tungstenite::tungstenite::Message;

use super::frames::message;
use super::limits;
use crate::client_info::{MAX_HEADER_LEN, MAX_SESSION_LEN};

/// The header with the state of a turn.
const TURN_STATE: &str = "x-codex-turn-state";

/// Overrides the connection's metadata with the metadata of a message's turn.
pub(super) fn read_turn_metadata(client: &mut Client, request: &Request) {
    // A turn state belongs to its turn, not to the connection: a new turn has none (client 0.169.0, measured).
    client.turn_state = None;
    let Some((_, given)) = request.rest.iter().find(|(name, _)| name == "client_metadata") else { return };
    for (key, value) in given.fields() {
        let (key, Some(value)) = (key.plain(), text(&value)) else { continue };
        match &*key {
            "session_id" if value.len() <= MAX_SESSION_LEN => client.session = Some(value),
            "thread_id" if value.len() <= MAX_SESSION_LEN => client.thread = Some(value),
            TURN_STATE if client.codex => client.turn_state = Some(value),
            name => header(client, name, value),
        }
    }
}

/// Sets a header that is forwarded to the backend.
fn header(client: &mut Client, name: &str, value: String) {
    let Some(name) = engine::PASSED_HEADERS.iter().find(|passed| **passed == name).filter(|_| client.codex) else {
        return;
    };
    client.headers.retain(|(given, _)| given != name);
    client.headers.push((name, value));
}

/// The text of a value, if a header could hold it.
fn text(value: &Json) -> Option<String> {
    let text = value.as_text()?.plain().into_owned();
    let visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (!text.is_empty() && text.len() <= MAX_HEADER_LEN && visible).then_some(text)
}

/// The events for a Codex client before its reply: the limits, the headers, and the turn state, which the client takes only from
/// `response.metadata` (client 0.169.0, measured).
pub(super) fn reply_events(headers: &HeaderMap) -> Vec<Message> {
    let pairs = || headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let metadata = message(responses::metadata("codex.response.metadata", pairs()));
    let state = headers.contains_key(TURN_STATE).then(|| {
        let own = pairs().filter(|(name, _)| matches!(*name, TURN_STATE | "openai-model"));
        message(responses::metadata("response.metadata", own))
    });
    limits::rate_limit_events(headers).into_iter().chain([metadata]).chain(state).collect()
}
