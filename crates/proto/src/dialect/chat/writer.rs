//! Events to `chat.completion.chunk` frames.
//!
//! Everything that is the same in each chunk of a reply is rendered once, when the reply opens; a text delta then costs three
//! copies into the output and no allocation. Frames of a chat upstream pass as they came.

mod chunk;
mod track;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::chunk::Chunks;
use self::track::Tracks;
use super::encode;
use crate::canon::{CallKind, Channel, Event, Finish, Head, Item, ItemKind, Open, Part, Usage, What};
use crate::dialect::{Dialect, ReplySetting, openai_error};
use crate::failure::{Failure, Kind};
use crate::framing::sse;
use crate::text::{Json, Text};

/// The frame after the last chunk.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Events to chat bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    stage: Stage,
    chunks: Chunks,
    tracks: Tracks,
    usage: Option<Usage>,
    passed: Passed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Before,
    Open,
    Done,
}

/// What went out as the upstream's own frames.
#[derive(Debug, Default)]
struct Passed {
    /// The last frame.
    last: Option<Bytes>,
    /// Whether the chunk with the finish reason is out.
    finish: bool,
    /// Whether the usage chunk is out.
    usage: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            chunks: Chunks::new(setting.reply.include_usage),
            setting,
            stage: Stage::Before,
            tracks: Tracks::default(),
            usage: None,
            passed: Passed::default(),
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if self.stage == Stage::Done {
            return;
        }
        match event.carrier.passed_in(Dialect::Chat) {
            // A failure is written in our own words, which hold no secrets.
            Some(frame) if !matches!(event.what, What::Fail(_)) => self.pass(&event.what, frame, out),
            _ => self.write_event(&event.what, out),
        }
    }

    #[expect(clippy::unused_self, reason = "the verb is the same in every dialect")]
    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        out.put_slice(b": keepalive\n\n");
    }

    pub(in crate::dialect) fn end(mut self, out: &mut BytesMut) {
        if self.stage != Stage::Done {
            let failure = Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut");
            self.fail(&failure, out);
        }
    }

    fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open), out),
            What::ItemOpen { at, head } => self.item_open(*at, head, out),
            What::Delta { at, part, channel, data } => self.delta((*at, *part, *channel), data, out),
            What::Annotation { at, part, data } => self.annotation((*at, *part), data, out),
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => {
                self.finish(*finish, out);
                out.put_slice(DONE);
            }
            What::Fail(failure) => self.fail(failure, out),
            What::Limits(_)
            | What::Metadata(_)
            | What::Stopped(_)
            | What::Piece { .. }
            | What::Note(_)
            | What::Other => {}
        }
    }

    /// The first chunk, which names the role.
    fn open(&mut self, open: Option<&Open>, out: &mut BytesMut) {
        if self.stage == Stage::Before {
            self.stage = Stage::Open;
            self.chunks.prepare(&self.setting, open);
            self.chunks.fixed(r#""role":"assistant","content":"""#, out);
        }
    }

    fn item_open(&mut self, at: u32, head: &Head, out: &mut BytesMut) {
        self.open(None, out);
        if let Head::Call { kind, call_id, name, .. } = head {
            self.call_open(at, *kind, (call_id, name), out);
        }
    }

    fn call_open(&mut self, at: u32, kind: CallKind, (call_id, name): (&Text, &Text), out: &mut BytesMut) {
        let Some(index) = self.tracks.call(at, kind) else { return };
        let legacy = self.setting.reply.legacy_functions && index == 0;
        self.chunks.delta(out, |writer| {
            if legacy {
                writer.object("function_call", |writer| {
                    writer.text("name", name);
                    writer.string("arguments", "");
                });
            } else {
                writer.array("tool_calls", [()], |out, ()| encode::call_start(out, index, kind, call_id, name));
            }
        });
    }

    fn delta(&mut self, place: (u32, u32, Channel), data: &Text, out: &mut BytesMut) {
        let (at, _, channel) = place;
        // A partial picture has no form in chat; the whole one follows.
        if data.is_empty() || channel == Channel::Image {
            return;
        }
        self.open(None, out);
        let before = self.tracks.record(place);
        match channel {
            Channel::Text => self.chunks.text("content", data, out),
            Channel::Refusal => self.chunks.text("refusal", data, out),
            Channel::Reasoning | Channel::Summary => {
                if before == track::Boundary::NewParagraph {
                    self.chunks.fixed(r#""reasoning_content":"\n\n""#, out);
                }
                self.chunks.text("reasoning_content", data, out);
            }
            Channel::Arguments => self.arguments(at, data, out),
            Channel::Image => {}
        }
    }

    fn arguments(&mut self, at: u32, data: &Text, out: &mut BytesMut) {
        let Some((index, kind)) = self.tracks.index(at) else { return };
        let legacy = self.setting.reply.legacy_functions && index == 0;
        self.chunks.delta(out, |writer| {
            if legacy {
                writer.object("function_call", |writer| writer.text("arguments", data));
            } else {
                writer.array("tool_calls", [()], |out, ()| encode::call_more(out, index, kind, data));
            }
        });
    }

    fn annotation(&mut self, (at, part): (u32, u32), data: &Json, out: &mut BytesMut) {
        self.open(None, out);
        self.tracks.cited(at, part);
        if let Some(citation) = encode::citation(data) {
            self.chunks.delta(out, |writer| writer.array("annotations", [&citation], encode::raw));
        }
    }

    /// What the deltas did not say.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        self.open(None, out);
        match &item.kind {
            ItemKind::Message { parts, .. } => self.parts(at, parts, out),
            ItemKind::Reasoning { summary, text, .. } => {
                self.paragraphs(at, Channel::Summary, summary, out);
                self.paragraphs(at, Channel::Reasoning, text, out);
            }
            ItemKind::Call { kind, call_id, name, input, .. } => {
                self.call_open(at, *kind, (call_id, name), out);
                if !self.tracks.has((at, 0, Channel::Arguments)) {
                    self.delta((at, 0, Channel::Arguments), input, out);
                }
            }
            ItemKind::Image { result, format, .. }
                if !result.is_empty() && !self.tracks.has((at, 0, Channel::Image)) =>
            {
                self.tracks.record((at, 0, Channel::Image));
                self.chunks.delta(out, |writer| {
                    writer.array("images", [()], |out, ()| encode::image(out, result, format.as_ref()));
                });
            }
            ItemKind::Output { .. } | ItemKind::Search { .. } | ItemKind::Image { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn parts(&mut self, at: u32, parts: &[Part], out: &mut BytesMut) {
        for (index, part) in (0..).zip(parts) {
            let (channel, text, annotations) = match part {
                Part::Text { text, annotations } => (Channel::Text, text, annotations.as_ref()),
                Part::Refusal(refusal) => (Channel::Refusal, refusal, None),
                _ => continue,
            };
            if !self.tracks.has((at, index, channel)) {
                self.delta((at, index, channel), text, out);
            }
            if let Some(annotations) = annotations.filter(|_| !self.tracks.has_citation(at, index)) {
                annotations.elements().for_each(|data| self.annotation((at, index), &data, out));
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

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open(None, out);
        self.note_finish();
        if !self.passed.finish {
            let legacy = self.setting.reply.legacy_functions;
            self.chunks.finish(encode::reason(finish, self.tracks.calls() > 0, legacy), out);
        }
        let usage = self.usage.filter(|_| self.setting.reply.include_usage && !self.passed.usage);
        if let Some(usage) = usage {
            self.chunks.usage(&usage, out);
        }
        self.stage = Stage::Done;
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        let (_, body) = openai_error::write(failure);
        out.put_slice(b"data: ");
        out.put_slice(&body);
        out.put_slice(b"\n\n");
        self.stage = Stage::Done;
    }

    /// An event whose `frame` goes out as it is, or which such a frame covers: then `frame` is empty. The state must know what the frame
    /// says.
    fn pass(&mut self, what: &What, frame: &Bytes, out: &mut BytesMut) {
        match what {
            What::Open(open) if self.stage == Stage::Before => {
                self.stage = Stage::Open;
                self.chunks.adopt(&self.setting, open);
            }
            What::ItemOpen { at, head: Head::Call { kind, .. } } => {
                self.tracks.call(*at, *kind);
            }
            What::Delta { at, part, channel, .. } => {
                self.tracks.record((*at, *part, *channel));
            }
            What::Annotation { at, part, .. } => self.tracks.cited(*at, *part),
            What::ItemDone { at, item } => self.tracks.whole(*at, item),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => {
                // Its `[DONE]`, and before it what the client must have and the upstream did not send.
                self.finish(*finish, out);
                return out.put_slice(if frame.is_empty() { DONE } else { frame });
            }
            _ => {}
        }
        let usage = matches!(what, What::Usage(_));
        if !frame.is_empty() {
            if usage && !self.setting.reply.include_usage {
                return;
            }
            out.put_slice(frame);
            self.passed.last = Some(frame.clone());
        }
        self.passed.usage |= usage;
        if !matches!(what, What::Delta { .. }) {
            self.note_finish();
        }
    }

    /// Looks for a finish reason in the last frame that went out.
    fn note_finish(&mut self) {
        if !self.passed.finish {
            // Lines of the frame that are not data say nothing.
            let last = self.passed.last.clone().and_then(sse::parse);
            self.passed.finish = last.is_some_and(|frame| says_finish(&frame.data));
        }
    }
}

/// Whether a chunk has a finish reason. Inside a string the quotes of the name would be escaped.
fn says_finish(data: &[u8]) -> bool {
    let name = br#""finish_reason""#;
    memchr::memmem::find_iter(data, name).any(|at| {
        let value = data[at + name.len()..].trim_ascii_start().strip_prefix(b":").unwrap_or_default();
        value.trim_ascii_start().starts_with(b"\"")
    })
}
