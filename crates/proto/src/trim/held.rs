//! Text that waits for a ruling, and the events behind it.

use std::collections::VecDeque;

use crate::canon::Event;

/// The queue of one segment.
#[derive(Debug, Default)]
pub(super) struct HeldQueue(VecDeque<Held>);

/// One entry of the queue.
#[derive(Debug)]
pub(super) enum Held {
    /// Plain text of the segment, not empty.
    Text(String),
    /// An event that must not overtake the text before it.
    Event(Box<Event>),
}

impl HeldQueue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn event(&mut self, event: Event) {
        self.0.push_back(Held::Event(Box::new(event)));
    }

    pub(super) fn text(&mut self, plain: &str) {
        match self.0.back_mut() {
            _ if plain.is_empty() => {}
            Some(Held::Text(text)) => text.push_str(plain),
            _ => self.0.push_back(Held::Text(plain.to_owned())),
        }
    }

    /// Removes the first `bytes` bytes of text, and the events before and between them; also the events right behind the last granted byte.
    pub(super) fn release(&mut self, mut bytes: usize) -> Vec<Held> {
        let mut released = Vec::new();
        while let Some(front) = self.0.pop_front() {
            match front {
                Held::Text(mut text) if bytes < text.len() => {
                    let rest = text.split_off(bytes);
                    self.0.push_front(Held::Text(rest));
                    released.extend((!text.is_empty()).then_some(Held::Text(text)));
                    break;
                }
                Held::Text(text) => {
                    bytes -= text.len();
                    released.push(Held::Text(text));
                }
                event @ Held::Event(_) => released.push(event),
            }
        }
        released
    }
}
