//! Patches the client's own body for another Gemini upstream: key order and unknown fields stay unchanged.

use bytes::Bytes;
use memchr::memmem;

use super::super::{encode, reasoning_state};
use super::{Facts, options};
use crate::json::Shape;
use crate::json::emit;
use crate::json::patch::{Edit, patch};
use crate::notes::Notes;
use crate::quirks::GeminiThinking;
use crate::text::{Json, Text};

/// Both spellings of the fields that are changed.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
const THINKING: [&str; 2] = ["thinkingConfig", "thinking_config"];
/// The fields that set the thinking effort.
const EFFORT: [&str; 4] = ["thinkingBudget", "thinking_budget", "thinkingLevel", "thinking_level"];

/// `raw` for this model.
pub(super) fn body(raw: &Bytes, facts: &Facts<'_>, notes: &mut Notes) -> Bytes {
    let body = Json::from_valid(raw.clone());
    // The base64 prefix of the gateway's envelopes; a body without it has no state of another upstream.
    let foreign = memmem::find(raw, b"cGcxL").is_some() || facts.without_replay;
    let edit = |key: &Text, value: &Json| match key.as_str() {
        // The path names the model.
        "model" => Edit::Drop,
        "contents" if foreign => set(value, &each(value, &|content| content_of(content, facts))),
        _ => Edit::Keep,
    };
    let body = patch(&body, edit, []);
    let effort = facts.effort.filter(|_| !has_effort(&body));
    let Some(effort) = effort.and_then(|effort| options::effort(facts.thinking, effort, notes)) else {
        return body.bytes().clone();
    };
    let config = |config: &Json| within(config, THINKING, &|it| patch(it, |_, _| Edit::Keep, [effort.clone()]));
    within(&body, CONFIG, &config).bytes().clone()
}

/// Whether the client set the thinking effort.
fn has_effort(body: &Json) -> bool {
    let below = |jsons: Vec<Json>, names: &[&str]| -> Vec<Json> {
        jsons.iter().flat_map(|json| names.iter().filter_map(|name| json.get(name))).collect()
    };
    !below(below(below(vec![body.clone()], &CONFIG), &THINKING), &EFFORT).is_empty()
}

/// Changes the object under one of these names, or adds it under the first.
fn within(json: &Json, names: [&'static str; 2], change: &dyn Fn(&Json) -> Json) -> Json {
    let has = json.fields().any(|(key, value)| names.contains(&key.as_str()) && value.shape() == Shape::Object);
    let fresh = (!has).then(|| (names[0], change(&Json::EMPTY)));
    let edit = |key: &Text, value: &Json| match names.contains(&key.as_str()) {
        true if has && value.shape() == Shape::Object => Edit::Set(change(value)),
        // `null` means that the field is not set.
        true if !has => Edit::Drop,
        _ => Edit::Keep,
    };
    patch(json, edit, fresh)
}

fn content_of(content: &Json, facts: &Facts<'_>) -> Json {
    let edit = |key: &Text, value: &Json| {
        if key.is("parts") { set(value, &each(value, &|part| part_of(part, facts))) } else { Edit::Keep }
    };
    patch(content, edit, [])
}

/// A part with a signature that this upstream can read, or none.
fn part_of(part: &Json, facts: &Facts<'_>) -> Json {
    let calls = part.get("functionCall").or_else(|| part.get("function_call")).is_some();
    let edit = |key: &Text, value: &Json| {
        let Some(text) = value.as_text().filter(|_| key.is("thoughtSignature") || key.is("thought_signature")) else {
            return Edit::Keep;
        };
        let (_, state) = reasoning_state::read(&text);
        match reasoning_state::unwrap_own(&state).filter(|_| !facts.without_replay) {
            Some(own) if own.plain() == text.plain() => Edit::Keep,
            Some(own) => Edit::Set(own.quoted()),
            None if calls && matches!(facts.thinking, GeminiThinking::Level(_)) => {
                Edit::Set(Text::from_plain(encode::UNSIGNED).quoted())
            }
            None => Edit::Drop,
        }
    };
    patch(part, edit, [])
}

/// Changes each element of a list, or the single value in place of a list.
fn each(list: &Json, change: &dyn Fn(&Json) -> Json) -> Json {
    if list.shape() != Shape::Array {
        return change(list);
    }
    emit::list(list.elements().map(|element| change(&element)))
}

fn set(old: &Json, new: &Json) -> Edit {
    if old == new { Edit::Keep } else { Edit::Set(new.clone()) }
}
