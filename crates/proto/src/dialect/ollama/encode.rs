//! Parts of Ollama's format that streams and whole bodies share.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::canon::{CallKind, Finish, Usage};
use crate::dialect::collected::Call;
use crate::fold::Timing;
use crate::json::emit::{self, ObjectWriter};
use crate::json::{Shape, valid};
use crate::text::{Json, Text};

/// `done` and all members after it.
pub(super) fn done(writer: &mut ObjectWriter<'_>, finish: Finish, usage: Option<Usage>, timing: &Timing) {
    writer.literal("done", "true");
    writer.string("done_reason", reason(finish));
    let usage = usage.unwrap_or_default();
    writer.number("total_duration", nanos(timing.last));
    // Nothing is loaded here; the time until an upstream's first token counts as reading the prompt.
    writer.number("load_duration", 0);
    writer.number("prompt_eval_count", usage.input);
    writer.number("prompt_eval_duration", nanos(timing.first));
    writer.number("eval_count", usage.output);
    // Clients divide by this duration.
    writer.number("eval_duration", nanos(timing.last.saturating_sub(timing.first)).max(1));
}

/// The reason why a reply ended. Ollama has no separate value for a reply that waits for tools.
fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls | Finish::Cancelled => "stop",
        Finish::Length => "length",
        Finish::Filter => "content_filter",
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// One element of `tool_calls`.
pub(super) fn call(out: &mut BytesMut, index: usize, (kind, call_id, name, input): Call<'_>) {
    emit::object(out, |writer| {
        writer.text("id", call_id);
        writer.object("function", |writer| {
            writer.number("index", index as u64);
            writer.text("name", name);
            writer.json("arguments", &arguments(kind, input).unwrap_or_else(|| wrapped(input)));
        });
    });
}

/// The `images` of a message.
pub(super) fn images<'i>(writer: &mut ObjectWriter<'_>, images: impl IntoIterator<Item = &'i Text>, objects: bool) {
    writer.array("images", images, |out, image| {
        if objects { emit::object(out, |writer| writer.text("value", image)) } else { emit::quote(out, image) }
    });
}

fn arguments(kind: CallKind, input: &Text) -> Option<Json> {
    if kind == CallKind::Custom {
        return Some(wrapped(input));
    }
    let plain = input.plain();
    let plain = if plain.is_empty() { "{}" } else { plain.as_ref() };
    if !valid(plain.as_bytes()) {
        return None;
    }
    // A reply is one line. Between members a line break has no meaning, and inside a string it is escaped.
    let bytes: Vec<u8> = plain.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    Some(Json::from_valid(Bytes::from(bytes))).filter(|json| json.shape() == Shape::Object)
}

/// Wraps text that is not an object in one.
fn wrapped(input: &Text) -> Json {
    emit::json(|writer| writer.text("input", input))
}
