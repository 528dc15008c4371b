//! The client's own body for another upstream of this dialect: key order and unknown fields stay as they came.

use bytes::{Bytes, BytesMut};

use super::thinking::{LEAST, Plan, THOUGHTLESS};
use super::{MAX_TOKENS, history, takes_stop};
use crate::canon::Request;
use crate::dialect::RelayTarget;
use crate::json::patch::set;
use crate::json::{Shape, emit};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// `raw` for this model, streamed, without reasoning state that this upstream cannot read.
pub(super) fn body(raw: &Bytes, request: &Request, relay: &RelayTarget) -> (Bytes, Notes) {
    let mut notes = Notes::default();
    // A body may be large, so it is walked once.
    let mut fields: Vec<(Text, Json)> = Json::from_valid(raw.clone()).fields().collect();
    put(&mut fields, "model", Text::from_plain(&relay.model).quoted());
    put(&mut fields, "stream", Json::of(&true));
    if let Some(messages) = get(&fields, "messages").filter(|_| history::is_suspect(raw, relay)) {
        let messages = history::readable(messages, relay, &mut notes);
        put(&mut fields, "messages", messages);
    }
    stops(&mut fields, request);
    let lowered = limited(&mut fields, request, relay, &mut notes);
    thoughtful(&mut fields, request, relay, &mut notes);
    budgeted(&mut fields, lowered, &mut notes);
    let mut out = BytesMut::with_capacity(raw.len() + 128);
    emit::object(&mut out, |writer| fields.iter().for_each(|(key, value)| writer.member(key, value)));
    (out.freeze(), notes)
}

/// Drops stop sequences that Anthropic refuses.
fn stops(fields: &mut Vec<(Text, Json)>, request: &Request) {
    let all = &request.limits.stop;
    let accepted: Vec<&String> = all.iter().filter(|stop| takes_stop(stop)).collect();
    if accepted.is_empty() && !all.is_empty() {
        fields.retain(|(key, _)| !key.is("stop_sequences"));
    } else if accepted.len() < all.len() {
        put(fields, "stop_sequences", Json::of(&accepted));
    }
}

/// Sets `max_tokens`, which this protocol requires; returns whether we chose the value. Clients that do not know a model's name
/// send the maximum of the largest model.
fn limited(fields: &mut Vec<(Text, Json)>, request: &Request, relay: &RelayTarget, notes: &mut Notes) -> bool {
    let most = relay.max_output;
    let (limit, verb) = match request.limits.max_tokens {
        None => (most.unwrap_or(MAX_TOKENS), "set"),
        Some(limit) if most.is_some_and(|most| limit > most) => (most.unwrap_or(limit), "lowered"),
        Some(_) => return false,
    };
    notes.add(format!("{verb} max_tokens to {limit}"));
    put(fields, "max_tokens", Json::of(&limit));
    true
}

/// The field `name`; `null` counts as none.
fn get<'f>(fields: &'f [(Text, Json)], name: &str) -> Option<&'f Json> {
    fields.iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value).filter(|value| !value.is_null())
}

/// Sets the field `name` in its place, or adds it at the end.
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

/// Applies the effort of a model suffix, if the client sets neither thinking nor a field that thinking would rule out.
fn thoughtful(fields: &mut Vec<(Text, Json)>, request: &Request, relay: &RelayTarget, notes: &mut Notes) {
    let config = get(fields, "output_config").filter(|config| config.shape() == Shape::Object);
    let has_own_effort =
        get(fields, "thinking").is_some() || config.is_some_and(|config| config.get("effort").is_some());
    if has_own_effort || relay.effort.is_none() {
        return;
    }
    if !request.sampling.is_empty() {
        return notes.add("dropped reasoning effort beside sampling fields");
    }
    let thoughtless = get(fields, "messages").is_some_and(history::is_thoughtless);
    let plan = Plan::of(request, relay, thoughtless, notes);
    if let Some(thinking) = plan.thinking() {
        put(fields, "thinking", thinking);
    }
    if plan.thinks {
        put(fields, "max_tokens", Json::of(&plan.max_tokens));
    }
    if let Some(effort) = plan.effort {
        let config = get(fields, "output_config").cloned();
        let config = config.unwrap_or(Json::EMPTY);
        put(fields, "output_config", set(&config, "effort", &Json::of(effort)));
    }
}

/// The client's own thinking budget: removed if the history rules it out, lowered together with the token limit.
fn budgeted(fields: &mut Vec<(Text, Json)>, lowered: bool, notes: &mut Notes) {
    let enabled = |thinking: &&Json| thinking.text("type").is_some_and(|kind| kind.is("enabled"));
    let Some(thinking) = get(fields, "thinking").filter(enabled).cloned() else { return };
    if get(fields, "messages").is_some_and(history::is_thoughtless) {
        return drop_thinking(fields, THOUGHTLESS, notes);
    }
    let limit = get(fields, "max_tokens").and_then(Json::as_u64);
    let budget = thinking.get("budget_tokens").and_then(|budget| budget.as_u64());
    let (Some(limit), true) = (limit.filter(|limit| budget.is_some_and(|budget| budget >= *limit)), lowered) else {
        return;
    };
    // The limit includes thinking, and some of it must be left for the answer.
    let less = LEAST.max(limit / 2);
    if less >= limit {
        return drop_thinking(fields, "dropped thinking for want of room", notes);
    }
    notes.add(format!("lowered budget_tokens to {less}"));
    put(fields, "thinking", set(&thinking, "budget_tokens", &Json::of(&less)));
}

/// Removes `thinking`, and the rules for old thoughts, which Anthropic refuses without `thinking`.
fn drop_thinking(fields: &mut Vec<(Text, Json)>, why: &str, notes: &mut Notes) {
    notes.add(why);
    fields.retain(|(key, _)| !key.is("thinking"));
    let Some(rules) = get(fields, "context_management").cloned() else { return };
    let edits: Vec<Json> = rules.get("edits").iter().flat_map(Json::elements).collect();
    let about = |edit: &&Json| edit.text("type").is_some_and(|kind| kind.as_str().starts_with("clear_thinking"));
    let others: Vec<&Json> = edits.iter().filter(|edit| !about(edit)).collect();
    if others.len() < edits.len() {
        put(fields, "context_management", set(&rules, "edits", &emit::list(others)));
    }
}
