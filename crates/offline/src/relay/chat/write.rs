//! Writes Chat's wire format: chunks and the collected completion.

use serde_json::{Map, Value, json};

use super::super::id;
use super::super::models::{Kind, Model};
use super::super::reply::{Finish, InputTokens, RelayReply, StreamPart, stream};
use crate::plan::shape::Frames;
use crate::responder::{ModelOutput, PAGE, piece::json_string};
use crate::token;

/// The fields that all chunks of an answer share.
pub(super) struct ChunkHead {
    id: String,
    created: i64,
    model: &'static str,
    /// Whether the server is OpenAI's; other servers send fewer fields.
    own: bool,
    /// Whether the model shows its reasoning.
    shows: bool,
    include_usage: bool,
    input: InputTokens,
}

impl ChunkHead {
    pub(super) fn new(body: &Value, model: &'static Model, input: InputTokens) -> Self {
        Self {
            id: id("chatcmpl-"),
            created: token::now(),
            model: model.id,
            own: matches!(model.kind, Kind::Plain | Kind::Reasoning),
            shows: model.kind == Kind::OpenReasoning,
            include_usage: body["stream_options"]["include_usage"] == true,
            input,
        }
    }

    /// The text of a chunk before its choices.
    fn open(&self) -> String {
        let Self { id, created, model, .. } = self;
        let own = if self.own { ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_offline\"" } else { "" };
        format!(
            "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":\"{model}\"{own},\"choices\":["
        )
    }

    /// The text of a chunk after its choices.
    fn close(&self, usage: &str) -> String {
        let usage = if self.include_usage { format!(",\"usage\":{usage}") } else { String::new() };
        let noise = if self.own { ",\"obfuscation\":\"x7Qd2LmZ0p\"" } else { "" };
        format!("]{usage}{noise}}}\n\n")
    }

    /// Head and tail of a chunk with one choice, around the delta.
    fn around(&self, finish: Option<&str>) -> (String, String) {
        let finish = finish.map_or_else(|| "null".to_owned(), json_string);
        let head = format!("{}{{\"index\":0,\"delta\":", self.open());
        let tail = format!(",\"logprobs\":null,\"finish_reason\":{finish}}}{}", self.close("null"));
        (head, tail)
    }

    fn chunk(&self, delta: &Value, finish: Option<&str>) -> StreamPart {
        let (head, tail) = self.around(finish);
        StreamPart::Frame(format!("{head}{delta}{tail}"))
    }

    /// Chunks whose delta is a piece of a text; `before` and `after` are the JSON around it.
    fn pieces(&self, text: &str, before: &str, after: &str) -> StreamPart {
        let (head, tail) = self.around(None);
        StreamPart::Pieces { text: text.to_owned(), head: format!("{head}{before}"), tail: format!("{after}{tail}") }
    }

    fn usage(&self, turn: &RelayReply) -> Value {
        let completion = turn.output + turn.reasoning;
        json!({
            "prompt_tokens": self.input.total,
            "completion_tokens": completion,
            "total_tokens": self.input.total + completion,
            "prompt_tokens_details": { "cached_tokens": self.input.cached, "audio_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": turn.reasoning, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0 },
        })
    }
}

fn finish(turn: &RelayReply) -> &'static str {
    match turn.finish {
        Finish::Stop | Finish::Sequence(_) => "stop",
        Finish::Calls => "tool_calls",
        Finish::Length => "length",
    }
}

/// The stream.
pub(super) fn frames(turn: &RelayReply, head: &ChunkHead) -> Frames {
    let mut parts = vec![head.chunk(&json!({ "role": "assistant", "content": "", "refusal": null }), None)];
    if let Some(thought) = turn.thought.filter(|_| head.shows) {
        parts.push(head.pieces(thought, "{\"content\":null,\"reasoning_content\":", "}"));
    }
    let mut calls = 0;
    for say in &turn.parts {
        match say {
            ModelOutput::Text { text, cite } => {
                parts.push(head.pieces(text, "{\"content\":", "}"));
                let notes: Vec<Value> = cite.iter().map(|cite| annotation(cite.start, cite.end)).collect();
                if !notes.is_empty() {
                    parts.push(head.chunk(&json!({ "annotations": notes }), None));
                }
            }
            ModelOutput::Function { .. } | ModelOutput::Custom { .. } => {
                called(head, say, calls, &mut parts);
                calls += 1;
            }
            ModelOutput::Search { .. } | ModelOutput::Image { .. } => {}
        }
    }
    parts.push(head.chunk(&json!({}), Some(finish(turn))));
    if head.include_usage {
        parts.push(StreamPart::Frame(format!("{}{}", head.open(), head.close(&head.usage(turn).to_string()))));
    }
    parts.push(StreamPart::Frame("data: [DONE]\n\n".to_owned()));
    stream(parts)
}

fn annotation(start: usize, end: usize) -> Value {
    let (url, title) = PAGE;
    json!({ "type": "url_citation", "url_citation": { "start_index": start, "end_index": end, "url": url, "title": title } })
}

/// The chunks of one call: its name, then its arguments.
fn called(head: &ChunkHead, say: &ModelOutput, at: usize, to: &mut Vec<StreamPart>) {
    let (kind, member, text) = input_of(say);
    let mut first = call(say);
    first[kind][member] = json!("");
    let mut indexed = Map::new();
    indexed.insert("index".into(), json!(at));
    if let Value::Object(first) = first {
        indexed.extend(first);
    }
    to.push(head.chunk(&json!({ "tool_calls": [indexed] }), None));
    let before = format!("{{\"tool_calls\":[{{\"index\":{at},\"{kind}\":{{\"{member}\":");
    to.push(head.pieces(&text, &before, "}}]}"));
}

/// The kind of a call, the member with its input, and the input.
fn input_of(say: &ModelOutput) -> (&'static str, &'static str, String) {
    match say {
        ModelOutput::Function { arguments, .. } => ("function", "arguments", arguments.to_string()),
        ModelOutput::Custom { input, .. } => ("custom", "input", input.clone()),
        ModelOutput::Text { .. } | ModelOutput::Search { .. } | ModelOutput::Image { .. } => {
            ("function", "arguments", String::new())
        }
    }
}

fn call(say: &ModelOutput) -> Value {
    let (kind, member, text) = input_of(say);
    let name = match say {
        ModelOutput::Function { name, .. } | ModelOutput::Custom { name, .. } => name.as_str(),
        _ => "",
    };
    let mut call = json!({ "id": id("call_"), "type": kind });
    call[kind] = json!({ "name": name });
    call[kind][member] = json!(text);
    call
}

/// The collected completion.
pub(super) fn whole(turn: &RelayReply, head: &ChunkHead) -> Value {
    let texts: Vec<&str> = turn
        .parts
        .iter()
        .filter_map(|say| match say {
            ModelOutput::Text { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let calls: Vec<Value> = turn.parts.iter().filter(|say| say.is_call()).map(call).collect();
    let content = if texts.is_empty() { Value::Null } else { json!(texts.concat()) };
    let mut message = json!({ "role": "assistant", "content": content, "refusal": null, "annotations": [] });
    if let Some(thought) = turn.thought.filter(|_| head.shows) {
        message["reasoning_content"] = json!(thought);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let mut body = json!({
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": finish(turn) }],
        "usage": head.usage(turn),
    });
    if head.own {
        body["service_tier"] = json!("default");
        body["system_fingerprint"] = json!("fp_offline");
    }
    body
}
