//! The fields of Gemini replies that the gateway reads. Every leaf stays raw, because servers differ in its type and one odd leaf must not
//! fail a reply.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A `GenerateContentResponse` or an error.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reply<'a> {
    #[serde(borrow, default)]
    pub(super) candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow, default)]
    pub(super) prompt_feedback: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) model_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) response_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

impl Reply<'_> {
    /// Whether the object has a field that only a reply has.
    pub(super) fn has_reply_fields(&self) -> bool {
        let figures = self.usage_metadata.is_some() || self.model_version.is_some() || self.response_id.is_some();
        self.candidates.is_some() || self.prompt_feedback.is_some() || figures
    }
}

/// One candidate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    pub(super) index: Option<u32>,
    #[serde(borrow, default)]
    pub(super) content: Option<Content<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) finish_message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) grounding_metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) citation_metadata: Option<&'a RawValue>,
}

/// The content of a candidate.
#[derive(Debug, Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub(super) parts: Option<Vec<Part<'a>>>,
}

/// One part.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(borrow, default)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) thought: Option<bool>,
    #[serde(borrow, default)]
    pub(super) thought_signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) function_call: Option<Call<'a>>,
    #[serde(borrow, default)]
    pub(super) inline_data: Option<&'a RawValue>,
}

/// A function call, or a piece of one if it has `partial_args`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) args: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) partial_args: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) will_continue: Option<bool>,
}
