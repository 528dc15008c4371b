//! Content blocks for the client: their indexes, starts and ends.

use bytes::{BufMut, BytesMut};

use super::super::wire::Piece;
use super::frame;
use crate::canon::Channel;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// The bytes after a piece.
const TAIL: &[u8] = b"\"}}\n\n";

/// The blocks of one reply.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// The index of the next block.
    next: u64,
    open: Option<Open>,
    /// `event: content_block_delta ... "text":"` of the open block; rendered once for each block.
    head: BytesMut,
}

/// The block that is open.
#[derive(Debug)]
struct Open {
    index: u64,
    /// The kind of the block's pieces; `None` for blocks without pieces, or of a kind that we do not write.
    piece: Option<Piece>,
    /// Output index and part of the block; `None` when the upstream's own frames began the block.
    key: Option<(u32, u32)>,
}

impl Blocks {
    /// Whether the open block takes pieces of this part: a block that we began for the part, or any block that the upstream began.
    pub(super) fn takes(&self, key: (u32, u32), piece: Piece) -> bool {
        let fits = |open: &Open| open.piece == Some(piece) && open.key.is_none_or(|own| own == key);
        self.open.as_ref().is_some_and(fits)
    }

    /// Ends the open block and begins a new one; `members` are the members of the new block's start.
    pub(super) fn begin(
        &mut self,
        key: (u32, u32),
        piece: Option<Piece>,
        out: &mut BytesMut,
        members: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        self.close(out);
        let index = self.next;
        self.next += 1;
        frame("content_block_start", out, |writer| {
            writer.number("index", index);
            writer.object("content_block", members);
        });
        self.open = Some(Open { index, piece, key: Some(key) });
        self.render();
    }

    /// A block that the upstream's frame begins.
    pub(super) fn adopt(&mut self, event: &Json) {
        let index = event.get("index").and_then(|index| index.as_u64()).unwrap_or(self.next);
        let kind = event.get("content_block").and_then(|block| block.text("type")).unwrap_or_default();
        let piece = match kind.plain().as_ref() {
            "text" => Some(Piece::Text),
            "thinking" => Some(Piece::Thinking),
            "tool_use" => Some(Piece::Input),
            _ => None,
        };
        self.next = index.saturating_add(1);
        self.open = Some(Open { index, piece, key: None });
        self.render();
    }

    /// The upstream's frame ended the open block.
    pub(super) fn release(&mut self) {
        self.open = None;
    }

    /// A piece of the open block.
    pub(super) fn piece(&self, text: &Text, out: &mut BytesMut) {
        out.reserve(self.head.len() + text.escaped().len() + TAIL.len());
        out.put_slice(&self.head);
        out.put_slice(text.escaped());
        out.put_slice(TAIL);
    }

    /// A delta of the open block of another kind than usual.
    pub(super) fn delta(&self, out: &mut BytesMut, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        let Some(open) = &self.open else { return };
        frame("content_block_delta", out, |writer| {
            writer.number("index", open.index);
            writer.object("delta", members);
        });
    }

    /// Ends the open block.
    pub(super) fn close(&mut self, out: &mut BytesMut) {
        if let Some(open) = self.open.take() {
            frame("content_block_stop", out, |writer| writer.number("index", open.index));
        }
    }

    fn render(&mut self) {
        self.head.clear();
        let Some(Open { index, piece: Some(piece), .. }) = self.open else { return };
        let head = &mut self.head;
        head.put_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        emit::digits(head, index);
        head.put_slice(b",\"delta\":{\"type\":\"");
        head.put_slice(piece.name().as_bytes());
        head.put_slice(b"\",\"");
        head.put_slice(piece.field().as_bytes());
        head.put_slice(b"\":\"");
    }
}

/// The kind of a channel's pieces in this dialect; `None` for partial images, which this dialect cannot express.
pub(super) fn piece(channel: Channel) -> Option<Piece> {
    match channel {
        Channel::Text | Channel::Refusal => Some(Piece::Text),
        Channel::Reasoning | Channel::Summary => Some(Piece::Thinking),
        Channel::Arguments => Some(Piece::Input),
        Channel::Image => None,
    }
}
