//! The client's own body for another Gemini upstream: key order and unknown fields stay as they came.

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem;

use super::super::{say, signature};
use super::{Facts, Family, options};
use crate::json::Shape;
use crate::json::patch::{Edit, patch};
use crate::json::pen;
use crate::text::{Json, Text};

/// `raw` for this model.
pub(super) fn body(raw: &Bytes, facts: &Facts<'_>) -> Bytes {
    let body = Json::from_valid(raw.clone());
    // The base64 of our envelopes; a body without any has no state of another upstream.
    let foreign = memmem::find(raw, b"cGcxL").is_some() || facts.without_replay;
    let wish = facts.effort.filter(|_| facts.family != Family::Plain && !has_thinking(&body));
    let mut config = wish;
    let edit = |key: &Text, value: &Json| match key.as_str() {
        // The path names the model.
        "model" => Edit::Drop,
        "contents" if foreign => set(value, &each(value, &|content| content_of(content, facts))),
        "generationConfig" | "generation_config" if value.shape() == Shape::Object => match config.take() {
            Some(effort) => Edit::Set(patch(value, |_, _| Edit::Keep, [("thinkingConfig", thinking(effort, facts))])),
            None => Edit::Keep,
        },
        _ => Edit::Keep,
    };
    let body = patch(&body, edit, []);
    let Some(effort) = config else { return body.bytes().clone() };
    let config = pen::json(|pen| pen.json("thinkingConfig", &thinking(effort, facts)));
    patch(&body, |_, _| Edit::Keep, [("generationConfig", config)]).bytes().clone()
}

fn has_thinking(body: &Json) -> bool {
    let either =
        |json: &Json, names: [&str; 2]| names.map(|name| json.get(name)).into_iter().flatten().collect::<Vec<_>>();
    let configs = either(body, ["generationConfig", "generation_config"]);
    configs.iter().any(|config| !either(config, ["thinkingConfig", "thinking_config"]).is_empty())
}

fn thinking(effort: &str, facts: &Facts<'_>) -> Json {
    pen::json(|pen| match facts.family {
        Family::Level => pen.plain("thinkingLevel", options::level(effort)),
        Family::Budget(most) => pen.number("thinkingBudget", options::budget(effort).min(most)),
        Family::Plain => {}
    })
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
        let (_, state) = signature::read(&text);
        match signature::home(&state).filter(|_| !facts.without_replay) {
            Some(own) if own.plain() == text.plain() => Edit::Keep,
            Some(own) => Edit::Set(own.quoted()),
            None if calls && facts.family == Family::Level => Edit::Set(Text::from_plain(say::UNSIGNED).quoted()),
            None => Edit::Drop,
        }
    };
    patch(part, edit, [])
}

/// Changes each element of a list, or the only one that stands in its place.
fn each(list: &Json, change: &dyn Fn(&Json) -> Json) -> Json {
    if list.shape() != Shape::Array {
        return change(list);
    }
    let mut out = BytesMut::with_capacity(list.bytes().len());
    pen::array(&mut out, list.elements(), |out, element| out.put_slice(change(&element).bytes()));
    Json::from_valid(out.freeze())
}

fn set(old: &Json, new: &Json) -> Edit {
    if old == new { Edit::Keep } else { Edit::Set(new.clone()) }
}
