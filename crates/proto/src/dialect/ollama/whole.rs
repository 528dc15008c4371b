//! A collected reply as one object.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::encode::{self, Call};
use super::stamp::stamp;
use crate::canon::{Finish, ItemKind, Part, Thinking};
use crate::dialect::{ReplySetting, open_calls};
use crate::fold::Whole;
use crate::json::emit::{self, ObjectWriter};
use crate::text::Text;

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let finish = whole.finish.unwrap_or(Finish::Stop);
    let mut answer = Answer::of(whole);
    if setting.reply.thinking == Thinking::Hidden {
        answer.thinking.clear();
    }
    let mut out = BytesMut::with_capacity(answer.content.len() + answer.thinking.len() + 512);
    emit::object(&mut out, |writer| {
        match &whole.model {
            Some(model) => writer.text("model", model),
            None => writer.string("model", &setting.model),
        }
        created(writer, Duration::from_secs(setting.created));
        if setting.reply.generate {
            answer.generated(writer);
        } else {
            writer.object("message", |writer| answer.message(writer, setting.reply.image_objects));
        }
        encode::done(writer, finish, whole.usage, &whole.timing);
    });
    out.freeze()
}

/// The answer to a request without messages or prompt, which asks for a model to be loaded or unloaded: there is nothing to load.
pub fn loaded(model: &str, generate: bool, unload: bool, created_at: u64) -> Bytes {
    let mut out = BytesMut::new();
    emit::object(&mut out, |writer| {
        writer.string("model", model);
        created(writer, Duration::from_secs(created_at));
        let answer = Answer::default();
        if generate {
            answer.generated(writer);
        } else {
            writer.object("message", |writer| answer.message(writer, false));
        }
        writer.literal("done", "true");
        writer.string("done_reason", if unload { "unload" } else { "load" });
    });
    out.freeze()
}

fn created(writer: &mut ObjectWriter<'_>, since: Duration) {
    let out = writer.key("created_at");
    out.put_u8(b'"');
    out.put_slice(&stamp(since));
    out.put_u8(b'"');
}

/// What one message has room for; texts escaped and joined.
#[derive(Default)]
struct Answer<'w> {
    content: BytesMut,
    thinking: BytesMut,
    calls: Vec<Call<'w>>,
    images: Vec<&'w Text>,
}

impl<'w> Answer<'w> {
    fn of(whole: &'w Whole) -> Self {
        let mut answer = Self::default();
        open_calls::complete(whole).for_each(|item| answer.add(&item.kind));
        answer
    }

    fn add(&mut self, kind: &'w ItemKind) {
        match kind {
            ItemKind::Message { parts, .. } => {
                for part in parts {
                    if let Part::Text { text, .. } | Part::Refusal(text) = part {
                        self.content.put_slice(text.escaped());
                    }
                }
            }
            ItemKind::Reasoning { summary, text, .. } => {
                for paragraph in summary.iter().chain(text).filter(|text| !text.is_empty()) {
                    if !self.thinking.is_empty() {
                        self.thinking.put_slice(b"\\n\\n");
                    }
                    self.thinking.put_slice(paragraph.escaped());
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } => self.calls.push((*kind, call_id, name, input)),
            ItemKind::Image { result, .. } if !result.is_empty() => self.images.push(result),
            ItemKind::Output { .. } | ItemKind::Search { .. } | ItemKind::Image { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn message(&self, writer: &mut ObjectWriter<'_>, objects: bool) {
        writer.string("role", "assistant");
        joined(writer, "content", &self.content);
        if !self.thinking.is_empty() {
            joined(writer, "thinking", &self.thinking);
        }
        if !self.images.is_empty() {
            encode::images(writer, self.images.iter().copied(), objects);
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().enumerate();
            writer.array("tool_calls", calls, |out, (index, call)| encode::call(out, index, *call));
        }
    }

    fn generated(&self, writer: &mut ObjectWriter<'_>) {
        joined(writer, "response", &self.content);
        if !self.thinking.is_empty() {
            joined(writer, "thinking", &self.thinking);
        }
        if let Some(image) = self.images.last() {
            writer.text("image", image);
        }
    }
}

fn joined(writer: &mut ObjectWriter<'_>, name: &str, text: &[u8]) {
    let out = writer.key(name);
    out.put_u8(b'"');
    out.put_slice(text);
    out.put_u8(b'"');
}
