//! One item in the making. Writers that must repeat an item's text at its end keep one as well.

use bytes::{Bytes, BytesMut};

use crate::canon::{Channel, Head, Item, ItemKind, Part, Role};
use crate::text::{Json, Text};

/// What is known of the item at one output index.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    head: Option<Head>,
    pieces: Vec<Piece>,
    done: Option<Item>,
}

/// The text of one part so far.
#[derive(Debug)]
struct Piece {
    part: u32,
    channel: Channel,
    text: BytesMut,
    annotations: Vec<Json>,
}

impl Slot {
    pub(crate) fn open(&mut self, head: &Head) {
        self.head.get_or_insert_with(|| head.clone());
    }

    pub(crate) fn delta(&mut self, part: u32, channel: Channel, data: &Text) {
        // A partial image replaces the one before it; the item brings the last.
        if channel != Channel::Image {
            self.piece(part, channel).text.extend_from_slice(data.escaped());
        }
    }

    pub(crate) fn annotation(&mut self, part: u32, data: &Json) {
        self.piece(part, Channel::Text).annotations.push(data.clone());
    }

    pub(crate) fn done(&mut self, item: &Item) {
        self.done = Some(item.clone());
        self.pieces = Vec::new();
    }

    /// The item; `None` for one that began as something unknown and never ended.
    pub(crate) fn item(self) -> Option<Item> {
        if self.done.is_some() {
            return self.done;
        }
        let head = self.head.clone().or_else(|| self.guess())?;
        let kind = match head {
            Head::Message { phase } => {
                ItemKind::Message { id: None, role: Role::Assistant, parts: self.parts(), phase }
            }
            Head::Reasoning => ItemKind::Reasoning {
                id: None,
                summary: self.texts(Channel::Summary),
                text: self.texts(Channel::Reasoning),
                encrypted: None,
            },
            Head::Call { kind, call_id, name, namespace } => {
                let input = self.texts(Channel::Arguments).into_iter().next().unwrap_or_default();
                ItemKind::Call { kind, id: None, call_id, name, namespace, input }
            }
            Head::Search => ItemKind::Search { id: None, action: None },
            Head::Image | Head::Other => return None,
        };
        Some(Item { kind, raw: None })
    }

    /// The head of an item whose opening was never said.
    fn guess(&self) -> Option<Head> {
        match self.pieces.first()?.channel {
            Channel::Text | Channel::Refusal => Some(Head::Message { phase: None }),
            Channel::Reasoning | Channel::Summary => Some(Head::Reasoning),
            Channel::Arguments | Channel::Image => None,
        }
    }

    fn parts(&self) -> Vec<Part> {
        self.pieces.iter().filter_map(Piece::as_part).collect()
    }

    fn texts(&self, channel: Channel) -> Vec<Text> {
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
                let piece = Piece { part, channel, text: BytesMut::new(), annotations: Vec::new() };
                self.pieces.insert(index, piece);
                index
            }
        };
        &mut self.pieces[index]
    }
}

impl Piece {
    fn text(&self) -> Text {
        Text::from_escaped(Bytes::copy_from_slice(&self.text))
    }

    fn as_part(&self) -> Option<Part> {
        match self.channel {
            Channel::Text => Some(Part::Text { text: self.text(), annotations: self.annotations() }),
            Channel::Refusal => Some(Part::Refusal(self.text())),
            _ => None,
        }
    }

    fn annotations(&self) -> Option<Json> {
        if self.annotations.is_empty() {
            return None;
        }
        let mut list = BytesMut::from(&b"["[..]);
        for (index, annotation) in self.annotations.iter().enumerate() {
            if index > 0 {
                list.extend_from_slice(b",");
            }
            list.extend_from_slice(annotation.bytes());
        }
        list.extend_from_slice(b"]");
        Some(Json::from_valid(list.freeze()))
    }
}
