//! The client's own body for another upstream of this dialect: key order and unknown fields stay as they came.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::super::seal;
use super::MAX_TOKENS;
use super::thinking::Plan;
use crate::canon::Request;
use crate::dialect::Relay;
use crate::json::patch::{Edit, patch, set};
use crate::json::{Shape, pen};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// What every envelope of foreign state begins with, inside its quotes.
const ENVELOPE: &[u8] = b"\"pg1.";

/// `raw` for this model, streamed, without reasoning state that this upstream cannot read.
pub(super) fn body(raw: &Bytes, request: &Request, relay: &Relay) -> (Bytes, Notes) {
    let mut notes = Notes::default();
    // A body may be large, so it is walked once.
    let mut fields: Vec<(Text, Json)> = Json::from_valid(raw.clone()).fields().collect();
    put(&mut fields, "model", Text::from_plain(&relay.model).quoted());
    put(&mut fields, "stream", Json::of(&true));
    limited(&mut fields, request, relay, &mut notes);
    thoughtful(&mut fields, request, relay, &mut notes);
    if relay.without_replay || memmem::find(raw, ENVELOPE).is_some() {
        readable(&mut fields, relay, &mut notes);
    }
    let mut out = BytesMut::with_capacity(raw.len() + 128);
    pen::object(&mut out, |pen| fields.iter().for_each(|(key, value)| pen.member(key, value)));
    (out.freeze(), notes)
}

/// `max_tokens`, which this protocol must have. Clients that do not know a model's name say what the largest can give.
fn limited(fields: &mut Vec<(Text, Json)>, request: &Request, relay: &Relay, notes: &mut Notes) {
    let most = relay.max_output;
    let (limit, verb) = match request.limits.max_tokens {
        None => (most.unwrap_or(MAX_TOKENS), "set"),
        Some(limit) if most.is_some_and(|most| limit > most) => (most.unwrap_or(limit), "lowered"),
        Some(_) => return,
    };
    notes.add(format!("{verb} max_tokens to {limit}"));
    put(fields, "max_tokens", Json::of(&limit));
}

/// The field `name`; `null` counts as none.
fn get<'f>(fields: &'f [(Text, Json)], name: &str) -> Option<&'f Json> {
    fields.iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value).filter(|value| !value.is_null())
}

/// Sets the field `name` where it stands, else at the end.
fn put(fields: &mut Vec<(Text, Json)>, name: &'static str, value: Json) {
    let mut found = false;
    for (_, old) in fields.iter_mut().filter(|(key, _)| key.is(name)) {
        *old = value.clone();
        found = true;
    }
    if !found {
        fields.push((Text::from_plain(name), value));
    }
}

/// The effort of a model suffix, where the client says nothing about thinking nor what thinking would rule out.
fn thoughtful(fields: &mut Vec<(Text, Json)>, request: &Request, relay: &Relay, notes: &mut Notes) {
    let config = get(fields, "output_config").filter(|config| config.shape() == Shape::Object);
    let told = get(fields, "thinking").is_some() || config.is_some_and(|config| config.get("effort").is_some());
    if told || relay.effort.is_none() {
        return;
    }
    if !request.sampling.is_empty() {
        return notes.add("dropped reasoning effort beside sampling fields");
    }
    let plan = Plan::of(request, relay, notes);
    if let Some(thinking) = plan.thinking() {
        put(fields, "thinking", thinking);
    }
    if plan.thinks {
        put(fields, "max_tokens", Json::of(&plan.max_tokens));
    }
    if let Some(effort) = plan.effort {
        let config = get(fields, "output_config").cloned();
        let config = config.unwrap_or_else(|| Json::from_valid(Bytes::from_static(b"{}")));
        put(fields, "output_config", set(&config, "effort", &Json::of(effort)));
    }
}

/// Takes out thoughts that another model signed; they would be refused.
fn readable(fields: &mut Vec<(Text, Json)>, relay: &Relay, notes: &mut Notes) {
    let Some(messages) = get(fields, "messages") else { return };
    let mut kept = Vec::new();
    for message in messages.elements() {
        let blocks: Vec<Json> = message.get("content").iter().flat_map(Json::elements).collect();
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
    let kept = list(&kept);
    put(fields, "messages", kept);
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
