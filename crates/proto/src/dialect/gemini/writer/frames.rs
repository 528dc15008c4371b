//! The frames of one reply; their constant part is rendered once.

use bytes::{BufMut, BytesMut};

use super::super::{encode, error};
use crate::canon::{Open, ReplyOptions, Usage};
use crate::dialect::ReplySetting;
use crate::failure::Failure;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// The bytes before the parts of a frame.
const HEAD: &[u8] = br#"{"candidates":[{"content":{"parts":["#;

/// Renders frames.
#[derive(Debug)]
pub(super) struct Frames {
    /// Whether the frames are elements of an array.
    array: bool,
    /// Whether an error goes into a frame.
    framed_errors: bool,
    /// Whether a frame was sent.
    begun: bool,
    /// `,"modelVersion":"..","responseId":".."}` and the frame's end.
    names: BytesMut,
    /// The bytes after the parts of a frame that does not end the reply.
    tail: BytesMut,
}

impl Frames {
    pub(super) fn new(reply: &ReplyOptions) -> Self {
        Self {
            array: reply.array,
            framed_errors: reply.framed_errors,
            begun: false,
            names: BytesMut::new(),
            tail: BytesMut::new(),
        }
    }

    /// Renders the bytes that each frame repeats.
    pub(super) fn prepare(&mut self, setting: &ReplySetting, open: Option<&Open>) {
        let names = &mut self.names;
        names.put_slice(b",\"modelVersion\":");
        emit::quote(names, &setting.shown_model(open.and_then(|open| open.model.as_ref())));
        names.put_slice(b",\"responseId\":");
        emit::quote(names, &setting.shown_id(open.map(|open| &open.id)));
        names.put_slice(if self.array { b"}" } else { b"}\n\n" });
        self.tail.put_slice(br#"],"role":"model"},"index":0}]"#);
        self.tail.put_slice(&self.names);
    }

    /// A frame with a piece of text.
    pub(super) fn text(&mut self, text: &Text, out: &mut BytesMut) {
        self.piece(text, b"\"}", out);
    }

    /// A frame with a piece of a thought.
    pub(super) fn thought(&mut self, text: &Text, out: &mut BytesMut) {
        self.piece(text, b"\",\"thought\":true}", out);
    }

    fn piece(&mut self, text: &Text, end: &[u8], out: &mut BytesMut) {
        out.reserve(HEAD.len() + text.escaped().len() + self.tail.len() + 48);
        self.lead(out);
        out.put_slice(HEAD);
        out.put_slice(b"{\"text\":\"");
        out.put_slice(text.escaped());
        out.put_slice(end);
        out.put_slice(&self.tail);
    }

    /// A frame with one part that `write` writes.
    pub(super) fn parts(&mut self, out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.lead(out);
        out.put_slice(HEAD);
        emit::object(out, write);
        out.put_slice(&self.tail);
    }

    /// The frame that ends the reply: finish reason, state of the last thoughts, token counts and sources.
    pub(super) fn last(
        &mut self,
        out: &mut BytesMut,
        (reason, state): (&str, Option<&Text>),
        (usage, grounding): (Option<&Usage>, Option<&Json>),
    ) {
        self.lead(out);
        out.put_slice(HEAD);
        emit::object(out, |writer| {
            writer.string("text", "");
            writer.optional_text("thoughtSignature", state);
        });
        out.put_slice(br#"],"role":"model"},"#);
        emit::members(out, |writer| {
            writer.string("finishReason", reason);
            writer.number("index", 0);
            writer.optional("groundingMetadata", grounding, ObjectWriter::json);
        });
        out.put_slice(b"}]");
        if let Some(usage) = usage {
            out.put_slice(b",\"usageMetadata\":");
            emit::object(out, |writer| encode::usage(writer, usage));
        }
        out.put_slice(&self.names);
    }

    /// A frame's data, unchanged.
    pub(super) fn element(&mut self, data: &[u8], out: &mut BytesMut) {
        self.lead(out);
        out.put_slice(data);
    }

    /// An error in the middle of a stream. Google's servers send it as bare JSON between SSE frames, and most of their SDKs look for it
    /// only there. The JavaScript SDKs find it there only when it arrives in a separate read; their later versions always find it in a
    /// frame.
    pub(super) fn error(&mut self, failure: &Failure, out: &mut BytesMut) {
        if self.array || self.framed_errors {
            self.lead(out);
        }
        error::body(out, failure);
        if self.framed_errors && !self.array {
            out.put_slice(b"\n\n");
        }
    }

    /// Ends the stream.
    pub(super) fn close(&mut self, out: &mut BytesMut) {
        if self.array {
            out.put_slice(b"]");
        }
    }

    fn lead(&mut self, out: &mut BytesMut) {
        let begun = std::mem::replace(&mut self.begun, true);
        out.put_slice(match (self.array, begun) {
            (false, _) => b"data: ",
            (true, false) => b"[",
            (true, true) => b",\n",
        });
    }
}
