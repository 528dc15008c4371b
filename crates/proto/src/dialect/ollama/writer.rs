//! Events to lines of JSON.
//!
//! Everything that is the same in each line of a reply is rendered once; a text delta then costs three copies into the output and
//! no allocation. A call is one line, written when its arguments are whole, or at the end of a reply that did not say so; a text is
//! never said twice, the last line holds none.

mod line;
mod progress;

use std::time::Duration;

use bytes::BytesMut;

use self::line::LineWriter;
use self::progress::{Boundary, PartKey, Progress};
use super::encode::{self, Call};
use super::write_error;
use crate::canon::{Channel, Event, Finish, Head, Item, ItemKind, Part, Thinking, Usage, What};
use crate::dialect::ReplySetting;
use crate::failure::{Failure, Kind};
use crate::fold::{ItemDraft, Timing};
use crate::text::Text;

/// Events to Ollama's lines.
#[derive(Debug)]
pub struct Writer {
    line: LineWriter,
    said: Progress,
    /// Calls so far.
    calls: usize,
    /// Calls that are not written yet: their arguments are not whole, or no object.
    open: Vec<(u32, ItemDraft)>,
    /// Whether reasoning is left out.
    silent: bool,
    usage: Option<Usage>,
    timing: Timing,
    elapsed: Duration,
    done: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            silent: setting.reply.thinking == Thinking::Hidden,
            line: LineWriter::new(setting),
            said: Progress::default(),
            calls: 0,
            open: Vec::new(),
            usage: None,
            timing: Timing::default(),
            elapsed: Duration::ZERO,
            done: false,
        }
    }

    /// How long ago the request came.
    pub(in crate::dialect) fn at(&mut self, elapsed: Duration) {
        self.elapsed = elapsed;
        self.line.at(elapsed);
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        if self.done {
            return;
        }
        self.timing.see(&event.what, self.elapsed);
        match &event.what {
            What::Open(open) => self.line.open(open.model.as_ref()),
            What::ItemOpen { at, head: head @ Head::Call { .. } } => self.slot(*at).open(head),
            What::Delta { at, part, channel, data } => self.delta((*at, *part, *channel), data, out),
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => self.fail(failure, out),
            // A citation has no place in a message of Ollama's.
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

    /// A line that says nothing.
    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        if !self.done {
            self.line.text("", out);
        }
    }

    pub(in crate::dialect) fn end(mut self, out: &mut BytesMut) {
        if !self.done {
            let failure = Failure::new(Kind::Upstream, "The upstream ended its answer early.").code("stream_cut");
            self.fail(&failure, out);
        }
    }

    fn delta(&mut self, place: PartKey, data: &Text, out: &mut BytesMut) {
        if data.is_empty() {
            return;
        }
        match place.2 {
            Channel::Text | Channel::Refusal => {
                self.said.record(place);
                self.line.text(data.as_str(), out);
            }
            Channel::Reasoning | Channel::Summary if self.silent => {}
            Channel::Reasoning | Channel::Summary => {
                if self.said.record(place) == Boundary::NewParagraph {
                    self.line.thinking("\\n\\n", out);
                }
                self.line.thinking(data.as_str(), out);
            }
            Channel::Arguments => self.slot(place.0).delta(place.1, place.2, data),
            // Pictures go out whole.
            Channel::Image => {}
        }
    }

    /// What the deltas did not say.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        match &item.kind {
            ItemKind::Message { parts, .. } => self.parts(at, parts, out),
            ItemKind::Reasoning { summary, text, .. } => {
                self.paragraphs(at, Channel::Summary, summary, out);
                self.paragraphs(at, Channel::Reasoning, text, out);
            }
            ItemKind::Call { kind, call_id, name, input, .. } if encode::is_object(*kind, input) => {
                self.open.retain(|(open, _)| *open != at);
                self.call((*kind, call_id, name, input), out);
            }
            ItemKind::Call { .. } => self.slot(at).done(item),
            ItemKind::Image { result, .. } if !result.is_empty() => self.line.image(result, out),
            ItemKind::Output { .. } | ItemKind::Search { .. } | ItemKind::Image { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn parts(&mut self, at: u32, parts: &[Part], out: &mut BytesMut) {
        for (index, part) in (0..).zip(parts) {
            let (place, text) = match part {
                Part::Text { text, .. } => ((at, index, Channel::Text), text),
                Part::Refusal(text) => ((at, index, Channel::Refusal), text),
                Part::Image { .. } | Part::File { .. } | Part::Other(_) => continue,
            };
            if !self.said.has(place) {
                self.delta(place, text, out);
            }
        }
    }

    fn paragraphs(&mut self, at: u32, channel: Channel, texts: &[Text], out: &mut BytesMut) {
        for (index, text) in (0..).zip(texts) {
            if !self.said.has((at, index, channel)) {
                self.delta((at, index, channel), text, out);
            }
        }
    }

    fn call(&mut self, call: Call<'_>, out: &mut BytesMut) {
        if self.line.generates() {
            // Nothing was on offer there.
            return;
        }
        let index = self.calls;
        self.calls += 1;
        self.line.message(out, |writer| writer.array("tool_calls", [()], |out, ()| encode::call(out, index, call)));
    }

    /// The call in progress at `at`.
    fn slot(&mut self, at: u32) -> &mut ItemDraft {
        let found = self.open.iter().position(|(open, _)| *open == at);
        let index = found.unwrap_or_else(|| {
            self.open.push((at, ItemDraft::default()));
            self.open.len() - 1
        });
        &mut self.open[index].1
    }

    /// The calls that are left. One whose arguments were cut off must not run.
    fn calls_left(&mut self, finish: Finish, out: &mut BytesMut) {
        for (_, slot) in std::mem::take(&mut self.open) {
            if let Some(Item { kind: ItemKind::Call { kind, call_id, name, input, .. }, .. }) = slot.item()
                && (encode::is_whole(finish) || encode::is_object(kind, &input))
            {
                self.call((kind, &call_id, &name, &input), out);
            }
        }
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.calls_left(finish, out);
        let (usage, timing) = (self.usage, self.timing);
        self.line.last(out, |writer| encode::done(writer, finish, usage, &timing));
        self.done = true;
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        write_error(failure, out);
        out.extend_from_slice(b"\n");
        self.done = true;
    }
}
