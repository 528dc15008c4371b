//! The chunks of one reply; their constant part is rendered once.

use bytes::{BufMut, BytesMut};

use super::super::encode;
use crate::canon::{Open, Usage};
use crate::dialect::ReplySetting;
use crate::json::emit::{self, ObjectWriter};
use crate::text::Text;

/// Renders chunks.
#[derive(Debug)]
pub(super) struct Chunks {
    /// `data: {"id":..,"choices":[{"index":0,"delta":{`
    head: BytesMut,
    /// Length of `head` before `"choices"`.
    base: usize,
    /// The bytes after a delta: `},"logprobs":null,"finish_reason":null}]}` and the blank line.
    tail: &'static [u8],
    include_usage: bool,
}

impl Chunks {
    pub(super) fn new(include_usage: bool) -> Self {
        let tail: &[u8] = if include_usage {
            b"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
        } else {
            b"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"
        };
        Self { head: BytesMut::new(), base: 0, tail, include_usage }
    }

    /// Renders the head for a reply that the gateway writes itself.
    pub(super) fn prepare(&mut self, setting: &ReplySetting, open: Option<&Open>) {
        self.render(&setting.shown_id(open.map(|open| &open.id)), setting, open);
    }

    /// Renders the head for a reply that a chat upstream opened, so that the gateway's chunks fit between the upstream's.
    pub(super) fn adopt(&mut self, setting: &ReplySetting, open: &Open) {
        self.render(&open.id, setting, Some(open));
    }

    fn render(&mut self, id: &Text, setting: &ReplySetting, open: Option<&Open>) {
        let head = &mut self.head;
        head.clear();
        head.put_slice(b"data: {\"id\":");
        emit::quote(head, id);
        head.put_slice(b",\"object\":\"chat.completion.chunk\",\"created\":");
        emit::digits(head, setting.shown_time(open.map_or(0, |open| open.created)));
        head.put_slice(b",\"model\":");
        emit::quote(head, &setting.shown_model(open.and_then(|open| open.model.as_ref())));
        head.put_u8(b',');
        self.base = head.len();
        head.put_slice(b"\"choices\":[{\"index\":0,\"delta\":{");
    }

    /// A chunk with one text in its delta.
    pub(super) fn text(&self, name: &str, text: &Text, out: &mut BytesMut) {
        out.reserve(self.head.len() + name.len() + text.escaped().len() + self.tail.len() + 5);
        out.put_slice(&self.head);
        out.put_u8(b'"');
        out.put_slice(name.as_bytes());
        out.put_slice(b"\":\"");
        out.put_slice(text.escaped());
        out.put_u8(b'"');
        out.put_slice(self.tail);
    }

    /// A chunk whose delta has these members.
    pub(super) fn fixed(&self, members: &str, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(members.as_bytes());
        out.put_slice(self.tail);
    }

    /// A chunk whose delta has the members that `write` writes.
    pub(super) fn delta(&self, out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.put_slice(&self.head);
        emit::members(out, write);
        out.put_slice(self.tail);
    }

    /// The chunk with the finish reason.
    pub(super) fn finish(&self, reason: &str, out: &mut BytesMut) {
        out.put_slice(&self.head);
        out.put_slice(b"},\"logprobs\":null,\"finish_reason\":\"");
        out.put_slice(reason.as_bytes());
        out.put_slice(if self.include_usage { b"\"}],\"usage\":null}\n\n" } else { b"\"}]}\n\n" });
    }

    /// The chunk with the usage and no choice.
    pub(super) fn usage(&self, usage: &Usage, out: &mut BytesMut) {
        out.put_slice(&self.head[..self.base]);
        emit::members(out, |writer| {
            writer.literal("choices", "[]");
            writer.object("usage", |writer| encode::usage(writer, usage));
        });
        out.put_slice(b"}\n\n");
    }
}
