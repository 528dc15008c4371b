//! The events of an answer, in the backend's order, built lazily while they are sent.

use std::collections::VecDeque;
use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::item::{ItemContent, OutputItem};
use super::now;
use super::turn::{PlannedResponse, ResponseEnd};
use crate::account::{Login, Window};
use crate::plan::shape::Frame;
use crate::responder::piece::{self, piece};
use crate::token;

/// The frames of a turn.
pub(crate) struct EventFrames {
    turn: PlannedResponse,
    /// Whether `response.completed` repeats the items.
    whole: bool,
    sequence: u64,
    /// The number of sent deltas, which is also the number of output tokens.
    tokens: u64,
    ready: VecDeque<Frame>,
    stage: Stage,
}

enum Stage {
    Begin,
    Open(usize),
    Deltas(usize, Deltas),
    Close(usize),
    End,
    Over,
}

/// The pieces of one text, with the constant parts of their events.
struct Deltas {
    /// `event:` line and JSON up to the sequence number.
    head: String,
    /// JSON between sequence number and delta.
    middle: String,
    /// Whether the event has `logprobs` and `obfuscation`.
    text: bool,
    at: usize,
}

/// Padding that hides the length of a delta. This padding depends only on that length, so that runs are reproducible.
const NOISE: &str = "x7Qd2LmZ0pRkV9sT";

impl EventFrames {
    pub(crate) fn new(turn: PlannedResponse, whole: bool) -> Self {
        Self { turn, whole, sequence: 0, tokens: 0, ready: VecDeque::new(), stage: Stage::Begin }
    }

    /// The collected response of a turn.
    pub(crate) fn whole(turn: PlannedResponse) -> Value {
        let mut stream = Self::new(turn, true);
        stream.tokens = stream.turn.items.iter().filter_map(|out| text(&out.what)).map(piece::count).sum();
        Value::Object(stream.ended())
    }

