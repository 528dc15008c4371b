//! Turns events into `chat.completion.chunk` frames.
//!
//! The constant part of each chunk is rendered once, when the reply opens; a text delta then costs three copies into the output and no
//! allocation. Frames of a chat upstream pass unchanged.

mod chunk;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use bytes::{BufMut, Bytes, BytesMut};
use memchr::memmem::Finder;

use self::chunk::Chunks;
use super::encode;
use crate::canon::{CallKind, Channel, Event, Finish, Head, Item, ItemKind, Open, PartKey, Usage, What};
use crate::dialect::paragraphs::Paragraphs;
use crate::dialect::{Dialect, ReplySetting};
use crate::framing::sse;
use crate::text::{Json, Text};

static FINISH_REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""finish_reason""#));

/// The frame after the last chunk.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// Turns events into chat bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    opened: bool,
    chunks: Chunks,
    /// Output index and kind of each call, in order of their start.
    calls: Vec<(u32, CallKind)>,
    /// Output indices of the images.
    images: Vec<u32>,
    paragraphs: Paragraphs,
    usage: Option<Usage>,
    passed: Passed,
}

/// Record of the upstream's frames that were sent. It holds no frame: a frame that is held keeps the connection's read buffer, and each
/// read would then need a new buffer.
#[derive(Debug, Default)]
struct Passed {
    /// Whether the chunk with the finish reason was sent.
    finish: bool,
    /// Whether the usage chunk was sent.
    usage: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            chunks: Chunks::new(setting.reply.include_usage),
            setting,
            opened: false,
            calls: Vec::new(),
            images: Vec::new(),
            paragraphs: Paragraphs::default(),
            usage: None,
            passed: Passed::default(),
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event.passed_in(Dialect::Chat) {
            Some(frame) => self.pass(&event.what, frame, out),
            None => self.write_event(&event.what, out),
        }
    }

    fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open), out),
            What::ItemOpen { at, head } => self.item_open(*at, head, out),
            What::Delta { at, part, channel, data } => {
                self.delta(PartKey { at: *at, part: *part, channel: *channel }, data, out);
            }
            What::Annotation { data, .. } => self.annotation(data, out),
            What::ItemDone { at, item } => self.item_done(*at, item, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => {
                self.finish(*finish, out);
                out.put_slice(DONE);
            }
            What::Fail(failure) => encode::failure(out, failure),
            What::Limits(_)
            | What::Metadata(_)
            | What::Stopped(_)
            | What::Piece { .. }
            | What::Note(_)
            | What::Other => {}
        }
    }

    /// The first chunk, with the role.
    fn open(&mut self, open: Option<&Open>, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.opened, true) {
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
        if self.call_index(at).is_some() {
            return;
        }
        let index = self.calls.len();
        self.calls.push((at, kind));
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

    fn delta(&mut self, part: PartKey, data: &Text, out: &mut BytesMut) {
        // Chat has no form for a partial image; the complete one follows.
        if data.is_empty() || part.channel == Channel::Image {
            return;
        }
        self.open(None, out);
        match part.channel {
            Channel::Text => self.chunks.text("content", data, out),
            Channel::Refusal => self.chunks.text("refusal", data, out),
            Channel::Reasoning | Channel::Summary => {
                if self.paragraphs.begins(part) {
                    self.chunks.fixed(r#""reasoning_content":"\n\n""#, out);
                }
                self.chunks.text("reasoning_content", data, out);
            }
            Channel::Arguments => self.arguments(part.at, data, out),
            Channel::Image => {}
        }
    }

    fn arguments(&mut self, at: u32, data: &Text, out: &mut BytesMut) {
        let Some((index, kind)) = self.call_index(at) else { return };
        let legacy = self.setting.reply.legacy_functions && index == 0;
        self.chunks.delta(out, |writer| {
            if legacy {
                writer.object("function_call", |writer| writer.text("arguments", data));
            } else {
                writer.array("tool_calls", [()], |out, ()| encode::call_more(out, index, kind, data));
            }
        });
    }

    fn annotation(&mut self, data: &Json, out: &mut BytesMut) {
        self.open(None, out);
        if let Some(citation) = encode::citation(data) {
            self.chunks.delta(out, |writer| writer.list("annotations", [&citation]));
        }
    }

    /// An item is complete. Its text came in deltas.
    fn item_done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        self.open(None, out);
        match &item.kind {
            // The upstream opened the item as something else.
            ItemKind::Call { kind, call_id, name, input, .. } if self.call_index(at).is_none() => {
                self.call_open(at, *kind, (call_id, name), out);
                self.arguments(at, input, out);
            }
            ItemKind::Image { result, format, .. } if !result.is_empty() && !self.images.contains(&at) => {
                self.images.push(at);
                self.chunks.delta(out, |writer| {
                    writer.array("images", [()], |out, ()| encode::image(out, result, format.as_ref()));
                });
            }
            _ => {}
        }
    }

    /// Number and kind of the call at `at`.
    fn call_index(&self, at: u32) -> Option<(usize, CallKind)> {
        let index = self.calls.iter().position(|(call, _)| *call == at)?;
        Some((index, self.calls[index].1))
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open(None, out);
        if !self.passed.finish {
            let legacy = self.setting.reply.legacy_functions;
            self.chunks.finish(encode::reason(finish, !self.calls.is_empty(), legacy), out);
        }
        let usage = self.usage.filter(|_| self.setting.reply.include_usage && !self.passed.usage);
        if let Some(usage) = usage {
            self.chunks.usage(&usage, out);
        }
    }

    /// An event whose `frame` is sent unchanged, or which such a frame covers: then `frame` is empty. Updates the state with the frame's
    /// content.
    fn pass(&mut self, what: &What, frame: &Bytes, out: &mut BytesMut) {
        match what {
            What::Open(open) if !self.opened => {
                self.opened = true;
                self.chunks.adopt(&self.setting, open);
            }
            What::ItemOpen { at, head: Head::Call { kind, .. } } if self.call_index(*at).is_none() => {
                self.calls.push((*at, *kind));
            }
            What::Delta { at, part, channel, .. } => {
                self.paragraphs.begins(PartKey { at: *at, part: *part, channel: *channel });
            }
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, .. } => {
                // The upstream's `[DONE]`, after the required frames that the upstream did not send.
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
            self.passed.finish = self.passed.finish || finishes(frame);
        }
        self.passed.usage |= usage;
    }
}

/// Whether a frame's chunk has a finish reason. Lines of the frame that are not data are ignored. Only a frame with a value other than
/// `null` is parsed, because every token has the name.
fn finishes(frame: &Bytes) -> bool {
    let has_value = finish_values(frame).any(|value| !value.starts_with(b"null"));
    has_value && sse::parse(frame.clone()).is_some_and(|frame| has_finish_reason(&frame.data))
}

/// Whether a chunk has a finish reason. Ollama and SGLang send an empty one until there is one.
fn has_finish_reason(data: &[u8]) -> bool {
    finish_values(data).any(|value| value.starts_with(b"\"") && !value.starts_with(b"\"\""))
}

/// What follows each `"finish_reason":`. Inside a string the quotes of the name would be escaped.
fn finish_values(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    FINISH_REASON.find_iter(data).map(|at| {
        let value = data[at + FINISH_REASON.needle().len()..].trim_ascii_start();
        value.strip_prefix(b":").unwrap_or(value).trim_ascii_start()
    })
}
