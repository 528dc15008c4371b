//! The items of a collected reply as one message, for protocols whose body has one field for each kind of content.

use bytes::{BufMut, BytesMut};

use crate::canon::{CallKind, Item, ItemKind, Part};
use crate::text::{Json, Text};

/// The content of such a message; texts are escaped and joined.
#[derive(Debug, Default)]
pub(super) struct Collected<'w> {
    /// The text; includes refusals where they have no field of their own.
    pub(super) text: BytesMut,
    /// Whether there is a part of text, perhaps an empty one.
    pub(super) has_text: bool,
    pub(super) refusal: BytesMut,
    /// Paragraphs with a blank line between them.
    pub(super) reasoning: BytesMut,
    /// Citations of the text, unchanged.
    pub(super) citations: Vec<Json>,
    pub(super) calls: Vec<Call<'w>>,
    /// Data and format of each image.
    pub(super) images: Vec<(&'w Text, Option<&'w Text>)>,
}

/// A call: kind, id, name and input.
pub(super) type Call<'w> = (CallKind, &'w Text, &'w Text, &'w Text);

/// Where refusals go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusals {
    /// In a separate field.
    Apart,
    /// In the text.
    InText,
}

impl<'w> Collected<'w> {
    /// Collects the items.
    pub(super) fn of(items: impl IntoIterator<Item = &'w Item>, refusals: Refusals) -> Self {
        let mut message = Self::default();
        for item in items {
            message.add(&item.kind, refusals);
        }
        message
    }

    fn add(&mut self, kind: &'w ItemKind, refusals: Refusals) {
        match kind {
            ItemKind::Message { parts, .. } => parts.iter().for_each(|part| self.part(part, refusals)),
            ItemKind::Reasoning { summary, text, .. } => {
                for paragraph in summary.iter().chain(text).filter(|text| !text.is_empty()) {
                    if !self.reasoning.is_empty() {
                        self.reasoning.put_slice(b"\\n\\n");
                    }
                    self.reasoning.put_slice(paragraph.escaped());
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } => self.calls.push((*kind, call_id, name, input)),
            ItemKind::Image { result, format, .. } if !result.is_empty() => {
                self.images.push((result, format.as_ref()));
            }
            ItemKind::Output { .. } | ItemKind::Search { .. } | ItemKind::Image { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn part(&mut self, part: &Part, refusals: Refusals) {
        match part {
            Part::Text { text, annotations } => {
                self.has_text = true;
                self.text.put_slice(text.escaped());
                self.citations.extend(annotations.iter().flat_map(Json::elements));
            }
            Part::Refusal(refusal) if refusals == Refusals::InText => self.text.put_slice(refusal.escaped()),
            Part::Refusal(refusal) => self.refusal.put_slice(refusal.escaped()),
            Part::Image { .. } | Part::File { .. } | Part::Other(_) => {}
        }
    }
}