    /// Queues an event; the type comes first and the sequence number second.
    fn push(&mut self, kind: &str, rest: Value) {
        let mut event = Map::new();
        event.insert("type".into(), kind.into());
        event.insert("sequence_number".into(), self.sequence.into());
        if let Value::Object(rest) = rest {
            event.extend(rest);
        }
        let data = Value::Object(event);
        self.sequence += 1;
        self.ready.push_back(Frame::new(Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))));
    }

    fn advance(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Begin => {
                for kind in ["response.created", "response.in_progress"] {
                    let response = Value::Object(self.turn.response.clone());
                    self.push(kind, json!({ "response": response }));
                }
                self.stage = if self.turn.items.is_empty() { Stage::End } else { Stage::Open(0) };
            }
            Stage::Open(at) => {
                let out = self.turn.items[at].clone();
                self.open(at, &out);
                self.stage = match Deltas::of(at, &out) {
                    Some(deltas) => Stage::Deltas(at, deltas),
                    None => Stage::Close(at),
                };
            }
            Stage::Deltas(at, mut deltas) => match self.delta(at, &mut deltas) {
                Some(frame) => {
                    self.ready.push_back(frame);
                    self.stage = Stage::Deltas(at, deltas);
                }
                None => self.stage = Stage::Close(at),
            },
            Stage::Close(at) => {
                let out = self.turn.items[at].clone();
                self.close(at, &out);
                self.stage = if at + 1 < self.turn.items.len() { Stage::Open(at + 1) } else { Stage::End };
            }
            Stage::End => self.end(),
            Stage::Over => {}
        }
    }

    /// The events before an item's deltas.
    fn open(&mut self, at: usize, out: &OutputItem) {
        let id = &out.id;
        self.push("response.output_item.added", json!({ "output_index": at, "item": out.opened() }));
        match &out.what {
            ItemContent::Message { .. } => {
                let part = json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": "" });
                let event = json!({ "item_id": id, "output_index": at, "content_index": 0, "part": part });
                self.push("response.content_part.added", event);
            }
            ItemContent::Reasoning { summary, .. } if !summary.is_empty() => {
                let part = json!({ "type": "summary_text", "text": "" });
                let event = json!({ "item_id": id, "output_index": at, "summary_index": 0, "part": part });
                self.push("response.reasoning_summary_part.added", event);
            }
            ItemContent::Search { .. } => {
                self.phases("web_search_call", &["in_progress", "searching", "completed"], at, id);
            }
            ItemContent::Image { result, .. } => {
                self.phases("image_generation_call", &["in_progress", "generating"], at, id);
                let event = json!({ "item_id": id, "output_index": at, "partial_image_index": 0,
                    "partial_image_b64": result, "size": "1024x1024", "quality": "low", "background": "opaque",
                    "output_format": "png" });
                self.push("response.image_generation_call.partial_image", event);
                self.phases("image_generation_call", &["completed"], at, id);
            }
            _ => {}
        }
    }

    fn phases(&mut self, kind: &str, phases: &[&str], at: usize, id: &str) {
        for phase in phases {
            self.push(&format!("response.{kind}.{phase}"), json!({ "item_id": id, "output_index": at }));
        }
    }

    /// A delta with the next piece of the item's text.
    fn delta(&mut self, at: usize, deltas: &mut Deltas) -> Option<Frame> {
        let text = text(&self.turn.items[at].what)?;
        let piece = piece(text, deltas.at);
        if piece.is_empty() {
            return None;
        }
        deltas.at += piece.len();
        let frame = deltas.frame(self.sequence, piece);
        self.sequence += 1;
        self.tokens += 1;
        Some(Frame { bytes: frame, token: true })
    }

    /// The events after an item's deltas.
    fn close(&mut self, at: usize, out: &OutputItem) {
        let id = &out.id;
        match &out.what {
            ItemContent::Message { text, annotations } => self.close_message(at, id, text, annotations),
            ItemContent::Reasoning { summary, .. } => {
                for text in summary.iter().take(1) {
                    let place = json!({ "item_id": id, "output_index": at, "summary_index": 0 });
                    self.push("response.reasoning_summary_text.done", with(&place, "text", json!(text)));
                    let part = json!({ "type": "summary_text", "text": text });
                    self.push("response.reasoning_summary_part.done", with(&place, "part", part));
                }
            }
            ItemContent::Function { arguments, call } => {
                let event = json!({ "item_id": id, "output_index": at, "name": call.name, "arguments": arguments });
                self.push("response.function_call_arguments.done", event);
            }
            ItemContent::Custom { input, .. } => {
                let event = json!({ "item_id": id, "output_index": at, "input": input });
                self.push("response.custom_tool_call_input.done", event);
            }
            ItemContent::Search { .. } | ItemContent::Image { .. } | ItemContent::Compaction { .. } => {}
        }
        self.push("response.output_item.done", json!({ "output_index": at, "item": out.closed() }));
    }

    fn close_message(&mut self, at: usize, id: &str, text: &str, annotations: &[Value]) {
        let place = json!({ "item_id": id, "output_index": at, "content_index": 0 });
        for (index, annotation) in annotations.iter().enumerate() {
            let event = with(&with(&place, "annotation_index", json!(index)), "annotation", annotation.clone());
            self.push("response.output_text.annotation.added", event);
        }
        let done = with(&with(&place, "text", json!(text)), "logprobs", json!([]));
        self.push("response.output_text.done", done);
        let part = json!({ "type": "output_text", "annotations": annotations, "logprobs": [], "text": text });
        self.push("response.content_part.done", with(&place, "part", part));
    }

    fn end(&mut self) {
        let response = self.ended();
        let kind = match self.turn.ending {
            ResponseEnd::Completed => "response.completed",
            ResponseEnd::Incomplete(_) => "response.incomplete",
        };
        self.push(kind, json!({ "response": response }));
    }

    /// The `response` object at the end.
    fn ended(&mut self) -> Map<String, Value> {
        let mut response = std::mem::take(&mut self.turn.response);
        match self.turn.ending {
            ResponseEnd::Completed => {
                response.insert("status".into(), "completed".into());
                response.insert("completed_at".into(), now().into());
            }
            ResponseEnd::Incomplete(reason) => {
                response.insert("status".into(), "incomplete".into());
                response.insert("incomplete_details".into(), json!({ "reason": reason }));
            }
        }
        if self.whole {
            response.insert("output".into(), self.turn.items.iter().map(OutputItem::closed).collect());
        }
        let usage = self.turn.usage;
        let output = self.tokens + usage.reasoning;
        let usage = json!({
            "input_tokens": usage.input,
            "input_tokens_details": { "cached_tokens": usage.cached, "cache_write_tokens": 0 },
            "output_tokens": output,
            "output_tokens_details": { "reasoning_tokens": usage.reasoning },
            "total_tokens": usage.input + output,
        });
        response.insert("usage".into(), usage);
        if !self.turn.public {
            let is_call =
                |out: &OutputItem| matches!(out.what, ItemContent::Function { .. } | ItemContent::Custom { .. });
            response.insert("end_turn".into(), (!self.turn.items.iter().any(is_call)).into());
        }
        response
    }
}

