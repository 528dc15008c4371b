//! The replies of upstreams: numbered tokens, each in an event and a chunk of its own.

use bytes::Bytes;
use proto::Wire;
use proto::framing::Framing;

/// The chunks of a reply with `tokens` tokens.
pub(crate) fn chunks(upstream: Wire, framing: Framing, tokens: u32) -> Vec<Bytes> {
    let (head, tail) = match upstream {
        Wire::Responses => (responses_head(), responses_tail(tokens)),
        Wire::Chat => (Vec::new(), vec![chat("{}", "\"stop\"", tokens), "[DONE]".to_owned()]),
        Wire::Messages => (messages_head(), messages_tail(tokens)),
        Wire::Gemini => (Vec::new(), vec![gemini("", r#","finishReason":"STOP""#, tokens)]),
    };
    let deltas = (0..tokens).map(|n| delta(upstream, n));
    let events = head.into_iter().chain(deltas).chain(tail);
    events.map(|data| Bytes::from(framed(upstream, framing, &data))).collect()
}

fn framed(upstream: Wire, framing: Framing, data: &str) -> String {
    let named = matches!(upstream, Wire::Responses | Wire::Messages);
    let kind = data.split('"').nth(3).filter(|_| named);
    match (framing, kind) {
        (Framing::Lines, _) => data.to_owned(),
        (_, Some(kind)) => format!("event: {kind}\ndata: {data}\n\n"),
        (_, None) => format!("data: {data}\n\n"),
    }
}

fn delta(upstream: Wire, n: u32) -> String {
    match upstream {
        Wire::Responses => format!(
            r#"{{"type":"response.output_text.delta","sequence_number":{},"item_id":"msg_1","output_index":0,"content_index":0,"delta":"{n} ","logprobs":[],"obfuscation":"x7Qk2"}}"#,
            n + 3
        ),
        Wire::Chat => chat(&format!(r#"{{"content":"{n} "}}"#), "null", n),
        Wire::Messages => {
            format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{n} "}}}}"#)
        }
        Wire::Gemini => gemini(&format!("{n} "), "", n),
    }
}

fn responses_head() -> Vec<String> {
    [
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"gpt-5.5","output":[]}}"#,
        r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
        r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}"#,
    ]
    .map(str::to_owned)
    .into()
}

fn responses_tail(tokens: u32) -> Vec<String> {
    let text = text(tokens);
    vec![
        format!(
            r#"{{"type":"response.output_item.done","sequence_number":{},"output_index":0,"item":{{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{{"type":"output_text","annotations":[],"logprobs":[],"text":"{text}"}}]}}}}"#,
            tokens + 4
        ),
        format!(
            r#"{{"type":"response.completed","sequence_number":{},"response":{{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"gpt-5.5","output":[],"usage":{{"input_tokens":300,"input_tokens_details":{{"cached_tokens":0}},"output_tokens":{tokens},"output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{}}}}}}}"#,
            tokens + 5,
            tokens + 300
        ),
    ]
}

fn chat(delta: &str, finish: &str, tokens: u32) -> String {
    let usage = if finish == "null" {
        String::new()
    } else {
        format!(r#","usage":{{"prompt_tokens":9,"completion_tokens":{tokens},"total_tokens":{}}}"#, tokens + 9)
    };
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"model","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{usage}}}"#
    )
}

fn messages_head() -> Vec<String> {
    [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"model","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
    ]
    .map(str::to_owned)
    .into()
}

fn messages_tail(tokens: u32) -> Vec<String> {
    vec![
        r#"{"type":"content_block_stop","index":0}"#.to_owned(),
        format!(
            r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn","stop_sequence":null}},"usage":{{"output_tokens":{tokens}}}}}"#
        ),
        r#"{"type":"message_stop"}"#.to_owned(),
    ]
}

fn gemini(text: &str, finish: &str, tokens: u32) -> String {
    format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{text}"}}],"role":"model"}},"index":0{finish}}}],"usageMetadata":{{"promptTokenCount":9,"candidatesTokenCount":{tokens},"totalTokenCount":{}}},"modelVersion":"model","responseId":"r1"}}"#,
        tokens + 9
    )
}

fn text(tokens: u32) -> String {
    (0..tokens).flat_map(|n| [n.to_string(), " ".to_owned()]).collect()
}
