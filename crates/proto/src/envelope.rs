//! Converts replies in another shape than the client asked for back to that shape, while they stream.
//!
//! OpenAI's upstreams apply a schema to their output only when the schema describes an object, and do not support tuples. A client of
//! another protocol may ask for either, so [`crate::json`]'s schemas put a value that is not an object into the property `__value` of one,
//! and the elements of a tuple into the properties `__0`, `__1` and so on. This module converts the visible text of the reply back:
//! `{"__value":[{"__0":1,"__1":"a"}]}` becomes `[[1,"a"]]`. Text without such names passes as it is, so a reply to the client's own schema
//! passes unchanged.

#[cfg(test)]
mod tests;
mod text;

use self::text::TextUnwrapper;
use crate::canon::{Channel, Event, Item, ItemKind, Part, SchemaEnvelope, What};
use crate::fold::Whole;
use crate::protocol::Dialect;
use crate::text::Text;

/// Converts the events of one reply back.
#[derive(Debug)]
pub(crate) struct Unwrapper {
    envelope: SchemaEnvelope,
    /// Text parts in progress: output index, part index.
    parts: Vec<((u32, u32), TextUnwrapper)>,
}

/// The result of converting an event.
#[derive(Debug)]
pub(crate) enum Rewrite {
    /// The event passes as it is.
    Keep,
    /// The event disappears.
    Drop,
    /// This event replaces it.
    Replace(Box<Event>),
}

impl Unwrapper {
    /// For a reply with this envelope; `None` when nothing needs converting.
    pub(crate) fn new(envelope: SchemaEnvelope) -> Option<Self> {
        (envelope != SchemaEnvelope::None).then(|| Self { envelope, parts: Vec::new() })
    }

    /// The event as the client should see it. Frames are dropped, because their content changes.
    pub(crate) fn event(&mut self, event: &Event) -> Rewrite {
        // Only OpenAI's protocols need another shape.
        if event.carrier.dialect().is_some_and(|dialect| !matches!(dialect, Dialect::Responses | Dialect::Chat)) {
            return Rewrite::Keep;
        }
        let what = match &event.what {
            What::Delta { at, part, channel: Channel::Text, data } => {
                let data = self.part((*at, *part)).feed(data);
                if data.is_empty() {
                    return Rewrite::Drop;
                }
                What::Delta { at: *at, part: *part, channel: Channel::Text, data }
            }
            What::ItemDone { at, item } => What::ItemDone { at: *at, item: item_of(item, self.envelope) },
            other => other.clone(),
        };
        Rewrite::Replace(Box::new(Event::new(what)))
    }

    fn part(&mut self, key: (u32, u32)) -> &mut TextUnwrapper {
        let found = self.parts.iter().position(|(other, _)| *other == key);
        let index = found.unwrap_or_else(|| {
            self.parts.push((key, TextUnwrapper::new(self.envelope)));
            self.parts.len() - 1
        });
        &mut self.parts[index].1
    }
}

/// The collected reply as the client should see it.
pub(crate) fn whole(whole: &Whole, envelope: SchemaEnvelope) -> Whole {
    let items = whole.items.iter().map(|item| item_of(item, envelope)).collect();
    Whole { items, ..whole.clone() }
}

fn item_of(item: &Item, envelope: SchemaEnvelope) -> Item {
    let ItemKind::Message { id, role, parts, phase } = &item.kind else { return item.clone() };
    let parts = parts.iter().map(|part| part_of(part, envelope)).collect();
    let kind = ItemKind::Message { id: id.clone(), role: role.clone(), parts, phase: phase.clone() };
    Item::from(kind)
}

fn part_of(part: &Part, envelope: SchemaEnvelope) -> Part {
    let Part::Text { text, annotations } = part else { return part.clone() };
    let text: Text = TextUnwrapper::new(envelope).feed(text);
    Part::Text { text, annotations: annotations.clone() }
}
