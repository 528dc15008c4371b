//! The lines of one reply; their constant part is rendered once.

use std::time::Duration;

use bytes::{BufMut, BytesMut};

use super::super::encode;
use super::super::stamp::{LENGTH, stamp};
use crate::dialect::ReplySetting;
use crate::json::emit::{self, ObjectWriter};
use crate::text::Text;

/// Renders lines.
#[derive(Debug)]
pub(super) struct LineWriter {
    setting: ReplySetting,
    /// `{"model":..,"created_at":"..",`
    head: BytesMut,
    /// Offset of the timestamp in `head`.
    stamp_at: usize,
    /// The first elapsed time that the writer received; the timestamps count from it.
    began: Option<Duration>,
}

/// The bytes around a text.
struct Frame {
    before: &'static [u8],
    thinking: &'static [u8],
    after: &'static [u8],
}

const CHAT: Frame = Frame {
    before: br#""message":{"role":"assistant","content":""#,
    thinking: br#""message":{"role":"assistant","content":"","thinking":""#,
    after: b"\"},\"done\":false}\n",
};

const GENERATE: Frame =
    Frame { before: br#""response":""#, thinking: br#""response":"","thinking":""#, after: b"\",\"done\":false}\n" };

impl LineWriter {
    pub(super) fn new(setting: ReplySetting) -> Self {
        let mut line = Self { setting, head: BytesMut::new(), stamp_at: 0, began: None };
        line.open(None);
        line
    }

    /// Whether the lines are those of `/api/generate`.
    pub(super) fn generates(&self) -> bool {
        self.setting.reply.generate
    }

    /// Sets the model's name.
    pub(super) fn open(&mut self, model: Option<&Text>) {
        let stamped =
            self.head.get(self.stamp_at..self.stamp_at + LENGTH).and_then(|old| <[u8; LENGTH]>::try_from(old).ok());
        self.head.clear();
        self.head.put_slice(b"{\"model\":");
        emit::quote(&mut self.head, &self.setting.shown_model(model));
        self.head.put_slice(b",\"created_at\":\"");
        self.stamp_at = self.head.len();
        self.head.put_slice(&stamped.unwrap_or_else(|| stamp(Duration::from_secs(self.setting.created))));
        self.head.put_slice(b"\",");
    }

    /// Updates the timestamp; `elapsed` counts from the request.
    pub(super) fn at(&mut self, elapsed: Duration) {
        let began = *self.began.get_or_insert(elapsed);
        let now = Duration::from_secs(self.setting.created) + elapsed.saturating_sub(began);
        self.head[self.stamp_at..self.stamp_at + LENGTH].copy_from_slice(&stamp(now));
    }

    /// A line with text that is already escaped.
    pub(super) fn text(&self, text: &str, out: &mut BytesMut) {
        self.framed(self.frame().before, text, out);
    }

    /// A line with reasoning that is already escaped.
    pub(super) fn thinking(&self, text: &str, out: &mut BytesMut) {
        self.framed(self.frame().thinking, text, out);
    }

    /// A line with an image.
    pub(super) fn image(&self, image: &Text, out: &mut BytesMut) {
        if self.setting.reply.generate {
            return self.generated(out, |writer| writer.text("image", image));
        }
        self.message(out, |writer| encode::images(writer, [image], self.setting.reply.image_objects));
    }

    /// A line whose message also has the members that `write` writes.
    pub(super) fn message(&self, out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.put_slice(&self.head);
        emit::members(out, |writer| {
            writer.object("message", |writer| {
                writer.string("role", "assistant");
                writer.string("content", "");
                write(writer);
            });
            writer.literal("done", "false");
        });
        out.put_slice(b"}\n");
    }

    /// The last line: empty text, then the members that `write` writes.
    pub(super) fn last(&self, out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.put_slice(&self.head);
        emit::members(out, |writer| {
            if self.setting.reply.generate {
                writer.string("response", "");
            } else {
                writer.object("message", |writer| {
                    writer.string("role", "assistant");
                    writer.string("content", "");
                });
            }
            write(writer);
        });
        out.put_slice(b"}\n");
    }

    fn frame(&self) -> &'static Frame {
        if self.setting.reply.generate { &GENERATE } else { &CHAT }
    }

    fn framed(&self, before: &[u8], text: &str, out: &mut BytesMut) {
        let after = self.frame().after;
        out.reserve(self.head.len() + before.len() + text.len() + after.len());
        out.put_slice(&self.head);
        out.put_slice(before);
        out.put_slice(text.as_bytes());
        out.put_slice(after);
    }

    fn generated(&self, out: &mut BytesMut, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.put_slice(&self.head);
        emit::members(out, |writer| {
            writer.string("response", "");
            write(writer);
            writer.literal("done", "false");
        });
        out.put_slice(b"}\n");
    }
}
