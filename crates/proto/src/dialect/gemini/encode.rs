//! Parts of Gemini's format that requests, streams and whole bodies share.

use bytes::{BufMut, BytesMut};

use crate::canon::{CallKind, Finish, Usage};
use crate::dialect::image_format;
use crate::json;
use crate::json::emit::{self, ObjectWriter};
use crate::text::Text;

/// The signature for a part that needs one and has none: Gemini's servers accept it without a check.
pub(super) const UNSIGNED: &str = "skip_thought_signature_validator";

/// The finish reason.
pub(super) fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filter => "SAFETY",
        Finish::Cancelled => "OTHER",
    }
}

/// The members of `usageMetadata`.
pub(super) fn usage(writer: &mut ObjectWriter<'_>, usage: &Usage) {
    writer.number("promptTokenCount", usage.input);
    if usage.cached > 0 {
        writer.number("cachedContentTokenCount", usage.cached);
    }
    writer.number("candidatesTokenCount", usage.output.saturating_sub(usage.reasoning));
    if usage.reasoning > 0 {
        writer.number("thoughtsTokenCount", usage.reasoning.min(usage.output));
    }
    writer.number("totalTokenCount", usage.input.saturating_add(usage.output));
    // The modality of the tokens; the gateway counts only text.
    writer.array("promptTokensDetails", [()], |out, ()| {
        emit::object(out, |writer| {
            writer.string("modality", "TEXT");
            writer.number("tokenCount", usage.input);
        });
    });
}

/// Writes a call's arguments as an object; other input becomes an object with the text in `input`.
pub(super) fn args(out: &mut BytesMut, kind: CallKind, input: &Text) {
    let plain = input.plain();
    let trimmed = plain.trim();
    if kind == CallKind::Function && trimmed.is_empty() {
        return out.put_slice(b"{}");
    }
    if kind == CallKind::Function && trimmed.starts_with('{') && json::valid(trimmed.as_bytes()) {
        // A line break would end the SSE line; in JSON it only occurs between values.
        for line in trimmed.split(['\n', '\r']) {
            out.put_slice(line.as_bytes());
        }
        return;
    }
    emit::object(out, |writer| writer.text("input", input));
}

/// A function call as the member of a part.
pub(super) fn call(writer: &mut ObjectWriter<'_>, kind: CallKind, (id, name, input): (&Text, &Text, &Text)) {
    writer.object("functionCall", |writer| {
        writer.text("id", id);
        writer.text("name", name);
        args(writer.key("args"), kind, input);
    });
}

/// An inline image as the member of a part.
pub(super) fn image(writer: &mut ObjectWriter<'_>, result: &Text, format: Option<&Text>) {
    writer.object("inlineData", |writer| {
        writer.string("mimeType", &format!("image/{}", image_format(format)));
        writer.text("data", result);
    });
}
