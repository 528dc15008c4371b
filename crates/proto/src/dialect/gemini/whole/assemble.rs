//! Assembles frames of a Gemini upstream into the body of a reply without streaming: consecutive text and audio are joined, everything else
//! stays unchanged.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};

use crate::json::emit::{self, ObjectWriter};
use crate::json::patch::upsert;
use crate::json::pieces::Pieces;
use crate::text::{Json, Text};

/// The lists of `logprobsResult`, token by token.
const LOGPROB_LISTS: &[&str] = &["chosenCandidates", "topCandidates"];

/// A reply in progress.
#[derive(Default)]
pub(super) struct Assembly {
    /// Fields other than the candidates.
    fields: Vec<(Text, Json)>,
    /// Fields of the first candidate other than its content; `None` before the first candidate.
    candidate: Option<Vec<(Text, Json)>>,
    /// The probabilities of the first candidate.
    logprobs: Option<Pieces>,
    parts: Vec<Part>,
}

enum Part {
    /// Text, escaped, and whether it is a thought.
    Text(bool, BytesMut),
    /// Audio: media type and bytes.
    Sound(Text, Vec<u8>),
    /// Any other part, unchanged.
    Other(Json),
}

impl Assembly {
    /// Adds the data of the next frame; `None` for a frame that needs more than joining.
    pub(super) fn read(&mut self, reply: &Json) -> Option<()> {
        for (key, value) in reply.fields() {
            if key.is("candidates") {
                let index = |candidate: &Json| candidate.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
                let first = value.elements().find(|candidate| index(candidate) == 0);
                first.map_or(Some(()), |candidate| self.candidate(&candidate))?;
            } else {
                upsert(&mut self.fields, key, value);
            }
        }
        Some(())
    }

    fn candidate(&mut self, candidate: &Json) -> Option<()> {
        let fields = self.candidate.get_or_insert_default();
        for (key, value) in candidate.fields().filter(|(key, value)| !key.is("content") && !value.is_null()) {
            if key.is("logprobsResult") {
                self.logprobs.get_or_insert_with(|| Pieces::new(LOGPROB_LISTS)).add(&value, &[]);
            } else {
                upsert(fields, key, value);
            }
        }
        let parts = candidate.get("content").and_then(|content| content.get("parts"));
        parts.iter().flat_map(Json::elements).try_for_each(|part| self.part(part))
    }

    fn part(&mut self, part: Json) -> Option<()> {
        // Only the reader can assemble a call in pieces.
        if part
            .get("functionCall")
            .is_some_and(|call| ["partialArgs", "willContinue"].iter().any(|name| call.get(name).is_some()))
        {
            return None;
        }
        let only = |names: &[&str]| part.fields().all(|(key, _)| names.contains(&key.as_str()));
        if let Some(text) = part.text("text").filter(|_| only(&["text", "thought"])) {
            self.text(part.get("thought").and_then(|thought| thought.as_bool()) == Some(true), &text);
        } else if let Some((kind, bytes)) = sound(&part).filter(|_| only(&["inlineData"])) {
            self.sound(kind, bytes);
        } else {
            self.parts.push(Part::Other(part));
        }
        Some(())
    }

    fn text(&mut self, thought: bool, text: &Text) {
        match self.parts.last_mut() {
            Some(Part::Text(before, open)) if *before == thought => open.put_slice(text.escaped()),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(thought, BytesMut::from(&text.escaped()[..]))),
        }
    }

    fn sound(&mut self, kind: Text, bytes: Vec<u8>) {
        match self.parts.last_mut() {
            Some(Part::Sound(before, open)) if *before == kind => open.extend(bytes),
            _ => self.parts.push(Part::Sound(kind, bytes)),
        }
    }

    /// The body.
    pub(super) fn body(self) -> Bytes {
        let Self { fields, candidate, logprobs, mut parts } = self;
        if parts.is_empty() {
            parts.push(Part::Text(false, BytesMut::new()));
        }
        let mut out = BytesMut::with_capacity(1024);
        emit::object(&mut out, |writer| {
            if let Some(fields) = candidate {
                writer.array("candidates", [fields], |out, fields| {
                    emit::object(out, |writer| {
                        writer.object("content", |writer| content(writer, &parts));
                        for (key, value) in &fields {
                            writer.member(key, value);
                        }
                        if let Some(logprobs) = &logprobs {
                            writer.object("logprobsResult", |writer| logprobs.write_all(writer));
                        }
                    });
                });
            }
            for (key, value) in &fields {
                writer.member(key, value);
            }
        });
        out.freeze()
    }
}

/// Media type and bytes of a piece of audio.
fn sound(part: &Json) -> Option<(Text, Vec<u8>)> {
    let data = part.get("inlineData")?;
    let kind = data.text("mimeType").filter(|kind| kind.as_str().starts_with("audio"))?;
    Some((kind, STANDARD.decode(data.text("data")?.plain().as_bytes()).ok()?))
}

fn content(writer: &mut ObjectWriter<'_>, parts: &[Part]) {
    writer.array("parts", parts, |out, part| match part {
        Part::Other(json) => out.put_slice(json.bytes()),
        Part::Text(thought, text) => emit::object(out, |writer| {
            writer.text("text", &Text::from_escaped(text.clone().freeze()));
            if *thought {
                writer.literal("thought", "true");
            }
        }),
        Part::Sound(kind, bytes) => emit::object(out, |writer| {
            writer.object("inlineData", |writer| {
                writer.text("mimeType", kind);
                writer.string("data", &STANDARD.encode(bytes));
            });
        }),
    });
    writer.string("role", "model");
}
