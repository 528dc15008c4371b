//! A collected reply as a `chat.completion` body.

mod extra;

use bytes::{BufMut, Bytes, BytesMut};

use self::extra::Extra;
use super::encode;
use crate::canon::{CallKind, Finish, ItemKind, Part};
use crate::dialect::{Dialect, ReplySetting};
use crate::fold::Whole;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    let answer = Answer::of(whole);
    let extra = Extra::of(whole);
    let mut out = BytesMut::with_capacity(answer.content.len() + 1024);
    emit::object(&mut out, |writer| {
        // A stream of a chat upstream has its id, and so has its body.
        let passes = whole.frames_in(Dialect::Chat).next().is_some() && !whole.id.is_empty();
        if setting.id.is_empty() || passes {
            writer.text("id", &whole.id);
        } else {
            writer.string("id", &setting.id);
        }
        writer.string("object", "chat.completion");
        writer.number("created", if whole.created > 0 { whole.created } else { setting.created });
        match &whole.model {
            Some(model) => writer.text("model", model),
            None => writer.string("model", &setting.model),
        }
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

/// What one assistant message has room for; texts escaped and joined.
#[derive(Default)]
struct Answer<'w> {
    content: BytesMut,
    said: bool,
    refusal: BytesMut,
    reasoning: BytesMut,
    annotations: Vec<Json>,
    calls: Vec<Call<'w>>,
    images: Vec<(&'w Text, Option<&'w Text>)>,
}

type Call<'w> = (CallKind, (&'w Text, &'w Text, &'w Text));

impl<'w> Answer<'w> {
    fn of(whole: &'w Whole) -> Self {
        let mut answer = Self::default();
        for item in &whole.items {
            answer.add(&item.kind);
        }
        answer
    }

    fn add(&mut self, kind: &'w ItemKind) {
        match kind {
            ItemKind::Message { parts, .. } => parts.iter().for_each(|part| self.part(part)),
            ItemKind::Reasoning { summary, text, .. } => {
                for paragraph in summary.iter().chain(text).filter(|text| !text.is_empty()) {
                    if !self.reasoning.is_empty() {
                        self.reasoning.put_slice(b"\\n\\n");
                    }
                    self.reasoning.put_slice(paragraph.escaped());
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } => self.calls.push((*kind, (call_id, name, input))),
            ItemKind::Image { result, format, .. } if !result.is_empty() => {
                self.images.push((result, format.as_ref()));
            }
            ItemKind::Output { .. } | ItemKind::Search { .. } | ItemKind::Image { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text { text, annotations } => {
                self.said = true;
                self.content.put_slice(text.escaped());
                let citations = annotations.iter().flat_map(Json::elements);
                self.annotations.extend(citations.filter_map(|data| encode::citation(&data)));
            }
            Part::Refusal(refusal) => self.refusal.put_slice(refusal.escaped()),
            Part::Image { .. } | Part::File { .. } | Part::Other(_) => {}
        }
    }
}

fn choice(
    writer: &mut ObjectWriter<'_>,
    whole: &Whole,
    (answer, extra): (&Answer<'_>, &Extra),
    setting: &ReplySetting,
) {
    let legacy = setting.reply.legacy_functions;
    writer.literal("index", "0");
    writer.object("message", |writer| {
        message(writer, answer, legacy);
        extra.message(writer);
    });
    extra.choice(writer);
    let finish = whole.finish.unwrap_or(Finish::Stop);
    match extra.finish() {
        // Streams pass the upstream's word too.
        Some(word) if answer.calls.is_empty() => writer.text("finish_reason", word),
        _ => writer.string("finish_reason", encode::reason(finish, !answer.calls.is_empty(), legacy)),
    }
}

fn message(writer: &mut ObjectWriter<'_>, answer: &Answer<'_>, legacy: bool) {
    writer.string("role", "assistant");
    let silent = answer.calls.is_empty() && answer.refusal.is_empty() && answer.images.is_empty();
    if answer.said || silent {
        joined(writer, "content", &answer.content);
    } else {
        writer.literal("content", "null");
    }
    if answer.refusal.is_empty() {
        writer.literal("refusal", "null");
    } else {
        joined(writer, "refusal", &answer.refusal);
    }
    if !answer.reasoning.is_empty() {
        joined(writer, "reasoning_content", &answer.reasoning);
    }
    if !answer.annotations.is_empty() {
        writer.array("annotations", &answer.annotations, encode::raw);
    }
    let (first, calls) = match answer.calls.split_first() {
        Some((first, rest)) if legacy => (Some(first), rest),
        _ => (None, answer.calls.as_slice()),
    };
    if let Some((_, (_, name, input))) = first {
        writer.object("function_call", |writer| {
            writer.text("name", name);
            writer.text("arguments", input);
        });
    }
    if !calls.is_empty() {
        writer.array("tool_calls", calls, |out, (kind, call)| {
            emit::object(out, |writer| encode::call(writer, *kind, *call));
        });
    }
    if !answer.images.is_empty() {
        writer.array("images", &answer.images, |out, (result, format)| encode::image(out, result, *format));
    }
}

fn joined(writer: &mut ObjectWriter<'_>, name: &str, text: &[u8]) {
    let out = writer.key(name);
    out.put_u8(b'"');
    out.put_slice(text);
    out.put_u8(b'"');
}
