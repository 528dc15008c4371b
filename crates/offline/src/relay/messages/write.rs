//! Writes Messages' wire format: named events and the collected message.

use serde_json::{Value, json};

use super::super::id;
use super::super::reply::{Finish, InputTokens, RelayReply, StreamPart, stream};
use super::seal;
use crate::plan::shape::Frames;
use crate::responder::{ModelOutput, PAGE, prompt_values};

/// The fields of an answer beside its content.
pub(super) struct ReplyHead {
    id: String,
    model: &'static str,
    owner: String,
    input: InputTokens,
    /// Whether the prompt's uncached part is written to the cache.
    cached: bool,
    /// Whether the thinking block has a signature but no text.
    silent: bool,
    /// Whether the provider redacts the thinking block.
    redacted: bool,
}

impl ReplyHead {
    pub(super) fn new(body: &Value, model: &'static str, owner: &str, (input, cached): (InputTokens, bool)) -> Self {
        Self {
            id: id("msg_01"),
            model,
            owner: owner.to_owned(),
            input,
            cached,
            silent: body["thinking"]["display"] == "omitted",
            redacted: prompt_values::contains_word(&super::read::prompt(body), "redacted"),
        }
    }

    /// The usage; cached input tokens are separate.
    fn usage(&self, output: u64) -> Value {
        let rest = self.input.total - self.input.cached;
        let (fresh, created) = if self.cached { (rest.min(3), rest - rest.min(3)) } else { (rest, 0) };
        json!({
            "input_tokens": fresh,
            "cache_creation_input_tokens": created,
            "cache_read_input_tokens": self.input.cached,
            "cache_creation": { "ephemeral_5m_input_tokens": created, "ephemeral_1h_input_tokens": 0 },
            "output_tokens": output,
            "service_tier": "standard",
        })
    }

    fn message(&self, content: &[Value], (reason, sequence): (Value, Value), output: u64) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": sequence,
            "usage": self.usage(output),
        })
    }
}

fn finish(turn: &RelayReply) -> (Value, Value) {
    match &turn.finish {
        Finish::Stop => (json!("end_turn"), Value::Null),
        Finish::Calls => (json!("tool_use"), Value::Null),
        Finish::Length => (json!("max_tokens"), Value::Null),
        Finish::Sequence(stop) => (json!("stop_sequence"), json!(stop)),
    }
}

/// The complete blocks of an answer.
fn blocks(turn: &RelayReply, head: &ReplyHead) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(thought) = turn.thought {
        let seal = seal::mint(&head.owner);
        blocks.push(if head.redacted {
            json!({ "type": "redacted_thinking", "data": seal })
        } else {
            let thought = if head.silent { "" } else { thought };
            json!({ "type": "thinking", "thinking": thought, "signature": seal })
        });
    }
    for say in &turn.parts {
        match say {
            ModelOutput::Text { text, cite } => {
                let mut block = json!({ "type": "text", "text": text });
                if let Some(cite) = cite {
                    block["citations"] = json!([citation(&text[cite.start..cite.end])]);
                }
                blocks.push(block);
            }
            ModelOutput::Function { name, arguments, .. } => {
                blocks.push(json!({ "type": "tool_use", "id": id("toolu_01"), "name": name, "input": arguments }));
            }
            ModelOutput::Search { query } => blocks.extend(search(query)),
            ModelOutput::Custom { .. } | ModelOutput::Image { .. } => {}
        }
    }
    blocks
}

fn citation(quote: &str) -> Value {
    let (url, title) = PAGE;
    json!({ "type": "web_search_result_location", "cited_text": quote, "url": url, "title": title,
        "encrypted_index": "b2ZmbGluZS1pbmRleA==" })
}

