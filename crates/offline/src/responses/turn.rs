//! A complete answer before its events.

use serde_json::{Map, Value};

use super::cache::Usage;
use super::choose;
use super::item::{ItemContent, OutputItem};
use super::read::CheckedRequest;
use crate::responder::piece;

/// A complete answer before it is streamed.
#[must_use]
pub(crate) struct PlannedResponse {
    /// The initial `response` object.
    pub(super) response: Map<String, Value>,
    pub(super) items: Vec<OutputItem>,
    pub(super) usage: Usage,
    pub(super) ending: ResponseEnd,
    /// Whether to leave out the fields that only the ChatGPT backend sends.
    pub(super) public: bool,
}

/// The end of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ResponseEnd {
    #[default]
    Completed,
    /// `incomplete` for this reason.
    Incomplete(&'static str),
}

impl PlannedResponse {
    /// The answer to a request; `response` is the initial object.
    pub(crate) fn new(ask: &CheckedRequest<'_>, response: Map<String, Value>, usage: Usage) -> Self {
        Self { response, items: choose::items(ask), usage, ending: ResponseEnd::default(), public: false }
    }

    /// The complete items with their ids.
    pub(crate) fn items(&self) -> impl Iterator<Item = Value> + '_ {
        self.items.iter().map(OutputItem::closed)
    }

    /// A prewarm's answer: no output and no tokens.
    pub(crate) fn without_output(self) -> Self {
        let usage = Usage { input: 0, cached: 0, reasoning: 0 };
        Self { items: Vec::new(), usage, ..self }
    }

    /// The answer in the public API's form.
    pub(crate) fn public(self) -> Self {
        Self { public: true, ..self }
    }

    /// Cuts the answer after `tokens` tokens; items after the limit are left out.
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
