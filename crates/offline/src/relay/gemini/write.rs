//! Writes Gemini's wire format: a stream of responses or one response.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::super::reply::{Finish, InputTokens, RelayReply};
use crate::plan::shape::{Frame, Frames};
use crate::responder::{ModelOutput, PAGE, piece};
use crate::token;

/// The fields that all chunks of an answer share.
#[derive(Clone)]
pub(super) struct ChunkHead {
    id: String,
    model: String,
    input: InputTokens,
    /// Whether the request asks for thoughts.
    shows: bool,
}

impl ChunkHead {
    pub(super) fn new(body: &Value, model: &str, input: InputTokens) -> Self {
        let shows = body["generationConfig"]["thinkingConfig"]["includeThoughts"] == true;
        Self { id: token::random(17), model: model.to_owned(), input, shows }
    }

    fn usage(&self, output: u64, reasoning: u64) -> Value {
        let total = self.input.total;
        let mut usage = json!({
            "promptTokenCount": total,
            "candidatesTokenCount": output,
            "totalTokenCount": total + output + reasoning,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": total }],
        });
        if self.input.cached > 0 {
            usage["cachedContentTokenCount"] = json!(self.input.cached);
        }
        if reasoning > 0 {
            usage["thoughtsTokenCount"] = json!(reasoning);
        }
        usage
    }

    fn chunk(&self, candidate: &Value, (output, reasoning): (u64, u64)) -> Value {
        json!({
            "candidates": [candidate],
            "usageMetadata": self.usage(output, reasoning),
            "modelVersion": self.model,
            "responseId": self.id,
        })
    }
}

/// A thought signature, base64 in this API.
fn signature() -> String {
    BASE64_STANDARD.encode(format!("offline-thought:{}", token::random(32)))
}

fn finish(turn: &RelayReply) -> &'static str {
    if turn.finish == Finish::Length { "MAX_TOKENS" } else { "STOP" }
}

/// A part of an answer; only texts are streamed in pieces.
enum Piece {
    /// A text, and whether it is a thought.
    Text(String, bool),
    Part(Value),
}

/// The parts of an answer; the first call has the signature of the thoughts before it.
fn pieces(turn: &RelayReply, head: &ChunkHead) -> Vec<Piece> {
    let thought = turn.thought.filter(|_| head.shows).map(|thought| Piece::Text(thought.to_owned(), true));
    let mut pieces: Vec<Piece> = thought.into_iter().collect();
    let mut unsigned = true;
    for say in &turn.parts {
        match say {
            ModelOutput::Text { text, .. } => pieces.push(Piece::Text(text.clone(), false)),
            ModelOutput::Function { name, arguments, .. } => {
                let mut part = json!({ "functionCall": { "name": name, "args": arguments } });
                if std::mem::take(&mut unsigned) {
                    part["thoughtSignature"] = json!(signature());
                }
                pieces.push(Piece::Part(part));
            }
            ModelOutput::Search { .. } | ModelOutput::Custom { .. } | ModelOutput::Image { .. } => {}
        }
    }
    pieces
}

/// The grounding metadata of a search, with the text that cites it.
fn grounding(turn: &RelayReply) -> Option<Value> {
    let query = turn.parts.iter().find_map(|say| match say {
        ModelOutput::Search { query } => Some(query),
        _ => None,
    })?;
    let (cite, text) = turn.parts.iter().find_map(|say| match say {
        ModelOutput::Text { text, cite: Some(cite) } => Some((cite, &text[cite.start..cite.end])),
        _ => None,
    })?;
    let (url, title) = PAGE;
    Some(json!({
        "webSearchQueries": [query],
        "groundingChunks": [{ "web": { "uri": url, "title": title } }],
        "groundingSupports": [{
            "segment": { "startIndex": cite.start, "endIndex": cite.end, "text": text },
            "groundingChunkIndices": [0],
        }],
    }))
}

/// The collected response.
pub(super) fn whole(turn: &RelayReply, head: &ChunkHead) -> Value {
    let parts: Vec<Value> = pieces(turn, head)
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text, true) => json!({ "text": text, "thought": true }),
            Piece::Text(text, false) => json!({ "text": text }),
            Piece::Part(part) => part,
        })
        .collect();
    let mut candidate =
        json!({ "content": { "parts": parts, "role": "model" }, "finishReason": finish(turn), "index": 0 });
    if let Some(grounding) = grounding(turn) {
        candidate["groundingMetadata"] = grounding;
    }
    head.chunk(&candidate, (turn.output, turn.reasoning))
}

/// The stream: server-sent events, or the elements of one array.
pub(super) fn frames(turn: &RelayReply, head: ChunkHead, events: bool) -> Frames {
    let (reasoning, total) = (turn.reasoning, turn.output);
    let mut last =
        json!({ "content": { "parts": [{ "text": "" }], "role": "model" }, "finishReason": finish(turn), "index": 0 });
    if turn.reasoning > 0 && turn.finish != Finish::Calls {
        last["content"]["parts"][0]["thoughtSignature"] = json!(signature());
    }
    if let Some(grounding) = grounding(turn) {
        last["groundingMetadata"] = grounding;
    }
    let end = head.chunk(&last, (total, reasoning));
    let mut counted = 0;
    let chunks = pieces(turn, &head).into_iter().flat_map(parts).map(move |(part, counts)| {
        counted += u64::from(counts);
        let candidate = json!({ "content": { "parts": [part], "role": "model" }, "index": 0 });
        head.chunk(&candidate, (counted.min(total), reasoning))
    });
    let all = chunks.map(|chunk| (chunk, true)).chain(std::iter::once((end, false)));
    if events {
        return Box::new(all.map(|(chunk, token)| frame(format!("data: {chunk}\r\n\r\n"), token)));
    }
    let mut first = true;
    let elements = all.map(move |(chunk, token)| {
        let before = if std::mem::take(&mut first) { "[" } else { ",\r\n" };
        frame(format!("{before}{chunk}"), token)
    });
    Box::new(elements.chain(std::iter::once_with(|| Frame::plain("]\r\n".to_owned()))))
}

fn frame(text: String, token: bool) -> Frame {
    if token { Frame::token(text) } else { Frame::plain(text) }
}

/// The stream parts of one piece, and whether each counts as output.
fn parts(piece: Piece) -> Box<dyn Iterator<Item = (Value, bool)> + Send> {
    match piece {
        Piece::Text(text, true) => {
            Box::new(piece::Pieces::new(text).map(|text| (json!({ "text": text, "thought": true }), false)))
        }
        Piece::Text(text, false) => Box::new(piece::Pieces::new(text).map(|text| (json!({ "text": text }), true))),
        Piece::Part(part) => Box::new(std::iter::once((part, true))),
    }
}
