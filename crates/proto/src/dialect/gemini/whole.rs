//! A collected reply as a `GenerateContentResponse`: assembled from the upstream's own frames if they came in this dialect, else from the
//! items.

mod assemble;

use bytes::{BufMut, Bytes, BytesMut};

use self::assemble::Assembly;
use super::writer::Sources;
use super::{encode, reasoning_state};
use crate::canon::{CallKind, Finish, ItemKind, Part};
use crate::dialect::{Dialect, ReplySetting, open_calls};
use crate::fold::Whole;
use crate::framing::sse;
use crate::json;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// Writes the body.
pub(super) fn write(whole: &Whole, setting: &ReplySetting) -> Bytes {
    if let Some(body) = assembled(whole) {
        return body;
    }
    let mut answer = Answer::default();
    for (at, item) in (0..).zip(open_calls::complete(whole)) {
        answer.add(at, &item.kind);
    }
    answer.end();
    let mut out = BytesMut::with_capacity(1024);
    emit::object(&mut out, |writer| {
        writer.array("candidates", [()], |out, ()| emit::object(out, |writer| candidate(writer, whole, &answer)));
        if let Some(usage) = &whole.usage {
            writer.object("usageMetadata", |writer| encode::usage(writer, usage));
        }
        writer.text("modelVersion", &setting.shown_model(whole.model.as_ref()));
        writer.text("responseId", &setting.shown_id(Some(&whole.id)));
    });
    out.freeze()
}

/// The body from the upstream's own frames, which have more fields than items.
fn assembled(whole: &Whole) -> Option<Bytes> {
    let mut frames = whole.frames_in(Dialect::Gemini).cloned().filter_map(sse::parse).peekable();
    frames.peek()?;
    let mut assembly = Assembly::default();
    for frame in frames.filter(|frame| json::valid(&frame.data)) {
        assembly.read(&Json::from_valid(frame.data))?;
    }
    Some(assembly.body())
}

/// The parts of the only candidate.
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
                    self.pending = Some(reasoning_state::write(id.as_ref(), encrypted));
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

    fn part(&mut self, key: (u32, u32), part: &'w Part) {
        let text = match part {
            Part::Text { text, annotations } => {
                self.sources.text(key, text, annotations.as_ref());
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

    /// Adds a paragraph of reasoning; the pieces of one thought are joined as in the stream.
    fn thought(&mut self, text: &Text) {
        let reasoned = self.parts.iter().any(|(piece, _)| matches!(piece, Piece::Thought(open) if !open.is_empty()));
        let mut paragraph = BytesMut::new();
        if reasoned {
            paragraph.put_slice(b"\\n\\n");
        }
        paragraph.put_slice(text.escaped());
        match self.parts.last_mut() {
            Some((Piece::Thought(open), None)) => open.put_slice(&paragraph),
            // Pending state belongs to the model's text, not to a thought.
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

    /// State without a call goes on the last text. Only a stream needs an empty text for it, since a stream has already sent its text.
    fn end(&mut self) {
        match self.parts.last_mut() {
            Some((Piece::Text(_), state)) if state.is_none() => *state = self.pending.take(),
            Some(_) if self.pending.is_none() => {}
            _ => self.push(Piece::Text(BytesMut::new())),
        }
    }
}

fn candidate(writer: &mut ObjectWriter<'_>, whole: &Whole, answer: &Answer<'_>) {
    writer.object("content", |writer| {
        writer.array("parts", &answer.parts, |out, (piece, state)| {
            emit::object(out, |writer| {
                self::piece(writer, piece);
                writer.optional_text("thoughtSignature", state.as_ref());
            });
        });
        writer.string("role", "model");
    });
    writer.string("finishReason", encode::reason(whole.finish.unwrap_or(Finish::Stop)));
    writer.number("index", 0);
    if let Some(grounding) = answer.sources.grounding() {
        writer.json("groundingMetadata", &grounding);
    }
}

fn piece(writer: &mut ObjectWriter<'_>, piece: &Piece<'_>) {
    match piece {
        Piece::Text(text) => writer.escaped("text", text),
        Piece::Thought(text) => {
            writer.escaped("text", text);
            writer.literal("thought", "true");
        }
        Piece::Call(kind, id, name, input) => encode::call(writer, *kind, (id, name, input)),
        Piece::Image(result, format) => encode::image(writer, result, *format),
    }
}
