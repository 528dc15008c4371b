//! Turns events into lines of JSON.
//!
//! The constant part of each line is rendered once; a text delta then costs three copies into the output and no allocation. A call is one
//! line, written when its arguments are complete, or at the end of a reply that never marked them complete; text is never repeated: the
//! last line has none.

mod line;

use std::time::Duration;

use bytes::BytesMut;

use self::line::LineWriter;
use super::encode;
use super::write_error;
use crate::canon::{Channel, Event, Finish, Head, Item, ItemKind, PartKey, Thinking, Usage, What};
use crate::dialect::ReplySetting;
use crate::dialect::open_calls::OpenCalls;
use crate::dialect::paragraphs::Paragraphs;
use crate::fold::Timing;
use crate::text::Text;

/// Turns events into Ollama's lines.
#[derive(Debug)]
pub struct Writer {
    line: LineWriter,
    paragraphs: Paragraphs,
    /// Calls so far.
    calls: usize,
    open: OpenCalls,
    /// Whether reasoning is left out.
    silent: bool,
    usage: Option<Usage>,
    timing: Timing,
    elapsed: Duration,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            silent: setting.reply.thinking == Thinking::Hidden,
            line: LineWriter::new(setting),
            paragraphs: Paragraphs::default(),
            calls: 0,
            open: OpenCalls::default(),
            usage: None,
            timing: Timing::default(),
            elapsed: Duration::ZERO,
        }
    }

    /// Sets the time since the request arrived.
    pub(in crate::dialect) fn at(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
        self.line.at(elapsed);
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        self.timing.see(&event.what, self.elapsed);
        match &event.what {
            What::Open(open) => self.line.open(open.model.as_ref()),
            What::ItemOpen { at, head: head @ Head::Call { .. } } => self.open.open(*at, head),
            What::Delta { at, part, channel, data } => {
                self.delta(PartKey { at: *at, part: *part, channel: *channel }, data, out);
            }
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => {
                write_error(failure, out);
                out.extend_from_slice(b"\n");
            }
            // Ollama's messages have no field for citations.
            What::ItemOpen { .. }
            | What::Annotation { .. }
            | What::Limits(_)
            | What::Metadata(_)
            | What::Stopped(_)
            | What::Piece { .. }
            | What::Note(_)
            | What::Other => {}
        }
    }

    /// A line with an empty text.
    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        self.line.text("", out);
    }

    fn delta(&mut self, part: PartKey, data: &Text, out: &mut BytesMut) {
        if data.is_empty() {
            return;
        }
        match part.channel {
            Channel::Text | Channel::Refusal => self.line.text(data.as_str(), out),
            Channel::Reasoning | Channel::Summary if self.silent => {}
            Channel::Reasoning | Channel::Summary => {
                if self.paragraphs.begins(part) {
                    self.line.thinking("\\n\\n", out);
                }
                self.line.thinking(data.as_str(), out);
            }
            Channel::Arguments => self.open.delta(part.at, part.part, data),
            // Images are sent whole.
            Channel::Image => {}
        }
    }

    /// An item is complete. Its text came in deltas.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        match &item.kind {
            ItemKind::Call { .. } if self.open.done(at, item) => {
                self.call(&item.kind, out);
            }
            ItemKind::Image { result, .. } if !result.is_empty() => self.line.image(result, out),
            _ => {}
        }
    }

    fn call(&mut self, call: &ItemKind, out: &mut BytesMut) {
        let ItemKind::Call { kind, call_id, name, input, .. } = call else { return };
        if self.line.generates() {
            // `/api/generate` offers no tools.
            return;
        }
        let call = (*kind, call_id, name, input);
        let index = self.calls;
        self.calls += 1;
        self.line.message(out, |writer| writer.array("tool_calls", [()], |out, ()| encode::call(out, index, call)));
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open.rest(finish).iter().for_each(|call| self.call(call, out));
        let (usage, timing) = (self.usage, self.timing);
        self.line.last(out, |writer| encode::done(writer, finish, usage, &timing));
    }
}
