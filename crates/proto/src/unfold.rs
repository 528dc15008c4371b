//! Replies that came in another shape than the client asked for, turned back while they stream.
//!
//! OpenAI's upstreams hold their output to a schema only when that describes an object, and know no tuples. A client of another
//! protocol may ask for either, so [`crate::json`]'s schemas put what is no object into the property `__value` of one, and the
//! elements of a tuple into the properties `__0`, `__1` and so on. Here the visible text of the reply is turned back:
//! `{"__value":[{"__0":1,"__1":"a"}]}` becomes `[[1,"a"]]`. Text that has no such names passes as it is, so that an upstream that
//! took the client's own schema is not in the way.

#[cfg(test)]
mod tests;
mod turn;

use self::turn::Turn;
use crate::canon::{Channel, Event, Folded, Item, ItemKind, Part, What};
use crate::fold::Whole;
use crate::protocol::Dialect;
use crate::text::Text;

/// Turns the events of one reply back.
#[derive(Debug)]
pub(crate) struct Unfold {
    folded: Folded,
    /// Text parts in progress: output index, part index.
    parts: Vec<((u32, u32), Turn)>,
}

/// What became of an event.
#[derive(Debug)]
pub(crate) enum Turned {
    /// It passes as it is.
    Same,
    /// Nothing of it is left.
    Gone,
    /// This one stands for it.
    New(Box<Event>),
}

impl Unfold {
    /// For a reply that is folded like this; `None` when there is nothing to do.
    pub(crate) fn new(folded: Folded) -> Option<Self> {
        (folded != Folded::No).then(|| Self { folded, parts: Vec::new() })
    }

    /// The event as the client should see it. Frames go: what they say is changed.
    pub(crate) fn event(&mut self, event: &Event) -> Turned {
        // Only OpenAI's protocols need another shape.
        if event.raw.as_ref().is_some_and(|frame| !matches!(frame.dialect, Dialect::Responses | Dialect::Chat)) {
            return Turned::Same;
        }
        let what = match &event.what {
            What::Delta { at, part, channel: Channel::Text, data } => {
                let data = self.turn((*at, *part)).feed(data);
                if data.is_empty() {
                    return Turned::Gone;
                }
                What::Delta { at: *at, part: *part, channel: Channel::Text, data }
            }
            What::ItemDone { at, item } => What::ItemDone { at: *at, item: item_of(item, self.folded) },
            other => other.clone(),
        };
        Turned::New(Box::new(Event::new(what)))
    }

    fn turn(&mut self, place: (u32, u32)) -> &mut Turn {
        let found = self.parts.iter().position(|(other, _)| *other == place);
        let index = found.unwrap_or_else(|| {
            self.parts.push((place, Turn::new(self.folded)));
            self.parts.len() - 1
        });
        &mut self.parts[index].1
    }
}

/// The collected reply as the client should see it.
pub(crate) fn whole(whole: &Whole, folded: Folded) -> Whole {
    let items = whole.items.iter().map(|item| item_of(item, folded)).collect();
    Whole { items, ..whole.clone() }
}

fn item_of(item: &Item, folded: Folded) -> Item {
    let ItemKind::Message { id, role, parts, phase } = &item.kind else { return item.clone() };
    let parts = parts.iter().map(|part| part_of(part, folded)).collect();
    let kind = ItemKind::Message { id: id.clone(), role: role.clone(), parts, phase: phase.clone() };
    Item { kind, raw: None }
}

fn part_of(part: &Part, folded: Folded) -> Part {
    let Part::Text { text, annotations } = part else { return part.clone() };
    let text: Text = Turn::new(folded).feed(text);
    Part::Text { text, annotations: annotations.clone() }
}
