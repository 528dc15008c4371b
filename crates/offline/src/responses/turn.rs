//! All of an answer before it has events.

use serde_json::{Map, Value};

use super::cache::Usage;
use super::choose;
use super::item::{ItemContent, OutputItem};
use super::read::CheckedRequest;
use crate::responder::piece;

/// All of an answer before it is streamed.
#[must_use]
pub(crate) struct PlannedResponse {
    /// The `response` object as created.
    pub(super) response: Map<String, Value>,
    pub(super) items: Vec<OutputItem>,
    pub(super) usage: Usage,
    pub(super) ending: ResponseEnd,
    /// Without what only the ChatGPT backend says.
    pub(super) public: bool,
}

/// How a response ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResponseEnd {
    #[default]
    Completed,
    /// `incomplete` for this reason.
    Incomplete(&'static str),
}

impl PlannedResponse {
    /// The answer to a request; `response` is the object as created.
    pub(crate) fn new(ask: &CheckedRequest<'_>, response: Map<String, Value>, usage: Usage) -> Self {
        Self { response, items: choose::items(ask), usage, ending: ResponseEnd::default(), public: false }
    }

    /// The items as they will be, with their ids.
    pub(crate) fn items(&self) -> impl Iterator<Item = Value> + '_ {
        self.items.iter().map(OutputItem::closed)
    }

    /// A prewarm's answer: nothing is said, and nothing counted.
    pub(crate) fn silent(self) -> Self {
        let usage = Usage { input: 0, cached: 0, reasoning: 0 };
        Self { items: Vec::new(), usage, ..self }
    }

    /// As the public API says it.
    pub(crate) fn public(self) -> Self {
        Self { public: true, ..self }
    }

    /// Ends the answer after so many tokens; what would begin after them is left out.
    pub(crate) fn limited(mut self, tokens: u64) -> Self {
        let mut left = tokens.saturating_sub(self.usage.reasoning);
        let mut kept = Vec::new();
        for mut out in self.items {
            let text = out.what.text_mut();
            let length = text.as_ref().map_or(0, |text| piece::count(text));
            if length <= left {
                left -= length;
                kept.push(out);
                continue;
            }
            self.ending = ResponseEnd::Incomplete("max_output_tokens");
            if let Some(text) = text {
                *text = piece::cut(text, left).to_owned();
            }
            out.cut = true;
            if matches!(out.what, ItemContent::Message { .. }) {
                kept.push(out);
            }
            break;
        }
        Self { items: kept, ..self }
    }
}
