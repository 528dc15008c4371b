//! Turns events into Gemini's streams: SSE frames, or one JSON array.
//!
//! The constant part of each frame is rendered once, when the reply opens; a text delta then costs three copies into the output and no
//! allocation. Frames of a Gemini upstream pass unchanged. A call is sent when it is complete.

mod frames;
mod sources;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::frames::Frames;
pub(super) use self::sources::Sources;
use super::{encode, reasoning_state};
use crate::canon::{Channel, Event, Finish, Head, Item, ItemKind, Open, Part, PartKey, Usage, What};
use crate::dialect::open_calls::OpenCalls;
use crate::dialect::paragraphs::Paragraphs;
use crate::dialect::{Dialect, ReplySetting};
use crate::failure::Failure;
use crate::framing::sse;
use crate::json;
use crate::text::{Json, Text};

/// Turns events into Gemini bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    opened: bool,
    frames: Frames,
    paragraphs: Paragraphs,
    calls: OpenCalls,
    /// Output indices of the calls and images that were sent.
    whole: Vec<u32>,
    /// State that waits for the first call, or for the end of a reply without calls. Google does not sign text before a call, and some
    /// clients send back signed parts only.
    pending: Option<Text>,
    sources: Sources,
    usage: Option<Usage>,
    /// Whether a frame with a finish reason was sent.
    finish_sent: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            frames: Frames::new(&setting.reply),
            setting,
            opened: false,
            paragraphs: Paragraphs::default(),
            calls: OpenCalls::default(),
            whole: Vec::new(),
            pending: None,
            sources: Sources::default(),
            usage: None,
            finish_sent: false,
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event.passed_in(Dialect::Gemini) {
            Some(frame) => self.pass(&event.what, frame, out),
            None => self.write_event(&event.what, out),
        }
    }

    fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open)),
            What::Delta { at, part, channel, data } => {
                self.delta(PartKey { at: *at, part: *part, channel: *channel }, data, out);
            }
            What::Annotation { at, part, data } => self.sources.cite((*at, *part), data),
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => self.fail(failure, out),
            What::ItemOpen { at, head: head @ Head::Call { .. } } => self.calls.open(*at, head),
            What::ItemOpen { .. }
            | What::Limits(_)
            | What::Metadata(_)
            | What::Stopped(_)
            | What::Piece { .. }
            | What::Note(_)
            | What::Other => {}
        }
    }

    fn open(&mut self, open: Option<&Open>) {
        if !std::mem::replace(&mut self.opened, true) {
            self.frames.prepare(&self.setting, open);
        }
    }

    fn delta(&mut self, part: PartKey, data: &Text, out: &mut BytesMut) {
        self.open(None);
        // Calls and images are sent whole.
        match part.channel {
            _ if data.is_empty() => return,
            Channel::Arguments => return self.calls.delta(part.at, part.part, data),
            Channel::Image => return,
            _ => {}
        }
        if !matches!(part.channel, Channel::Reasoning | Channel::Summary) {
            return self.frames.text(data, out);
        }
        if self.paragraphs.begins(part) {
            self.frames.thought(&Text::from_escaped(Bytes::from_static(b"\\n\\n")), out);
        }
        self.frames.thought(data, out);
    }

    /// An item is complete. Its text came in deltas.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        self.open(None);
        match &item.kind {
            ItemKind::Message { parts, .. } => {
                for (index, part) in (0..).zip(parts) {
                    if let Part::Text { text, .. } = part {
                        self.sources.text((at, index), text, None);
                    }
                }
            }
            ItemKind::Reasoning { id, encrypted: Some(encrypted), .. } => {
                self.flush_signature(out);
                self.pending = Some(reasoning_state::write(id.as_ref(), encrypted));
            }
            ItemKind::Call { .. } if self.calls.done(at, item) && self.is_new(at) => {
                self.call(&item.kind, out);
            }
            ItemKind::Image { result, format, .. } if !result.is_empty() && self.is_new(at) => {
                let state = self.pending.take();
                self.frames.parts(out, |writer| {
                    encode::image(writer, result, format.as_ref());
                    writer.optional_text("thoughtSignature", state.as_ref());
                });
            }
            ItemKind::Search { action, .. } => self.sources.searched(action.as_ref()),
            _ => {}
        }
    }

    fn call(&mut self, call: &ItemKind, out: &mut BytesMut) {
        let ItemKind::Call { kind, call_id, name, input, .. } = call else { return };
        let state = self.pending.take();
        self.frames.parts(out, |writer| {
            encode::call(writer, *kind, (call_id, name, input));
            writer.optional_text("thoughtSignature", state.as_ref());
        });
    }

    /// Records that the item at `at` is sent whole; `false` if it was sent before.
    fn is_new(&mut self, at: u32) -> bool {
        let new = !self.whole.contains(&at);
        self.whole.push(at);
        new
    }

    /// Sends pending state in a separate empty thought, before other state replaces it.
    fn flush_signature(&mut self, out: &mut BytesMut) {
        let Some(state) = self.pending.take() else { return };
        self.frames.parts(out, |writer| {
            writer.string("text", "");
            writer.literal("thought", "true");
            writer.text("thoughtSignature", &state);
        });
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open(None);
        self.calls.rest(finish).iter().for_each(|call| self.call(call, out));
        // The upstream's own last frame may have been sent already, with its counts still to come.
        if !self.finish_sent {
            let (state, usage) = (self.pending.take(), self.usage.take());
            let grounding = self.sources.grounding();
            self.frames.last(out, (encode::reason(finish), state.as_ref()), (usage.as_ref(), grounding.as_ref()));
        }
        self.frames.close(out);
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.frames.error(failure, out);
        self.frames.close(out);
    }

    /// An event whose `frame` is sent unchanged, or which such a frame covers: then `frame` is empty. Updates the state with the frame's
    /// content.
    fn pass(&mut self, what: &What, frame: &Bytes, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open)),
            What::Delta { at, part, channel, .. } => {
                self.paragraphs.begins(PartKey { at: *at, part: *part, channel: *channel });
            }
            What::ItemDone { at, .. } => self.whole.push(*at),
            What::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
        if !frame.is_empty() {
            self.emit(frame, out);
        }
        if let What::End { finish, .. } = what {
            self.finish_sent |= !frame.is_empty();
            self.finish(*finish, out);
        }
    }

    fn emit(&mut self, frame: &Bytes, out: &mut BytesMut) {
        if self.setting.reply.array {
            // Lines of the frame that are not data are ignored.
            if let Some(frame) = sse::parse(frame.clone()) {
                self.frames.element(&frame.data, out);
            }
        } else {
            out.put_slice(frame);
            if frame.ends_with(b"\n\r") {
                // The upstream was cut off within its last line ending.
                out.put_u8(b'\n');
            }
        }
        self.finish_sent = self.finish_sent || has_finish_reason(frame);
    }
}

/// Whether a frame has a finish reason or a block reason.
fn has_finish_reason(frame: &Bytes) -> bool {
    // Most frames are pieces of text, which need no parse here.
    let named = |name: &[u8]| memchr::memmem::find(frame, name).is_some();
    if !named(b"finishReason") && !named(b"blockReason") {
        return false;
    }
    let Some(reply) = sse::parse(frame.clone()).and_then(|frame| json::readable(frame.data)) else { return false };
    let candidates = reply.get("candidates");
    let mut finished = candidates.iter().flat_map(Json::elements).map(|candidate| candidate.text("finishReason"));
    finished.any(|reason| reason.is_some())
        || reply.get("promptFeedback").is_some_and(|feedback| feedback.text("blockReason").is_some())
}
