//! Items that we write ourselves.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::encode;
use super::super::reasoning_state::{self, Sealed};
use super::super::wire::Piece;
use super::Writer;
use super::blocks;
use super::searches::Source;
use super::track::Readiness;
use crate::canon::{CallKind, Channel, Head, Item, ItemKind, Thinking, What};
use crate::dialect::image_format;
use crate::json::emit;
use crate::text::{Json, Text};

/// An output index, a part index and a channel.
type PartKey = (u32, u32, Channel);

impl Writer {
    /// The usual event: a piece of the part that is being written.
    pub(super) fn delta(&mut self, key: PartKey, data: &Text, out: &mut BytesMut) {
        let (at, part, channel) = key;
        if data.is_empty() || channel == Channel::Image {
            return;
        }
        self.open(None, out);
        match self.tracks.readiness(at) {
            Readiness::Now => self.piece(key, data, out),
            Readiness::Later => self.tracks.wait(at, &What::Delta { at, part, channel, data: data.clone() }),
            Readiness::Never => {}
        }
    }

    /// Any other event of the item at `at`.
    pub(super) fn item(&mut self, at: u32, what: &What, out: &mut BytesMut) {
        self.open(None, out);
        match self.tracks.readiness(at) {
            Readiness::Now => self.now(what, out),
            Readiness::Later => self.tracks.wait(at, what),
            Readiness::Never => {}
        }
        self.proceed(out);
    }

    /// Writes the waiting events, item by item, up to an item that is not finished.
    fn proceed(&mut self, out: &mut BytesMut) {
        while let Some(waiting) = self.tracks.next() {
            for what in waiting.events() {
                self.now(&what, out);
            }
        }
    }

    /// Ends the reply: writes all waiting items.
    pub(super) fn flush(&mut self, out: &mut BytesMut) {
        loop {
            self.end_custom(out);
            self.blocks.close(out);
            if !self.tracks.drop_live() {
                break;
            }
            self.proceed(out);
        }
        self.results(out);
    }

