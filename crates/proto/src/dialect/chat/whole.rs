//! A collected reply as a `chat.completion` body.

mod extra;

use bytes::{BufMut, Bytes, BytesMut};

use self::extra::Extra;
use super::say;
use crate::canon::{CallKind, Finish, ItemKind, Part};
use crate::dialect::{Dialect, Setting};
use crate::fold::Whole;
use crate::json::pen::{self, Pen};
use crate::text::{Json, Text};

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &Setting) -> Bytes {
    let answer = Answer::of(whole);
    let extra = Extra::of(whole);
    let mut out = BytesMut::with_capacity(answer.content.len() + 1024);
    pen::object(&mut out, |pen| {
        // A stream of a chat upstream has its id, and so has its body.
        let passes = whole.own(Dialect::Chat).next().is_some() && !whole.id.is_empty();
        if setting.id.is_empty() || passes {
            pen.text("id", &whole.id);
        } else {
            pen.plain("id", &setting.id);
        }
        pen.plain("object", "chat.completion");
        pen.number("created", if whole.created > 0 { whole.created } else { setting.created });
        match &whole.model {
            Some(model) => pen.text("model", model),
            None => pen.plain("model", &setting.model),
        }
        pen.array("choices", [()], |out, ()| pen::object(out, |pen| choice(pen, whole, (&answer, &extra), setting)));
        if let Some(usage) = &whole.usage {
            pen.object("usage", |pen| say::usage(pen, usage));
        }
        if let Some(tier) = whole.response.as_ref().and_then(|response| response.text("service_tier")) {
            pen.text("service_tier", &tier);
        }
        extra.body(pen);
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
                self.annotations.extend(citations.filter_map(|data| say::citation(&data)));
            }
            Part::Refusal(refusal) => self.refusal.put_slice(refusal.escaped()),
            Part::Image { .. } | Part::File { .. } | Part::Other(_) => {}
        }
    }
}

fn choice(pen: &mut Pen<'_>, whole: &Whole, (answer, extra): (&Answer<'_>, &Extra), setting: &Setting) {
    let legacy = setting.reply.legacy_functions;
    pen.word("index", "0");
    pen.object("message", |pen| {
        message(pen, answer, legacy);
        extra.message(pen);
    });
    extra.choice(pen);
    let finish = whole.finish.unwrap_or(Finish::Stop);
    match extra.finish() {
        // Streams pass the upstream's word too.
        Some(word) if answer.calls.is_empty() => pen.text("finish_reason", word),
        _ => pen.plain("finish_reason", say::reason(finish, !answer.calls.is_empty(), legacy)),
    }
}

fn message(pen: &mut Pen<'_>, answer: &Answer<'_>, legacy: bool) {
    pen.plain("role", "assistant");
    let silent = answer.calls.is_empty() && answer.refusal.is_empty() && answer.images.is_empty();
    if answer.said || silent {
        joined(pen, "content", &answer.content);
    } else {
        pen.word("content", "null");
    }
    if answer.refusal.is_empty() {
        pen.word("refusal", "null");
    } else {
        joined(pen, "refusal", &answer.refusal);
    }
    if !answer.reasoning.is_empty() {
        joined(pen, "reasoning_content", &answer.reasoning);
    }
    if !answer.annotations.is_empty() {
        pen.array("annotations", &answer.annotations, say::raw);
    }
    let (first, calls) = match answer.calls.split_first() {
        Some((first, rest)) if legacy => (Some(first), rest),
        _ => (None, answer.calls.as_slice()),
    };
    if let Some((_, (_, name, input))) = first {
        pen.object("function_call", |pen| {
            pen.text("name", name);
            pen.text("arguments", input);
        });
    }
    if !calls.is_empty() {
        pen.array("tool_calls", calls, |out, (kind, call)| pen::object(out, |pen| say::call(pen, *kind, *call)));
    }
    if !answer.images.is_empty() {
        pen.array("images", &answer.images, |out, (result, format)| say::image(out, result, *format));
    }
}

fn joined(pen: &mut Pen<'_>, name: &str, text: &[u8]) {
    let out = pen.key(name);
    out.put_u8(b'"');
    out.put_slice(text);
    out.put_u8(b'"');
}
