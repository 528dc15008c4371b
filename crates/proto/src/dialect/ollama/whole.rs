//! A collected reply as one object.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::encode;
use super::stamp::stamp;
use crate::canon::{Finish, Thinking};
use crate::dialect::collected::{Collected, Refusals};
use crate::dialect::{ReplySetting, open_calls};
use crate::fold::Whole;
use crate::json::emit::{self, ObjectWriter};

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let finish = whole.finish.unwrap_or(Finish::Stop);
    let mut answer = Collected::of(open_calls::complete(whole), Refusals::InText);
    if setting.reply.thinking == Thinking::Hidden {
        answer.reasoning.clear();
    }
    let mut out = BytesMut::with_capacity(answer.text.len() + answer.reasoning.len() + 512);
    emit::object(&mut out, |writer| {
        writer.text("model", &setting.shown_model(whole.model.as_ref()));
        created(writer, Duration::from_secs(setting.created));
        if setting.reply.generate {
            generated(writer, &answer);
        } else {
            writer.object("message", |writer| message(writer, &answer, setting.reply.image_objects));
        }
        encode::done(writer, finish, whole.usage, &whole.timing);
    });
    out.freeze()
}

/// The answer to a request without messages or prompt, which asks to load or unload a model: there is nothing to load.
pub fn loaded(model: &str, generate: bool, unload: bool, created_at: u64) -> Bytes {
    let mut out = BytesMut::new();
    emit::object(&mut out, |writer| {
        writer.string("model", model);
        created(writer, Duration::from_secs(created_at));
        let answer = Collected::default();
        if generate {
            generated(writer, &answer);
        } else {
            writer.object("message", |writer| message(writer, &answer, false));
        }
        writer.literal("done", "true");
        writer.string("done_reason", if unload { "unload" } else { "load" });
    });
    out.freeze()
}

fn created(writer: &mut ObjectWriter<'_>, since: Duration) {
    writer.escaped("created_at", &stamp(since));
}

fn message(writer: &mut ObjectWriter<'_>, answer: &Collected<'_>, objects: bool) {
    writer.string("role", "assistant");
    writer.escaped("content", &answer.text);
    if !answer.reasoning.is_empty() {
        writer.escaped("thinking", &answer.reasoning);
    }
    if !answer.images.is_empty() {
        encode::images(writer, answer.images.iter().map(|(image, _)| *image), objects);
    }
    if !answer.calls.is_empty() {
        let calls = answer.calls.iter().enumerate();
        writer.array("tool_calls", calls, |out, (index, call)| encode::call(out, index, *call));
    }
}

fn generated(writer: &mut ObjectWriter<'_>, answer: &Collected<'_>) {
    writer.escaped("response", &answer.text);
    if !answer.reasoning.is_empty() {
        writer.escaped("thinking", &answer.reasoning);
    }
    if let Some((image, _)) = answer.images.last() {
        writer.text("image", image);
    }
}
