//! The words of Gemini that requests, streams and whole bodies share.

use bytes::{BufMut, BytesMut};

use crate::canon::{CallKind, Finish, Usage};
use crate::json;
use crate::json::pen::{self, Pen};
use crate::text::Text;

/// What stands where Gemini wants a signature and there is none: its servers take it for one that need not be checked.
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
pub(super) fn usage(pen: &mut Pen<'_>, usage: &Usage) {
    pen.number("promptTokenCount", usage.input);
    if usage.cached > 0 {
        pen.number("cachedContentTokenCount", usage.cached);
    }
    pen.number("candidatesTokenCount", usage.output.saturating_sub(usage.reasoning));
    if usage.reasoning > 0 {
        pen.number("thoughtsTokenCount", usage.reasoning.min(usage.output));
    }
    pen.number("totalTokenCount", usage.input.saturating_add(usage.output));
    // What the tokens stand for; all of ours are text.
    pen.array("promptTokensDetails", [()], |out, ()| {
        pen::object(out, |pen| {
            pen.plain("modality", "TEXT");
            pen.number("tokenCount", usage.input);
        });
    });
}

/// Writes a call's arguments as an object; what is none becomes one with the text in `input`.
pub(super) fn args(out: &mut BytesMut, kind: CallKind, input: &Text) {
    let plain = input.plain();
    let trimmed = plain.trim();
    if kind == CallKind::Function && trimmed.is_empty() {
        return out.put_slice(b"{}");
    }
    if kind == CallKind::Function && trimmed.starts_with('{') && json::valid(trimmed.as_bytes()) {
        // A line break would end the SSE line; in JSON it only stands between values.
        for line in trimmed.split(['\n', '\r']) {
            out.put_slice(line.as_bytes());
        }
        return;
    }
    pen::object(out, |pen| pen.text("input", input));
}

/// A function call as the member of a part.
pub(super) fn call(pen: &mut Pen<'_>, kind: CallKind, (id, name, input): (&Text, &Text, &Text)) {
    pen.object("functionCall", |pen| {
        pen.text("id", id);
        pen.text("name", name);
        args(pen.key("args"), kind, input);
    });
}

/// An inline image as the member of a part.
pub(super) fn image(pen: &mut Pen<'_>, result: &Text, format: Option<&Text>) {
    let format = format.map(Text::plain).unwrap_or_default();
    let plain = !format.is_empty() && format.bytes().all(|b| b.is_ascii_alphanumeric());
    pen.object("inlineData", |pen| {
        pen.plain("mimeType", &format!("image/{}", if plain { &format } else { "png" }));
        pen.text("data", result);
    });
}
