//! The client's own body for another upstream of this dialect: key order and unknown fields stay as they came.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::super::seal;
use super::MAX_TOKENS;
use crate::dialect::Relay;
use crate::json::patch::{Edit, patch, set};
use crate::json::{Shape, pen};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// What every envelope of foreign state begins with, inside its quotes.
const ENVELOPE: &[u8] = b"\"pg1.";

/// `raw` for this model, streamed, without reasoning state that this upstream cannot read.
pub(super) fn body(raw: &Bytes, relay: &Relay) -> (Bytes, Notes) {
    let mut notes = Notes::default();
    let body = Json::from_valid(raw.clone());
    let body = set(&body, "model", &Text::from_plain(&relay.model).quoted());
    let body = set(&body, "stream", &Json::of(&true));
    let body = limited(body, relay, &mut notes);
    let body = thoughtful(body, relay);
    let body = readable(body, relay, &mut notes);
    (body.bytes().clone(), notes)
}

fn limited(body: Json, relay: &Relay, notes: &mut Notes) -> Json {
    if body.get("max_tokens").is_some() {
        return body;
    }
    let limit = relay.max_output.unwrap_or(MAX_TOKENS);
    notes.add(format!("set max_tokens to {limit}"));
    set(&body, "max_tokens", &Json::of(&limit))
}

/// The effort of a model suffix, where the client says nothing about thinking.
fn thoughtful(body: Json, relay: &Relay) -> Json {
    let config = body.get("output_config").filter(|config| config.shape() == Shape::Object);
    let asked = body.get("thinking").is_some() || config.as_ref().is_some_and(|config| config.get("effort").is_some());
    let Some(effort) = relay.effort.as_ref().filter(|_| !asked) else { return body };
    let config = config.unwrap_or_else(|| Json::from_valid(Bytes::from_static(b"{}")));
    set(&body, "output_config", &set(&config, "effort", &Json::of(effort)))
}

/// The body without thoughts that another model signed; those would be refused.
fn readable(body: Json, relay: &Relay, notes: &mut Notes) -> Json {
    if !relay.without_replay && memmem::find(body.bytes(), ENVELOPE).is_none() {
        return body;
    }
    let Some(messages) = body.get("messages") else { return body };
    let mut kept = Vec::new();
    for message in messages.elements() {
        let content = message.get("content").filter(|content| content.shape() == Shape::Array);
        let Some(content) = content else {
            kept.push(message);
            continue;
        };
        let blocks: Vec<Json> = content.elements().collect();
        let stay: Vec<&Json> = blocks.iter().filter(|block| !unreadable(block, relay)).collect();
        if stay.len() == blocks.len() {
            kept.push(message);
            continue;
        }
        notes.add("dropped reasoning that another model signed");
        if !stay.is_empty() {
            let content = list(stay);
            let edit = |key: &Text, _: &Json| if key.is("content") { Edit::Set(content.clone()) } else { Edit::Keep };
            kept.push(patch(&message, edit, []));
        }
    }
    set(&body, "messages", &list(&kept))
}

fn unreadable(block: &Json, relay: &Relay) -> bool {
    let Some(kind) = block.text("type") else { return false };
    let field = match kind.plain().as_ref() {
        "thinking" => "signature",
        "redacted_thinking" => "data",
        _ => return false,
    };
    relay.without_replay || block.text(field).is_some_and(|state| seal::foreign(&state))
}

fn list<'j>(elements: impl IntoIterator<Item = &'j Json>) -> Json {
    let mut out = BytesMut::new();
    pen::array(&mut out, elements, |out, element| out.put_slice(element.bytes()));
    Json::from_valid(out.freeze())
}
