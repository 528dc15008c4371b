//! A chunk of the upstream is released once its events are written. A chunk that is held keeps the connection's read buffer, and each read
//! then needs a new buffer.

use bytes::{Bytes, BytesMut};
use proto::dialect::ReplySetting;
use proto::{Dialect, Fold, Reader, Wire, Writer};
use serde_json::{Value, json};

const CLIENTS: [Dialect; 5] = [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

/// The usual stream of a wire format.
struct Stream {
    wire: Wire,
    opening: Vec<Value>,
    /// A frame with a piece of text, reasoning or arguments: `piece`.
    piece: Value,
}

#[test]
fn a_chunk_is_released_once_it_is_written() {
    for stream in streams() {
        for client in CLIENTS {
            check(&stream, client, false);
            if stream.wire == Wire::Responses {
                check(&stream, client, true);
            }
        }
    }
}

fn check(stream: &Stream, client: Dialect, messages: bool) {
    let (mut reader, mut fold) = (Reader::new(stream.wire), Fold::default());
    let mut writer = Writer::new(client, ReplySetting::default());
    let (mut events, mut out) = (Vec::new(), BytesMut::new());
    if messages {
        reader.read_messages();
    }
    // What opens a reply may stay: a writer keeps the reply's id and model.
    let opening = stream.opening.iter().map(|frame| (frame, true));
    for (frame, opens) in opening.chain([true, false, false].map(|opens| (&stream.piece, opens))) {
        let chunk = Bytes::from(if messages { frame.to_string() } else { format!("data: {frame}\n\n") });
        reader.push(chunk.clone(), &mut events);
        for event in events.drain(..) {
            fold.push(&event);
            writer.push(&event, &mut out);
        }
        assert!(opens || chunk.is_unique(), "{:?} for {client:?} holds {frame}", stream.wire);
    }
    reader.end(&mut events);
    for event in events.drain(..) {
        writer.push(&event, &mut out);
    }
    let sent = String::from_utf8_lossy(&out);
    // Clients of two protocols get the arguments of a call in one piece.
    let whole = matches!(client, Dialect::Gemini | Dialect::Ollama) && stream.is_call();
    assert!(whole || sent.matches("piece").count() >= 3, "{:?} for {client:?} sent {sent}", stream.wire);
}

impl Stream {
    fn is_call(&self) -> bool {
        self.opening.iter().chain([&self.piece]).any(|frame| frame.to_string().contains("call"))
    }
}

fn streams() -> Vec<Stream> {
    [responses(), chat(), anthropic(), gemini()].into_iter().flatten().collect()
}

fn responses() -> Vec<Stream> {
    let item = |item: Value, kind: &str, index: &str| {
        let mut piece = json!({"type": kind, "item_id": "i", "output_index": 0, "delta": "piece"});
        piece[index] = 0.into();
        let opening = vec![
            json!({"type": "response.created", "response": {"id": "r", "created_at": 1}}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        ];
        Stream { wire: Wire::Responses, opening, piece }
    };
    vec![
        item(
            json!({"id": "i", "type": "message", "role": "assistant", "content": []}),
            "response.output_text.delta",
            "content_index",
        ),
        item(
            json!({"id": "i", "type": "reasoning", "summary": []}),
            "response.reasoning_summary_text.delta",
            "summary_index",
        ),
        item(
            json!({"id": "i", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}),
            "response.function_call_arguments.delta",
            "sequence_number",
        ),
    ]
}

fn chat() -> Vec<Stream> {
    let chunk = |delta: Value| json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let stream =
        |first: Value, piece: Value| Stream { wire: Wire::Chat, opening: vec![chunk(first)], piece: chunk(piece) };
    let call = json!({"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}});
    vec![
        stream(json!({"role": "assistant"}), json!({"content": "piece"})),
        stream(json!({"role": "assistant"}), json!({"reasoning_content": "piece"})),
        stream(
            json!({"role": "assistant", "tool_calls": [call]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "piece"}}]}),
        ),
    ]
}

fn anthropic() -> Vec<Stream> {
    let block = |block: Value, delta: Value| Stream {
        wire: Wire::Messages,
        opening: vec![
            json!({"type": "message_start", "message": {"id": "m", "model": "m", "usage": {"input_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
        ],
        piece: json!({"type": "content_block_delta", "index": 0, "delta": delta}),
    };
    vec![
        block(json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": "piece"})),
        block(json!({"type": "thinking", "thinking": ""}), json!({"type": "thinking_delta", "thinking": "piece"})),
        block(
            json!({"type": "tool_use", "id": "call", "name": "f", "input": {}}),
            json!({"type": "input_json_delta", "partial_json": "piece"}),
        ),
    ]
}

fn gemini() -> Vec<Stream> {
    let chunk =
        |part: Value| json!({"candidates": [{"content": {"role": "model", "parts": [part]}}], "responseId": "g"});
    let stream =
        |first: Value, piece: Value| Stream { wire: Wire::Gemini, opening: vec![chunk(first)], piece: chunk(piece) };
    vec![
        stream(json!({"text": "first"}), json!({"text": "piece"})),
        stream(json!({"text": "first", "thought": true}), json!({"text": "piece", "thought": true})),
    ]
}
