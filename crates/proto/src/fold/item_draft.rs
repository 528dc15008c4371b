//! One item in the making. Writers that must repeat an item's text at its end keep one as well.
//!
//! A reader keeps a brief one, so that a stream takes constant memory however long it gets: of a long text it forgets what it has
//! said in pieces, and the item comes without its text. Whoever needs that has kept the pieces and puts it in ([`ItemDraft::complete`]).

#[cfg(test)]
mod tests;

use super::chunks::Chunks;
use crate::canon::{Channel, Head, Item, ItemKind, Part};
use crate::json::emit;
use crate::text::{Json, Text};

/// Bytes of text that a brief slot keeps.
pub const BRIEF: usize = 64 << 10;

/// What is known of the item at one output index.
#[derive(Debug, Default)]
pub(crate) struct ItemDraft {
    head: Option<Head>,
    pieces: Vec<Piece>,
    done: Option<Item>,
    length: Length,
}

/// How much text is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Length {
    /// All of it.
    #[default]
    Whole,
    /// So many bytes more.
    Brief(usize),
    /// None any more.
    Forgotten,
}

/// The text of one part so far.
#[derive(Debug)]
struct Piece {
    part: u32,
    channel: Channel,
    text: Chunks,
    /// Characters of the text that are forgotten.
    forgotten: usize,
    annotations: Vec<Json>,
}

impl ItemDraft {
    /// A brief one.
    pub(crate) fn brief() -> Self {
        Self { length: Length::Brief(BRIEF), ..Self::default() }
    }

    /// A brief one of an item that begins like this.
    pub(crate) fn begun(head: &Head) -> Self {
        Self { head: Some(head.clone()), ..Self::brief() }
    }

    pub(crate) fn open(&mut self, head: &Head) {
        self.head.get_or_insert_with(|| head.clone());
    }

    pub(crate) fn delta(&mut self, part: u32, channel: Channel, data: &Text) {
        // A partial image replaces the one before it; the item brings the last.
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

    /// Makes room for more text, or forgets all of it.
    fn reserve(&mut self, more: usize) {
        let Length::Brief(left) = self.length else { return };
        self.length = left.checked_sub(more).map_or(Length::Forgotten, Length::Brief);
        if self.length == Length::Forgotten {
            let texts = self.pieces.iter_mut().filter(|piece| piece.channel != Channel::Arguments);
            texts.for_each(Piece::forget);
        }
    }

    /// Whether the text is forgotten.
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

    /// Puts in the text that came in pieces, where the item was said without any.
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

    /// The item; `None` for one that began as something unknown and never ended.
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

    /// The text of a part, as far as it came.
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
