//! Events to Gemini's streams: SSE frames, or one JSON array.
//!
//! Everything that is the same in each frame of a reply is rendered once, when the reply opens; a text delta then costs three
//! copies into the output and no allocation. Frames of a Gemini upstream pass as they came. A call goes out when it is whole.

mod frames;
mod sources;
mod track;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::frames::Frames;
pub(super) use self::sources::Sources;
use self::track::Tracks;
use super::{encode, reasoning_state};
use crate::canon::{Channel, Event, Finish, Item, ItemKind, Open, Part, Usage, What};
use crate::dialect::{Dialect, ReplySetting};
use crate::failure::{Failure, Kind};
use crate::framing::sse;
use crate::json;
use crate::text::{Json, Text};

/// Events to Gemini bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    stage: Stage,
    frames: Frames,
    tracks: Tracks,
    /// State that waits for the first call, or for the end of a reply without calls. Google signs no text before a call, and some
    /// clients send back signed parts only.
    pending: Option<Text>,
    sources: Sources,
    usage: Option<Usage>,
    /// Whether a frame that went out has a finish reason.
    said_finish: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Open,
    Done,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            frames: Frames::new(&setting.reply),
            setting,
            stage: Stage::Before,
            tracks: Tracks::default(),
            pending: None,
            sources: Sources::default(),
            usage: None,
            said_finish: false,
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if self.stage == Stage::Done {
            return;
        }
        match event.carrier.passed_in(Dialect::Gemini) {
            // A failure is written in our own words, which hold no secrets.
            Some(frame) if !matches!(event.what, What::Fail(_)) => self.pass(&event.what, frame, out),
            _ => self.write_event(&event.what, out),
        }
    }

    /// A blank: Google's Python SDK takes every line that is not data for a reply, comments too.
    #[expect(clippy::unused_self, reason = "the verb is the same in every dialect")]
    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        out.put_u8(b'\n');
    }

    pub(in crate::dialect) fn end(mut self, out: &mut BytesMut) {
        if self.stage != Stage::Done {
            let failure = Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut");
            self.fail(&failure, out);
        }
    }

    fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open)),
            What::Delta { at, part, channel, data } => self.delta((*at, *part, *channel), data, out),
            What::Annotation { at, part, data } => self.sources.cite((*at, *part), data),
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => self.fail(failure, out),
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
        if self.stage == Stage::Before {
            self.stage = Stage::Open;
            self.frames.prepare(&self.setting, open);
        }
    }

    fn delta(&mut self, place: (u32, u32, Channel), data: &Text, out: &mut BytesMut) {
        // Calls and pictures go out whole.
        if data.is_empty() || matches!(place.2, Channel::Arguments | Channel::Image) {
            return;
        }
        self.open(None);
        let fresh = self.tracks.seen(place);
        let thought = matches!(place.2, Channel::Reasoning | Channel::Summary);
        if thought {
            if fresh {
                self.frames.thought(&Text::from_escaped(Bytes::from_static(b"\\n\\n")), out);
            }
            return self.frames.thought(data, out);
        }
        self.frames.text(data, out);
    }

    /// What the deltas did not say.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        self.open(None);
        match &item.kind {
            ItemKind::Message { parts, .. } => self.parts(at, parts, out),
            ItemKind::Reasoning { id, summary, text, encrypted } => {
                self.paragraphs(at, Channel::Summary, summary, out);
                self.paragraphs(at, Channel::Reasoning, text, out);
                if let Some(encrypted) = encrypted {
                    self.flush(out);
                    self.pending = Some(reasoning_state::write(id.as_ref(), encrypted));
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } if self.tracks.whole(at) => {
                let state = self.pending.take();
                self.frames.parts(out, |writer| {
                    encode::call(writer, *kind, (call_id, name, input));
                    writer.optional_text("thoughtSignature", state.as_ref());
                });
            }
            ItemKind::Image { result, format, .. } if !result.is_empty() && self.tracks.whole(at) => {
                let state = self.pending.take();
                self.frames.parts(out, |writer| {
                    encode::image(writer, result, format.as_ref());
                    writer.optional_text("thoughtSignature", state.as_ref());
                });
            }
            ItemKind::Search { action, .. } => self.sources.searched(action.as_ref()),
            ItemKind::Call { .. } | ItemKind::Image { .. } | ItemKind::Output { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn parts(&mut self, at: u32, parts: &[Part], out: &mut BytesMut) {
        for (index, part) in (0..).zip(parts) {
            let (channel, text) = match part {
                Part::Text { text, .. } => (Channel::Text, text),
                Part::Refusal(refusal) => (Channel::Refusal, refusal),
                _ => continue,
            };
            if !self.tracks.has((at, index, channel)) {
                self.delta((at, index, channel), text, out);
            }
            if let Part::Text { text, annotations } = part {
                self.sources.text((at, index), text, annotations.as_ref());
            }
        }
    }

    fn paragraphs(&mut self, at: u32, channel: Channel, texts: &[Text], out: &mut BytesMut) {
        for (index, text) in (0..).zip(texts) {
            if !self.tracks.has((at, index, channel)) {
                self.delta((at, index, channel), text, out);
            }
        }
    }

    /// State behind which other state comes goes out on a thought of its own.
    fn flush(&mut self, out: &mut BytesMut) {
        let Some(state) = self.pending.take() else { return };
        self.frames.parts(out, |writer| {
            writer.string("text", "");
            writer.literal("thought", "true");
            writer.text("thoughtSignature", &state);
        });
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open(None);
        // The upstream's own last frame may be out, with its counts to come.
        if !self.said_finish {
            let (state, usage) = (self.pending.take(), self.usage.take());
            let grounding = self.sources.grounding();
            self.frames.last(out, (encode::reason(finish), state.as_ref()), (usage.as_ref(), grounding.as_ref()));
        }
        self.frames.close(out);
        self.stage = Stage::Done;
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.frames.error(failure, out);
        self.frames.close(out);
        self.stage = Stage::Done;
    }

    /// An event whose `frame` goes out as it is, or which such a frame covers: then `frame` is empty. The state must know what the frame
    /// says.
    fn pass(&mut self, what: &What, frame: &Bytes, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open)),
            What::Delta { at, part, channel, .. } => {
                self.tracks.seen((*at, *part, *channel));
            }
            What::ItemDone { at, item } => self.tracks.item(*at, item),
            What::Usage(usage) => self.usage = Some(*usage),
            _ => {}
        }
        if !frame.is_empty() {
            self.emit(frame, out);
        }
        if let What::End { finish, .. } = what {
            self.said_finish |= !frame.is_empty();
            self.finish(*finish, out);
        }
    }

    fn emit(&mut self, frame: &Bytes, out: &mut BytesMut) {
        if self.setting.reply.array {
            // Lines of the frame that are not data say nothing.
            if let Some(frame) = sse::parse(frame.clone()) {
                self.frames.element(&frame.data, out);
            }
        } else {
            out.put_slice(frame);
            if frame.ends_with(b"\n\r") {
                // The upstream was cut within its last line end.
                out.put_u8(b'\n');
            }
        }
        self.said_finish = self.said_finish || says_finish(frame);
    }
}

/// Whether a frame has a finish reason, or says why the question was blocked.
fn says_finish(frame: &Bytes) -> bool {
    // Most frames are pieces of text: they are not parsed for this.
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