impl Iterator for EventFrames {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if matches!(self.stage, Stage::Over) {
                return None;
            }
            self.advance();
        }
    }
}

impl Deltas {
    fn of(at: usize, out: &OutputItem) -> Option<Self> {
        let (kind, place) = match &out.what {
            ItemContent::Message { .. } => ("response.output_text.delta", "\"content_index\":0,"),
            ItemContent::Reasoning { summary, .. } if !summary.is_empty() => {
                ("response.reasoning_summary_text.delta", "\"summary_index\":0,")
            }
            ItemContent::Function { .. } => ("response.function_call_arguments.delta", ""),
            ItemContent::Custom { .. } => ("response.custom_tool_call_input.delta", ""),
            _ => return None,
        };
        let middle = format!(",\"item_id\":\"{}\",\"output_index\":{at},{place}\"delta\":", out.id);
        let head = format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":");
        Some(Self { head, middle, text: matches!(out.what, ItemContent::Message { .. }), at: 0 })
    }

    fn frame(&self, sequence: u64, piece: &str) -> Bytes {
        let mut frame = String::with_capacity(self.head.len() + self.middle.len() + piece.len() + 80);
        frame.push_str(&self.head);
        write!(frame, "{sequence}").expect("invariant: a string takes writes");
        frame.push_str(&self.middle);
        if piece.bytes().all(plain) {
            frame.push('"');
            frame.push_str(piece);
            frame.push('"');
        } else {
            frame.push_str(&serde_json::to_string(piece).expect("invariant: a string serialises"));
        }
        frame.push_str(if self.text { ",\"logprobs\":[],\"obfuscation\":\"" } else { ",\"obfuscation\":\"" });
        frame.push_str(&NOISE[piece.len() % NOISE.len()..]);
        frame.push_str("\"}\n\n");
        Bytes::from(frame)
    }
}

/// Whether a byte needs no escape in JSON.
fn plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// The text of an item that comes in deltas.
fn text(what: &ItemContent) -> Option<&str> {
    match what {
        ItemContent::Message { text, .. } => Some(text),
        ItemContent::Reasoning { summary, .. } => summary.first().map(String::as_str),
        ItemContent::Function { arguments, .. } => Some(arguments),
        ItemContent::Custom { input, .. } => Some(input),
        ItemContent::Search { .. } | ItemContent::Image { .. } | ItemContent::Compaction { .. } => None,
    }
}

fn with(object: &Value, key: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[key] = value;
    object
}

/// The `codex.rate_limits` event.
pub(crate) fn rate_limits(person: &Login) -> Frame {
    let window = |window: &Window| {
        json!({
            "used_percent": window.used_percent,
            "window_minutes": window.window_minutes,
            "reset_after_seconds": (window.reset_at - token::now()).max(0),
            "reset_at": window.reset_at,
        })
    };
    let full = person.quota.resets_at().is_some();
    let event = json!({
        "type": "codex.rate_limits",
        "plan_type": person.plan,
        "rate_limits": {
            "allowed": !full,
            "limit_reached": full,
            "primary": person.quota.primary.as_ref().map(window),
            "secondary": person.quota.secondary.as_ref().map(window),
        },
        "additional_rate_limits": {},
        "code_review_rate_limits": null,
        "credits": { "has_credits": false, "unlimited": false, "balance": null },
        "promo": null,
    });
    Frame::new(Bytes::from(format!("event: codex.rate_limits\ndata: {event}\n\n")))
}
