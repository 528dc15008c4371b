//! A collected reply as a `GenerateContentResponse`: of the upstream's own frames where they came in this dialect, else of the
//! items.

mod assemble;

use bytes::{BufMut, Bytes, BytesMut};

use self::assemble::Assembly;
use super::writer::Sources;
use super::{say, signature};
use crate::canon::{CallKind, Finish, ItemKind, Part};
use crate::dialect::{Dialect, Setting};
use crate::fold::Whole;
use crate::framing::sse;
use crate::json;
use crate::json::pen::{self, Pen};
use crate::text::{Json, Text};

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &Setting) -> Bytes {
    if let Some(body) = assembled(whole) {
        return body;
    }
    let mut answer = Answer::default();
    for (at, item) in (0..).zip(&whole.items) {
        answer.add(at, &item.kind);
    }
    answer.end();
    let mut out = BytesMut::with_capacity(1024);
    pen::object(&mut out, |pen| {
        pen.array("candidates", [()], |out, ()| pen::object(out, |pen| candidate(pen, whole, &answer)));
        if let Some(usage) = &whole.usage {
            pen.object("usageMetadata", |pen| say::usage(pen, usage));
        }
        match &whole.model {
            Some(model) => pen.text("modelVersion", model),
            None => pen.plain("modelVersion", &setting.model),
        }
        if setting.id.is_empty() {
            pen.text("responseId", &whole.id);
        } else {
            pen.plain("responseId", &setting.id);
        }
    });
    out.freeze()
}

/// The body out of the upstream's own frames, which say more than items can.
fn assembled(whole: &Whole) -> Option<Bytes> {
    let mut frames = whole.own(Dialect::Gemini).cloned().filter_map(sse::parse).peekable();
    frames.peek()?;
    let mut assembly = Assembly::default();
    for frame in frames.filter(|frame| json::valid(&frame.data)) {
        assembly.read(&Json::from_valid(frame.data))?;
    }
    Some(assembly.body())
}

/// The parts of the one candidate.
#[derive(Default)]
struct Answer<'w> {
    parts: Vec<(Piece<'w>, Option<Text>)>,
    pending: Option<Text>,
    sources: Sources,
}

enum Piece<'w> {
    /// Text, escaped and joined.
    Text(BytesMut),
    Thought(BytesMut),
    Call(CallKind, &'w Text, &'w Text, &'w Text),
    Image(&'w Text, Option<&'w Text>),
}

impl<'w> Answer<'w> {
    fn add(&mut self, at: u32, kind: &'w ItemKind) {
        match kind {
            ItemKind::Message { parts, .. } => {
                for (index, part) in (0..).zip(parts) {
                    self.part((at, index), part);
                }
            }
            ItemKind::Reasoning { id, summary, text, encrypted } => {
                summary.iter().chain(text).filter(|text| !text.is_empty()).for_each(|text| self.thought(text));
                if let Some(encrypted) = encrypted {
                    self.flush();
                    self.pending = Some(signature::write(id.as_ref(), encrypted));
                }
            }
            ItemKind::Call { kind, call_id, name, input, .. } => self.push(Piece::Call(*kind, call_id, name, input)),
            ItemKind::Image { result, format, .. } if !result.is_empty() => {
                self.push(Piece::Image(result, format.as_ref()));
            }
            ItemKind::Search { action, .. } => self.sources.searched(action.as_ref()),
            ItemKind::Image { .. } | ItemKind::Output { .. } | ItemKind::Other { .. } => {}
        }
    }

    fn part(&mut self, place: (u32, u32), part: &'w Part) {
        let text = match part {
            Part::Text { text, annotations } => {
                self.sources.text(place, text, annotations.as_ref());
                text
            }
            Part::Refusal(refusal) => refusal,
            _ => return,
        };
        if text.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some((Piece::Text(open), _)) => open.put_slice(text.escaped()),
            _ => self.parts.push((Piece::Text(BytesMut::from(&text.escaped()[..])), None)),
        }
    }

    /// A paragraph of reasoning; the pieces of one thought are joined as the stream joins them.
    fn thought(&mut self, text: &Text) {
        let reasoned = self.parts.iter().any(|(piece, _)| matches!(piece, Piece::Thought(open) if !open.is_empty()));
        let mut paragraph = BytesMut::new();
        if reasoned {
            paragraph.put_slice(b"\\n\\n");
        }
        paragraph.put_slice(text.escaped());
        match self.parts.last_mut() {
            Some((Piece::Thought(open), None)) => open.put_slice(&paragraph),
            // State that waits belongs to what was said, not to a thought.
            _ => self.parts.push((Piece::Thought(paragraph), None)),
        }
    }

    fn push(&mut self, piece: Piece<'w>) {
        let state = self.pending.take();
        self.parts.push((piece, state));
    }

    fn flush(&mut self) {
        if let Some(state) = self.pending.take() {
            self.parts.push((Piece::Thought(BytesMut::new()), Some(state)));
        }
    }

    /// State that no call took goes out on the last text. Only a stream, whose text is gone by then, needs an empty one for it.
    fn end(&mut self) {
        match self.parts.last_mut() {
            Some((Piece::Text(_), state)) if state.is_none() => *state = self.pending.take(),
            Some(_) if self.pending.is_none() => {}
            _ => self.push(Piece::Text(BytesMut::new())),
        }
    }
}

fn candidate(pen: &mut Pen<'_>, whole: &Whole, answer: &Answer<'_>) {
    pen.object("content", |pen| {
        pen.array("parts", &answer.parts, |out, (piece, state)| {
            pen::object(out, |pen| {
                self::piece(pen, piece);
                pen.maybe("thoughtSignature", state.as_ref());
            });
        });
        pen.plain("role", "model");
    });
    pen.plain("finishReason", say::reason(whole.finish.unwrap_or(Finish::Stop)));
    pen.number("index", 0);
    if let Some(grounding) = answer.sources.grounding() {
        pen.json("groundingMetadata", &grounding);
    }
}

fn piece(pen: &mut Pen<'_>, piece: &Piece<'_>) {
    match piece {
        Piece::Text(text) => joined(pen, text),
        Piece::Thought(text) => {
            joined(pen, text);
            pen.word("thought", "true");
        }
        Piece::Call(kind, id, name, input) => say::call(pen, *kind, (id, name, input)),
        Piece::Image(result, format) => say::image(pen, result, *format),
    }
}

fn joined(pen: &mut Pen<'_>, text: &[u8]) {
    let out = pen.key("text");
    out.put_u8(b'"');
    out.put_slice(text);
    out.put_u8(b'"');
}
