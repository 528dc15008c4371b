//! What the frames of a chat upstream say beside what items have a place for: probabilities, a fingerprint, fields that only some
//! servers have.

use crate::dialect::Dialect;
use crate::fold::Whole;
use crate::framing::sse;
use crate::json;
use crate::json::patch::{lay, merged};
use crate::json::pen::Pen;
use crate::text::{Json, Text};

/// Fields that the body is written with anyway, and padding of streams.
const BODY: [&str; 7] = ["id", "object", "created", "model", "choices", "usage", "obfuscation"];
const CHOICE: [&str; 4] = ["index", "delta", "message", "finish_reason"];
const MESSAGE: [&str; 9] = [
    "role",
    "content",
    "refusal",
    "reasoning_content",
    "reasoning",
    "annotations",
    "tool_calls",
    "function_call",
    "images",
];

/// Fields that no item has.
#[derive(Default)]
pub(super) struct Extra {
    body: Vec<(Text, Json)>,
    choice: Vec<(Text, Json)>,
    message: Vec<(Text, Json)>,
}

impl Extra {
    pub(super) fn of(whole: &Whole) -> Self {
        let mut extra = Self::default();
        let frames = whole.own(Dialect::Chat).cloned().filter_map(sse::parse);
        frames.filter_map(|frame| json::readable(frame.data)).for_each(|chunk| extra.read(&chunk));
        extra
    }

    fn read(&mut self, chunk: &Json) {
        take(&mut self.body, chunk, &BODY);
        let choice = chunk.get("choices").and_then(|choices| choices.elements().next());
        let first = |choice: &Json| choice.get("index").is_none_or(|index| index.as_u64() == Some(0));
        let Some(choice) = choice.filter(first) else { return };
        take(&mut self.choice, &choice, &CHOICE);
        if let Some(message) = choice.get("delta").or_else(|| choice.get("message")) {
            take(&mut self.message, &message, &MESSAGE);
        }
    }

    pub(super) fn body(&self, pen: &mut Pen<'_>) {
        self.body.iter().for_each(|(key, value)| pen.member(key, value));
    }

    /// Fields of the choice, the probabilities always among them.
    pub(super) fn choice(&self, pen: &mut Pen<'_>) {
        if !self.choice.iter().any(|(key, _)| key.is("logprobs")) {
            pen.word("logprobs", "null");
        }
        self.choice.iter().for_each(|(key, value)| pen.member(key, value));
    }

    pub(super) fn message(&self, pen: &mut Pen<'_>) {
        self.message.iter().for_each(|(key, value)| pen.member(key, value));
    }
}

/// Lays the fields of `object` that are not `known` over those that came before; lists in them go on.
fn take(fields: &mut Vec<(Text, Json)>, object: &Json, known: &[&str]) {
    for (key, value) in object.fields().filter(|(key, value)| !known.contains(&key.as_str()) && !value.is_null()) {
        let before = fields.iter().find(|(name, _)| *name == key);
        let value = before.map_or(value.clone(), |(_, before)| merged(before, &value));
        lay(fields, key, value);
    }
}
