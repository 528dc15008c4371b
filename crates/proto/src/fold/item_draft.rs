//! One item in progress. Writers that must repeat an item's text at its end hold a draft as well.
//!
//! A reader holds a brief draft, so that a stream takes constant memory at any length: the draft drops a long text that was passed on in
//! pieces, and the item comes without that text. Code that needs the text stores the pieces and puts them into the item
//! ([`ItemDraft::complete`]).

#[cfg(test)]
mod tests;

use super::chunks::Chunks;
use crate::canon::{Channel, Head, Item, ItemKind, Part};
use crate::json::emit;
use crate::text::{Json, Text};

/// Bytes of text that a brief draft stores.
pub const BRIEF: usize = 64 << 10;

/// The known data of the item at one output index.
#[derive(Debug, Default)]
pub(crate) struct ItemDraft {
    head: Option<Head>,
    pieces: Vec<Piece>,
    done: Option<Item>,
    length: Length,
}

/// How much text is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    /// All text.
    #[default]
    Whole,
    /// At most this many further bytes.
    Brief(usize),
    /// No text: it was dropped.
    Forgotten,
}

/// The text of one part so far.
#[derive(Debug)]
struct Piece {
    part: u32,
    channel: Channel,
    text: Chunks,
    /// Characters of the text that were dropped.
    forgotten: usize,
    annotations: Vec<Json>,
}

impl ItemDraft {
    /// A brief draft.
    pub(crate) fn brief() -> Self {
        Self { length: Length::Brief(BRIEF), ..Self::default() }
    }

    /// A brief draft of an item with this head.
    pub(crate) fn begun(head: &Head) -> Self {
        Self { head: Some(head.clone()), ..Self::brief() }
    }

    pub(crate) fn open(&mut self, head: &Head) {
        self.head.get_or_insert_with(|| head.clone());
    }

    pub(crate) fn delta(&mut self, part: u32, channel: Channel, data: &Text) {
        // A partial image replaces the previous one; the item has the last one.
        if channel == Channel::Image {
            return;
        }
        if channel != Channel::Arguments {
            self.reserve(data.escaped().len());
        }
        let forgotten = self.length == Length::Forgotten && channel != Channel::Arguments;
        let piece = self.piece(part, channel);
        if forgotten {
            piece.forgotten += data.plain().chars().count();
        } else {
            piece.text.push(data.escaped());
        }
    }

    /// Makes room for more text, or drops all text.
    fn reserve(&mut self, more: usize) {
        let Length::Brief(left) = self.length else { return };
        self.length = left.checked_sub(more).map_or(Length::Forgotten, Length::Brief);
        if self.length == Length::Forgotten {
            let texts = self.pieces.iter_mut().filter(|piece| piece.channel != Channel::Arguments);
            texts.for_each(Piece::forget);
        }
    }

    /// Whether the text was dropped.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.length == Length::Forgotten
    }

    /// The characters of a part's text so far.
    pub(crate) fn text_length(&self, part: u32, channel: Channel) -> usize {
        let mut parts = self.pieces.iter().filter(|piece| piece.part == part && piece.channel == channel);
        parts.next().map_or(0, |piece| piece.forgotten + piece.text().plain().chars().count())
    }

    pub(crate) fn annotation(&mut self, part: u32, data: &Json) {
        self.piece(part, Channel::Text).annotations.push(data.clone());
    }

    pub(crate) fn done(&mut self, item: &Item) {
        let mut item = item.clone();
        self.complete(&mut item);
        self.done = Some(item);
        self.pieces = Vec::new();
    }

    /// Puts the text that came in pieces into an item that came without any.
    pub(crate) fn complete(&self, item: &mut Item) {
        match &mut item.kind {
            _ if item.raw.is_some() => {}
            ItemKind::Message { parts, .. } if parts.is_empty() => *parts = self.parts(),
            ItemKind::Reasoning { summary, text, .. } if summary.is_empty() && text.is_empty() => {
                *summary = self.texts(Channel::Summary);
                *text = self.texts(Channel::Reasoning);
            }
            _ => {}
        }
    }

    /// The item; `None` for an item that began with an unknown type and never ended.
    pub(crate) fn item(self) -> Option<Item> {
        if self.done.is_some() {
            return self.done;
        }
        let head = self.head.clone().or_else(|| Head::of_channel(self.pieces.first()?.channel))?;
        let mut item = Item { kind: ItemKind::begun(&head), raw: None };
        match &mut item.kind {
            ItemKind::Call { input, .. } => {
                *input = self.texts(Channel::Arguments).into_iter().next().unwrap_or_default();
            }
            ItemKind::Image { .. } | ItemKind::Other { .. } => return None,
            _ => self.complete(&mut item),
        }
        Some(item)
    }

    fn parts(&self) -> Vec<Part> {
        if self.is_forgotten() {
            return Vec::new();
        }
        self.pieces.iter().filter_map(Piece::as_part).collect()
    }

    fn texts(&self, channel: Channel) -> Vec<Text> {
        if self.is_forgotten() && channel != Channel::Arguments {
            return Vec::new();
        }
        self.pieces.iter().filter(|piece| piece.channel == channel).map(Piece::text).collect()
    }

    /// The text of a part so far.
    pub(crate) fn text(&self, part: u32, channel: Channel) -> Text {
        self.pieces.iter().find(|p| p.part == part && p.channel == channel).map(Piece::text).unwrap_or_default()
    }

    fn piece(&mut self, part: u32, channel: Channel) -> &mut Piece {
        let found = self.pieces.binary_search_by_key(&(part, channel as u8), |p| (p.part, p.channel as u8));
        let index = match found {
            Ok(index) => index,
            Err(index) => {
                let piece = Piece { part, channel, text: Chunks::default(), forgotten: 0, annotations: Vec::new() };
                self.pieces.insert(index, piece);
                index
            }
        };
        &mut self.pieces[index]
    }
}

impl Piece {
    fn forget(&mut self) {
        self.forgotten += self.text().plain().chars().count();
        self.text = Chunks::default();
    }

    fn text(&self) -> Text {
        Text::from_escaped(self.text.to_bytes())
    }

    fn as_part(&self) -> Option<Part> {
        match self.channel {
            Channel::Text => Some(Part::Text { text: self.text(), annotations: self.annotations() }),
            Channel::Refusal => Some(Part::Refusal(self.text())),
            _ => None,
        }
    }

    fn annotations(&self) -> Option<Json> {
        (!self.annotations.is_empty()).then(|| emit::list(&self.annotations))
    }
}
