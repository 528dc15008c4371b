//! Converts events and HTTP answers to the JSON of frames.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use serde_json::{Map, Value, json};

use crate::answer::{Answer, Payload};
use crate::plan::replay::framed;
use crate::plan::shape::{Frame, Frames};

/// The data of a server-sent event; `None` for a comment.
pub(super) fn data(event: &Bytes) -> Option<Bytes> {
    const MARK: &[u8] = b"data: ";
    let first = if event.starts_with(MARK) { 0 } else { memmem::find(event, b"\ndata: ")? + 1 } + MARK.len();
    let text = event.slice(first..event.trim_ascii_end().len().max(first));
    if memchr::memchr2(b'\n', b'\r', &text).is_none() {
        return Some(text);
    }
    let lines = event.split(|byte| matches!(byte, b'\n' | b'\r'));
    let lines: Vec<&[u8]> = lines.filter_map(|line| line.strip_prefix(MARK)).collect();
    Some(BytesMut::from(&lines.join(&b'\n')[..]).freeze())
}

/// The metadata frames before a response; they replace the headers of HTTP.
pub(super) fn preamble(answer: &Answer, turn_state: bool) -> Vec<Frame> {
    let selected_headers = |names: &[&str]| -> Map<String, Value> {
        let values = names.iter().filter_map(|name| Some((*name, answer.headers.get(*name)?.to_str().ok()?)));
        values.map(|(name, value)| (name.to_owned(), json!(value))).collect()
    };
    let names = ["x-request-id", "x-models-etag", "openai-model", "x-reasoning-included", "x-codex-turn-state"];
    let mut events = vec![json!({ "type": "codex.response.metadata", "headers": selected_headers(&names) })];
    if turn_state {
        let headers = selected_headers(&["x-codex-turn-state", "openai-model"]);
        events.push(json!({ "type": "response.metadata", "sequence_number": 0, "headers": headers, "metadata": {} }));
    }
    events.iter().map(|event| Frame::new(framed(&event.to_string()).into())).collect()
}

/// Inserts the timing event before the terminal event.
pub(super) fn timed(frames: Frames) -> Frames {
    let timing = || {
        let metrics = json!({
            "responses_duration_excl_engine_and_client_tool_time_ms": 4,
            "engine_service_total_ms": 7,
            "engine_iapi_ttft_total_ms": 2,
            "engine_service_ttft_total_ms": 3,
            "engine_iapi_tbt_across_engine_calls_ms": 1,
            "engine_service_tbt_across_engine_calls_ms": 1,
        });
        let event = json!({ "type": "responsesapi.websocket_timing", "timing_metrics": metrics });
        Frame::new(framed(&event.to_string()).into())
    };
    let last = |frame: &Frame| {
        ["completed", "incomplete", "failed"].iter().any(|end| {
            frame.bytes.strip_prefix(b"event: response.").is_some_and(|rest| rest.starts_with(end.as_bytes()))
        })
    };
    Box::new(frames.flat_map(move |frame| last(&frame).then(timing).into_iter().chain([frame])))
}

/// One message with any content.
pub(super) fn alone(text: &Bytes) -> Frames {
    let event = [b"data: ", &text[..], b"\n\n"].concat();
    Box::new(std::iter::once(Frame { bytes: event.into(), token: false }))
}

/// The error frame of a refusal.
pub(super) fn refusal(answer: &Answer) -> Bytes {
    let error = error(answer);
    let headers: Map<String, Value> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "content-type" | "content-length"))
        .filter_map(|(name, value)| Some((title(name.as_str()), json!(value.to_str().ok()?))))
        .collect();
    // Reports show `status_code` in the frame of a used-up plan, and `status` in all other frames.
    let frame = if error["type"] == "usage_limit_reached" {
        json!({ "type": "error", "error": error, "status_code": answer.status, "headers": headers })
    } else {
        json!({ "type": "error", "status": answer.status, "error": error, "headers": headers })
    };
    frame.to_string().into()
}

/// The `error` member.
fn error(answer: &Answer) -> Value {
    let Payload::Whole(bytes) = &answer.payload else {
        return json!({ "type": "server_error", "code": null, "message": "The request failed." });
    };
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let kind = if answer.status >= 500 { "server_error" } else { "invalid_request_error" };
    match (&body["error"], &body["detail"]) {
        (error @ Value::Object(_), _) => error.clone(),
        (_, Value::String(detail)) => json!({ "type": kind, "message": detail }),
        (_, Value::Object(detail)) => json!({ "type": kind, "code": detail.get("code"), "message": "" }),
        _ => json!({ "type": kind, "message": String::from_utf8_lossy(bytes) }),
    }
}

/// `x-codex-plan-type` as `X-Codex-Plan-Type`.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
