//! Parts of the chat format that streams and whole bodies share.

use bytes::{BufMut, BytesMut};

use crate::canon::{CallKind, Finish, Usage};
use crate::dialect::collected::Call;
use crate::dialect::{image_format, openai_error};
use crate::failure::Failure;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// Values of other servers for `stop`.
const STOPS: [&str; 8] = ["eos", "eos_token", "end_turn", "stop_sequence", "end", "complete", "completed", "finished"];

/// Whether a finish reason means that the model finished normally.
pub(super) fn is_stop(reason: &str) -> bool {
    reason.eq_ignore_ascii_case("stop") || STOPS.contains(&reason)
}

/// Whether `OpenAI` has a finish reason with the same meaning as this one of an upstream.
pub(super) fn has_word_for(reason: &str) -> bool {
    is_stop(reason) || ["length", "max_tokens", "content_filter", "tool_calls", "function_call"].contains(&reason)
}

/// The finish reason. A reply that ends normally and has calls waits for their results, whatever reason the upstream gives.
pub(super) fn reason(finish: Finish, calls: bool, legacy: bool) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::Filter => "content_filter",
        Finish::Stop | Finish::ToolCalls if calls && legacy => "function_call",
        Finish::Stop | Finish::ToolCalls if calls => "tool_calls",
        Finish::ToolCalls | Finish::Stop | Finish::Cancelled => "stop",
    }
}

/// The members of a usage object.
pub(super) fn usage(writer: &mut ObjectWriter<'_>, usage: &Usage) {
    writer.number("prompt_tokens", usage.input);
    writer.number("completion_tokens", usage.output);
    writer.number("total_tokens", usage.input.saturating_add(usage.output));
    writer.object("prompt_tokens_details", |writer| {
        writer.number("cached_tokens", usage.cached);
        if usage.cache_write > 0 {
            writer.number("cache_write_tokens", usage.cache_write);
        }
    });
    writer.object("completion_tokens_details", |writer| writer.number("reasoning_tokens", usage.reasoning));
}

/// The members of a call.
pub(super) fn call(writer: &mut ObjectWriter<'_>, (kind, call_id, name, input): Call<'_>) {
    writer.text("id", call_id);
    writer.string("type", kind_name(kind));
    writer.object(kind_name(kind), |writer| {
        writer.text("name", name);
        writer.text(input_name(kind), input);
    });
}

/// The first piece of a streamed call.
pub(super) fn call_start(out: &mut BytesMut, index: usize, kind: CallKind, call_id: &Text, name: &Text) {
    emit::object(out, |writer| {
        writer.number("index", index as u64);
        call(writer, (kind, call_id, name, &Text::default()));
    });
}

/// A further piece of a streamed call.
pub(super) fn call_more(out: &mut BytesMut, index: usize, kind: CallKind, input: &Text) {
    emit::object(out, |writer| {
        writer.number("index", index as u64);
        writer.object(kind_name(kind), |writer| writer.text(input_name(kind), input));
    });
}

fn kind_name(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "function",
        CallKind::Custom => "custom",
    }
}

fn input_name(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Function => "arguments",
        CallKind::Custom => "input",
    }
}

/// A generated image as a data URL; chat has no format for it, so this is the one of other gateways.
pub(super) fn image(out: &mut BytesMut, result: &Text, format: Option<&Text>) {
    emit::object(out, |writer| {
        writer.string("type", "image_url");
        writer.object("image_url", |writer| {
            let url = writer.key("url");
            url.put_slice(b"\"data:image/");
            url.put_slice(image_format(format).as_bytes());
            url.put_slice(b";base64,");
            url.put_slice(result.escaped());
            url.put_u8(b'"');
        });
    });
}

/// Format and start of the base64 part of an image's data URL.
pub(super) fn data_url(url: &str) -> Option<(&str, usize)> {
    let (head, data) = url.split_once(";base64,")?;
    let format = head.replace("\\/", "/");
    let format = format.strip_prefix("data:image/")?;
    let start = url.len() - data.len();
    Some((&head[head.len() - format.len()..], start))
}

/// Whether a message's image has its data in its URL, so that an item can hold it.
pub(super) fn is_inline_image(image: &Json) -> bool {
    let url = image.get("image_url").and_then(|url| url.text("url"));
    url.is_some_and(|url| data_url(url.as_str()).is_some())
}

/// A citation in chat's nested form; `None` for kinds that chat does not have.
pub(super) fn citation(data: &Json) -> Option<Json> {
    if !data.text("type")?.is("url_citation") {
        return None;
    }
    if data.get("url_citation").is_some() {
        return Some(data.clone());
    }
    Some(emit::json(|writer| {
        writer.string("type", "url_citation");
        writer.object("url_citation", |writer| {
            for (name, value) in data.fields().filter(|(name, _)| !name.is("type")) {
                writer.json(&name.plain(), &value);
            }
        });
    }))
}

/// A citation in the flat form of responses.
pub(super) fn flat_citation(data: &Json) -> Json {
    let Some(nested) = data.get("url_citation") else { return data.clone() };
    emit::json(|writer| {
        writer.string("type", "url_citation");
        for (name, value) in nested.fields() {
            writer.json(&name.plain(), &value);
        }
    })
}

/// The frame that ends a stream with a failure.
pub(super) fn failure(out: &mut BytesMut, failure: &Failure) {
    let (_, body) = openai_error::write(failure);
    out.put_slice(b"data: ");
    out.put_slice(&body);
    out.put_slice(b"\n\n");
}
