//! The content of a chat upstream's frames that items have no field for: probabilities, a fingerprint, fields that only some servers have.

use super::encode;
use crate::dialect::Dialect;
use crate::fold::Whole;
use crate::framing::sse;
use crate::json;
use crate::json::emit::ObjectWriter;
use crate::json::pieces::Pieces;
use crate::text::{Json, Text};

/// Fields that the writer sets itself, and the padding of streams.
const BODY: [&str; 7] = ["id", "object", "created", "model", "choices", "usage", "obfuscation"];
const CHOICE: [&str; 5] = ["index", "delta", "message", "finish_reason", "logprobs"];
const MESSAGE: [&str; 9] = [
    "role", "content", "refusal", "reasoning_content", "reasoning", "annotations", "tool_calls", "function_call",
    "images",
];

/// Lists of a message that come in pieces: `OpenRouter` sends its reasoning this way.
const MESSAGE_LISTS: &[&str] = &["reasoning_details"];
/// Probabilities of text and refusal, token by token.
const LOGPROB_LISTS: &[&str] = &["content", "refusal"];

/// Fields that items do not have.
pub(super) struct Extra {
    body: Pieces,
    choice: Pieces,
    logprobs: Pieces,
    message: Pieces,
    /// Images that no item holds, because they are not in a data URL.
    images: Vec<Json>,
    /// The upstream's finish reason.
    finish: Option<Text>,
}

impl Extra {
    pub(super) fn of(whole: &Whole) -> Self {
        let mut extra = Self {
            body: Pieces::new(&[]),
            choice: Pieces::new(&[]),
            logprobs: Pieces::new(LOGPROB_LISTS),
            message: Pieces::new(MESSAGE_LISTS),
            images: Vec::new(),
            finish: None,
        };
        let frames = whole.frames_in(Dialect::Chat).cloned().filter_map(sse::parse);
        frames.filter_map(|frame| json::readable(frame.data)).for_each(|chunk| extra.read(&chunk));
        extra
    }

    fn read(&mut self, chunk: &Json) {
        self.body.add(chunk, &BODY);
        let choice = chunk.get("choices").and_then(|choices| choices.elements().next());
        let first = |choice: &Json| choice.get("index").is_none_or(|index| index.as_u64() == Some(0));
        let Some(choice) = choice.filter(first) else { return };
        self.choice.add(&choice, &CHOICE);
        if let Some(logprobs) = choice.get("logprobs") {
            self.logprobs.add(&logprobs, &[]);
        }
        self.finish = choice.text("finish_reason").filter(|word| !word.is_empty()).or_else(|| self.finish.take());
        if let Some(message) = choice.get("delta").or_else(|| choice.get("message")) {
            self.message.add(&message, &MESSAGE);
            let images = message.get("images").iter().flat_map(Json::elements).collect::<Vec<_>>();
            self.images.extend(images.into_iter().filter(|image| !encode::is_inline_image(image)));
        }
    }

    pub(super) fn body(&self, writer: &mut ObjectWriter<'_>) {
        self.body.write(writer);
    }

    /// Fields of the choice, always with the probabilities.
    pub(super) fn choice(&self, writer: &mut ObjectWriter<'_>) {
        if self.logprobs.is_empty() {
            writer.literal("logprobs", "null");
        } else {
            writer.object("logprobs", |writer| self.logprobs.write_all(writer));
        }
        self.choice.write(writer);
    }

    pub(super) fn message(&self, writer: &mut ObjectWriter<'_>) {
        self.message.write(writer);
    }

    /// Images that no item holds.
    pub(super) fn images(&self) -> &[Json] {
        &self.images
    }

    /// The upstream's finish reason, if `OpenAI` has none with the same meaning.
    pub(super) fn finish(&self) -> Option<&Text> {
        self.finish.as_ref().filter(|word| !encode::has_word_for(&word.plain()))
    }
}