fn search(query: &str) -> [Value; 2] {
    let ((url, title), id) = (PAGE, id("srvtoolu_01"));
    let found = json!({ "type": "web_search_result", "title": title, "url": url,
        "encrypted_content": "b2ZmbGluZS1wYWdl", "page_age": null });
    [
        json!({ "type": "server_tool_use", "id": id, "name": "web_search", "input": { "query": query } }),
        json!({ "type": "web_search_tool_result", "tool_use_id": id, "content": [found] }),
    ]
}

/// The collected message.
pub(super) fn whole(turn: &RelayReply, head: &ReplyHead) -> Value {
    head.message(&blocks(turn, head), finish(turn), turn.output + turn.reasoning)
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

/// The stream.
pub(super) fn frames(turn: &RelayReply, head: &ReplyHead) -> Frames {
    let start = head.message(&[], (Value::Null, Value::Null), 1);
    let mut parts = vec![StreamPart::Frame(event(&json!({ "type": "message_start", "message": start })))];
    for (at, block) in blocks(turn, head).into_iter().enumerate() {
        opened(at, &block, &mut parts);
        if at == 0 {
            parts.push(StreamPart::Frame(event(&json!({ "type": "ping" }))));
        }
        block_deltas(at, &block, &mut parts);
        parts.push(StreamPart::Frame(event(&json!({ "type": "content_block_stop", "index": at }))));
    }
    let (reason, sequence) = finish(turn);
    let mut usage = head.usage(turn.output + turn.reasoning);
    if let Some(usage) = usage.as_object_mut() {
        usage.retain(|key, _| key.ends_with("_tokens"));
    }
    let delta = json!({ "stop_reason": reason, "stop_sequence": sequence });
    parts.push(StreamPart::Frame(event(&json!({ "type": "message_delta", "delta": delta, "usage": usage }))));
    parts.push(StreamPart::Frame(event(&json!({ "type": "message_stop" }))));
    stream(parts)
}

/// A block's start event; the members that arrive in deltas are empty.
fn opened(at: usize, block: &Value, to: &mut Vec<StreamPart>) {
    let mut first = block.clone();
    let empty: &[(&str, Value)] = match block["type"].as_str() {
        Some("text") if block.get("citations").is_some() => &[("text", json!("")), ("citations", json!([]))],
        Some("text") => &[("text", json!(""))],
        Some("thinking") => &[("thinking", json!("")), ("signature", json!(""))],
        Some("tool_use" | "server_tool_use") => &[("input", json!({}))],
        _ => &[],
    };
    for (key, value) in empty {
        first[*key] = value.clone();
    }
    let data = json!({ "type": "content_block_start", "index": at, "content_block": first });
    to.push(StreamPart::Frame(event(&data)));
}

/// A block's deltas.
fn block_deltas(at: usize, block: &Value, to: &mut Vec<StreamPart>) {
    let pieces = |kind: &str, member: &str, text: String| StreamPart::Pieces {
        text,
        head: format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{at},\"delta\":{{\"type\":\"{kind}\",\"{member}\":"
        ),
        tail: "}}\n\n".to_owned(),
    };
    let one =
        |delta: Value| StreamPart::Frame(event(&json!({ "type": "content_block_delta", "index": at, "delta": delta })));
    let string = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
    match block["type"].as_str() {
        Some("text") => {
            for citation in block["citations"].as_array().into_iter().flatten() {
                to.push(one(json!({ "type": "citations_delta", "citation": citation })));
            }
            to.push(pieces("text_delta", "text", string("text")));
        }
        Some("thinking") => {
            to.push(pieces("thinking_delta", "thinking", string("thinking")));
            to.push(one(json!({ "type": "signature_delta", "signature": block["signature"] })));
        }
        Some("tool_use" | "server_tool_use") => {
            to.push(one(json!({ "type": "input_json_delta", "partial_json": "" })));
            let empty = block["input"].as_object().is_some_and(serde_json::Map::is_empty);
            to.push(pieces(
                "input_json_delta",
                "partial_json",
                if empty { String::new() } else { block["input"].to_string() },
            ));
        }
        _ => {}
    }
}