    fn now(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::ItemOpen { at, head: Head::Call { kind, call_id, name, .. } } => {
                self.call_open(*at, *kind, (call_id, name), out);
            }
            What::Delta { at, part, channel, data } => self.piece((*at, *part, *channel), data, out),
            What::Annotation { at, part, data } => self.annotation((*at, *part), data, out),
            What::ItemDone { at, item } => {
                self.done(*at, item, out);
                self.blocks.close(out);
                self.tracks.done(*at);
                if matches!(item.kind, ItemKind::Message { .. }) {
                    self.results(out);
                }
            }
            _ => {}
        }
    }

    fn piece(&mut self, (at, part, channel): PartKey, data: &Text, out: &mut BytesMut) {
        let Some(piece) = blocks::piece(channel) else { return };
        let thought = piece == Piece::Thinking;
        if thought && self.setting.reply.thinking != Thinking::Shown {
            self.tracks.note_part(part, channel);
            return;
        }
        // All paragraphs of a thought are one block.
        let key = (at, if thought { 0 } else { part });
        if !self.blocks.takes(key, piece) && !self.begin(key, piece, out) {
            return;
        }
        self.stop_signals.refused |= channel == Channel::Refusal;
        let begun = self.tracks.any();
        let same = self.tracks.note_part(part, channel);
        if thought && begun && !same {
            self.blocks.piece(&Text::from_escaped(Bytes::from_static(b"\\n\\n")), out);
        }
        if self.custom && piece == Piece::Input {
            // The text becomes a string inside JSON, which is itself a string.
            return self.blocks.piece(&Text::from_plain(data.as_str()), out);
        }
        self.blocks.piece(data, out);
    }

    /// Begins a block for the part; `false` for the arguments of a call that began as another kind of tool.
    fn begin(&mut self, key: (u32, u32), piece: Piece, out: &mut BytesMut) -> bool {
        match piece {
            Piece::Text => self.blocks.begin(key, Some(piece), out, |writer| {
                writer.string("type", "text");
                writer.string("text", "");
            }),
            Piece::Thinking => self.blocks.begin(key, Some(piece), out, |writer| {
                writer.string("type", "thinking");
                writer.string("thinking", "");
                writer.string("signature", "");
            }),
            Piece::Input | Piece::Signature => return false,
        }
        true
    }

    fn call_open(&mut self, at: u32, kind: CallKind, (call_id, name): (&Text, &Text), out: &mut BytesMut) {
        self.stop_signals.calls = true;
        self.tracks.note_part(u32::MAX, Channel::Arguments);
        self.blocks.begin((at, 0), Some(Piece::Input), out, |writer| {
            writer.string("type", "tool_use");
            writer.text("id", call_id);
            writer.text("name", name);
            writer.literal("input", "{}");
        });
        // A custom tool takes text where this dialect has an object.
        self.custom = kind == CallKind::Custom;
        if self.custom {
            self.blocks.piece(&Text::from_plain(r#"{"input":""#), out);
        }
    }

    fn end_custom(&mut self, out: &mut BytesMut) {
        if std::mem::take(&mut self.custom) {
            self.blocks.piece(&Text::from_plain(r#""}"#), out);
        }
    }

    fn annotation(&mut self, key: (u32, u32), data: &Json, out: &mut BytesMut) {
        self.searches.cite(data);
        let Some(citation) = encode::citation(data) else { return };
        if self.blocks.takes(key, Piece::Text) || self.begin(key, Piece::Text, out) {
            self.blocks.delta(out, |writer| {
                writer.string("type", "citations_delta");
                writer.json("citation", &citation);
            });
        }
    }

    /// Handles a finished item, whose text came in pieces.
    fn done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        match &item.kind {
            ItemKind::Reasoning { id, encrypted, .. } => {
                if let Some(encrypted) = encrypted.as_ref().filter(|state| !state.is_empty()) {
                    self.state(at, &reasoning_state::seal(id.as_ref(), encrypted), out);
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } => {
                // The upstream may have opened it as something else.
                if !self.tracks.has(u32::MAX, Channel::Arguments) {
                    self.call_open(at, *kind, (call_id, name), out);
                    if !input.is_empty() {
                        self.piece((at, 0, Channel::Arguments), input, out);
                    }
                }
                self.end_custom(out);
            }
            ItemKind::Search { action: Some(action), .. } => self.search(at, action, out),
            ItemKind::Image { result, format, .. } if !result.is_empty() => {
                self.image(at, result, format.as_ref(), out);
            }
            _ => {}
        }
    }

    /// Opaque state at the end of a thought, in the block of its text or in a separate block.
    fn state(&mut self, at: u32, sealed: &Sealed, out: &mut BytesMut) {
        match sealed {
            _ if self.setting.reply.thinking == Thinking::Hidden => {}
            Sealed::Redacted(data) => self.blocks.begin((at, 0), None, out, |writer| {
                writer.string("type", "redacted_thinking");
                writer.text("data", data);
            }),
            Sealed::Signature(signature) => {
                if !self.blocks.takes((at, 0), Piece::Thinking) {
                    self.begin((at, 0), Piece::Thinking, out);
                }
                self.blocks.delta(out, |writer| {
                    writer.string("type", Piece::Signature.name());
                    writer.text(Piece::Signature.field(), signature);
                });
            }
        }
    }

    fn search(&mut self, at: u32, action: &Json, out: &mut BytesMut) {
        let Some(query) = encode::query(action) else { return };
        let id = self.searches.begin();
        self.blocks.begin((at, 0), Some(Piece::Input), out, |writer| {
            writer.string("type", "server_tool_use");
            writer.text("id", &id);
            writer.string("name", encode::SEARCH);
            writer.literal("input", "{}");
        });
        let object = emit::json(|writer| writer.text("query", &query));
        self.blocks.piece(&Text::from_plain(object.as_str()), out);
        let sources = encode::sources(action);
        if sources.is_empty() {
            self.searches.wait(id);
        } else {
            self.result(&id, &sources, out);
        }
    }

    /// Writes results for the searches that still have none.
    fn results(&mut self, out: &mut BytesMut) {
        for (id, sources) in self.searches.settle() {
            self.result(&id, &sources, out);
        }
        self.blocks.close(out);
    }

    fn result(&mut self, id: &Text, sources: &[Source], out: &mut BytesMut) {
        self.blocks.begin((u32::MAX, 0), None, out, |writer| {
            writer.string("type", encode::RESULTS);
            writer.text("tool_use_id", id);
            encode::results(writer, "content", sources);
        });
    }

    /// A generated image as Markdown, because this dialect has no block for it.
    fn image(&mut self, at: u32, result: &Text, format: Option<&Text>, out: &mut BytesMut) {
        let mut text = BytesMut::with_capacity(result.escaped().len() + 64);
        text.put_slice(b"![image](data:image/");
        text.put_slice(image_format(format).as_bytes());
        text.put_slice(b";base64,");
        text.put_slice(result.escaped());
        text.put_slice(b")");
        self.piece((at, 0, Channel::Text), &Text::from_escaped(text.freeze()), out);
    }
}
