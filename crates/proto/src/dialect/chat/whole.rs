//! A collected reply as a `chat.completion` body.

mod extra;

use bytes::{Bytes, BytesMut};

use self::extra::Extra;
use super::encode;
use crate::canon::Finish;
use crate::dialect::collected::{Collected, Refusals};
use crate::dialect::{Dialect, ReplySetting};
use crate::fold::Whole;
use crate::json::emit::{self, ObjectWriter};
use crate::text::Json;

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let answer = Collected::of(&whole.items, Refusals::Apart);
    let extra = Extra::of(whole);
    let mut out = BytesMut::with_capacity(answer.text.len() + 1024);
    emit::object(&mut out, |writer| {
        // A chat upstream's stream keeps its id, so its collected body does too.
        let passes = whole.frames_in(Dialect::Chat).next().is_some() && !whole.id.is_empty();
        let id = if passes { whole.id.clone() } else { setting.shown_id(Some(&whole.id)) };
        writer.text("id", &id);
        writer.string("object", "chat.completion");
        writer.number("created", setting.shown_time(whole.created));
        writer.text("model", &setting.shown_model(whole.model.as_ref()));
        writer.array("choices", [()], |out, ()| {
            emit::object(out, |writer| choice(writer, whole, (&answer, &extra), setting));
        });
        if let Some(usage) = &whole.usage {
            writer.object("usage", |writer| encode::usage(writer, usage));
        }
        if let Some(tier) = whole.response.as_ref().and_then(|response| response.text("service_tier")) {
            writer.text("service_tier", &tier);
        }
        extra.body(writer);
    });
    out.freeze()
}

fn choice(
    writer: &mut ObjectWriter<'_>,
    whole: &Whole,
    (answer, extra): (&Collected<'_>, &Extra),
    setting: &ReplySetting,
) {
    let legacy = setting.reply.legacy_functions;
    writer.literal("index", "0");
    writer.object("message", |writer| {
        message(writer, answer, legacy);
        images(writer, answer, extra.images());
        extra.message(writer);
    });
    extra.choice(writer);
    let finish = whole.finish.unwrap_or(Finish::Stop);
    match extra.finish() {
        // Streams pass the upstream's reason too.
        Some(word) if answer.calls.is_empty() => writer.text("finish_reason", word),
        _ => writer.string("finish_reason", encode::reason(finish, !answer.calls.is_empty(), legacy)),
    }
}

fn message(writer: &mut ObjectWriter<'_>, answer: &Collected<'_>, legacy: bool) {
    writer.string("role", "assistant");
    let silent = answer.calls.is_empty() && answer.refusal.is_empty() && answer.images.is_empty();
    if answer.has_text || silent {
        writer.escaped("content", &answer.text);
    } else {
        writer.literal("content", "null");
    }
    if answer.refusal.is_empty() {
        writer.literal("refusal", "null");
    } else {
        writer.escaped("refusal", &answer.refusal);
    }
    if !answer.reasoning.is_empty() {
        writer.escaped("reasoning_content", &answer.reasoning);
    }
    let citations: Vec<Json> = answer.citations.iter().filter_map(encode::citation).collect();
    if !citations.is_empty() {
        writer.list("annotations", &citations);
    }
    let (first, calls) = match answer.calls.split_first() {
        Some((first, rest)) if legacy => (Some(first), rest),
        _ => (None, answer.calls.as_slice()),
    };
    if let Some((_, _, name, input)) = first {
        writer.object("function_call", |writer| {
            writer.text("name", name);
            writer.text("arguments", input);
        });
    }
    if !calls.is_empty() {
        writer.array("tool_calls", calls, |out, call| {
            emit::object(out, |writer| encode::call(writer, *call));
        });
    }
}

/// The images of the items, then those that no item holds.
fn images(writer: &mut ObjectWriter<'_>, answer: &Collected<'_>, others: &[Json]) {
    let own = answer.images.iter().map(|(result, format)| {
        let mut out = BytesMut::new();
        encode::image(&mut out, result, *format);
        out.freeze()
    });
    let all: Vec<Bytes> = own.chain(others.iter().map(|image| image.bytes().clone())).collect();
    if !all.is_empty() {
        writer.array("images", &all, |out, image| out.extend_from_slice(image));
    }
}
