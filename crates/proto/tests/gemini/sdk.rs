//! Google's two SDKs as readers of a stream, by the rules of their sources (`@google/genai` 3.1.0 and `google-genai` 3.4.0).

use serde_json::{Value, json};

use crate::utf8;

/// The replies that the JavaScript SDK yields, and whether it throws in the end. The network may cut the stream anywhere, so the rest at
/// the end of the stream shows an error.
pub(crate) fn javascript(stream: &[u8]) -> (Vec<Value>, bool) {
    let mut rest = utf8(stream);
    let mut replies = Vec::new();
    let ends = ["\n\n", "\r\r", "\r\n\r\n"];
    while let Some((at, end)) = ends.iter().filter_map(|end| Some((rest.find(end)?, end))).min() {
        let event = &rest[..at];
        rest = &rest[at + end.len()..];
        if let Some(data) = event.trim().strip_prefix("data:") {
            replies.push(serde_json::from_str(data.trim()).unwrap());
        }
    }
    (replies, !rest.trim().is_empty())
}

/// The objects that the Python SDK yields: data lines, and any other text with balanced brackets.
pub(crate) fn python(stream: &[u8]) -> Vec<Value> {
    let (mut objects, mut chunk, mut balance) = (Vec::new(), String::new(), 0);
    for line in utf8(stream).lines().filter(|line| !line.trim().is_empty()) {
        if let Some(data) = line.strip_prefix("data: ") {
            objects.push(serde_json::from_str(data).unwrap());
            continue;
        }
        balance += line.matches('{').count();
        balance -= line.matches('}').count();
        chunk.push_str(line);
        if balance == 0 {
            objects.push(serde_json::from_str(&std::mem::take(&mut chunk)).unwrap());
        }
    }
    objects
}

/// One whole reply out of the parts of many, as the chat helpers of the SDKs collect it: consecutive texts are joined.
pub(crate) fn collect(replies: &[Value]) -> Value {
    let mut parts: Vec<Value> = Vec::new();
    let mut whole = json!({});
    for reply in replies {
        let candidate = &reply["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            join(&mut parts, part);
        }
        for (name, object) in [("finishReason", candidate), ("groundingMetadata", candidate), ("usageMetadata", reply)]
        {
            if !object[name].is_null() {
                whole[name] = object[name].clone();
            }
        }
        for name in ["modelVersion", "responseId"] {
            whole[name] = reply[name].clone();
        }
    }
    whole["parts"] = Value::Array(parts);
    whole
}

fn join(parts: &mut Vec<Value>, part: &Value) {
    let text = |part: &Value| part["text"].as_str().map(str::to_owned);
    if text(part).is_some_and(|text| text.is_empty()) && part["thoughtSignature"].is_null() {
        return;
    }
    if let Some(last) = parts.last_mut()
        && let (Some(before), Some(more)) = (text(last), text(part))
        && last["thought"] == part["thought"]
        && part["thoughtSignature"].is_null()
    {
        last["text"] = Value::from(before + &more);
        return;
    }
    parts.push(part.clone());
}

/// As [`collect`], from a whole body.
pub(crate) fn body(body: &[u8]) -> Value {
    collect(&[serde_json::from_slice(body).unwrap()])
}

/// The body with the state of its texts and reasoning behind the parts: this protocol does not show which text a state came before. A
/// stream, whose texts are already sent at the end, needs an empty text for the state; a collected body has it on the last text.
pub(crate) fn state_last(mut body: Value) -> Value {
    let parts = body["parts"].as_array_mut().unwrap();
    let mut states = Vec::new();
    for part in parts.iter_mut().filter(|part| part["text"].is_string()) {
        states.extend(part.as_object_mut().unwrap().remove("thoughtSignature"));
    }
    parts.retain(|part| part["text"] != "");
    body["states"] = states.into();
    body
}
