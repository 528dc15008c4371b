//! A reader of streams like an official SDK, written for the tests alone: events must come in the protocol's order, and each adds to the
//! message.

use serde_json::{Map, Value, json};

use crate::utf8;

/// The end of a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    /// `message_stop`
    Message(Value),
    /// `error`
    Error(Value),
}

/// Reads a stream of frames `event: ..\ndata: ..` and assembles its message.
///
/// # Panics
/// If the stream is not legal.
pub(crate) fn assemble(stream: &[u8]) -> End {
    let (mut message, mut open, mut end) = (None, None, None);
    let frames = utf8(stream).split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':'));
    for frame in frames {
        assert!(end.is_none(), "after the end: {frame}");
        let (event, data) = frame.split_once('\n').unwrap_or_else(|| panic!("{frame}"));
        let (event, data) = (event.strip_prefix("event: ").unwrap(), data.strip_prefix("data: ").unwrap());
        let value: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        assert_eq!(value["type"], event);
        match event {
            "ping" => assert!(message.is_some()),
            "message_start" => assert!(message.replace(value["message"].clone()).is_none()),
            "error" => {
                assert_eq!(open, None, "an open block");
                end = Some(End::Error(value["error"].clone()));
            }
            "message_stop" => {
                assert_eq!(open, None, "an open block");
                end = Some(End::Message(message.clone().unwrap()));
            }
            _ => step(event, &value, message.as_mut().expect("no message_start"), &mut open),
        }
    }
    end.expect("no end")
}

fn step(event: &str, value: &Value, message: &mut Value, open: &mut Option<String>) {
    let content = message["content"].as_array_mut().unwrap();
    match event {
        "content_block_start" => {
            assert_eq!(open.replace(String::new()), None, "two open blocks");
            assert_eq!(value["index"], content.len());
            content.push(value["content_block"].clone());
        }
        "content_block_delta" => {
            assert_eq!(value["index"], content.len() - 1);
            let input = open.as_mut().expect("no open block");
            grow(content.last_mut().unwrap(), &value["delta"], input);
        }
        "content_block_stop" => {
            assert_eq!(value["index"], content.len() - 1);
            let input = open.take().expect("no open block");
            if let Ok(input) = serde_json::from_str::<Value>(&input) {
                content.last_mut().unwrap()["input"] = input;
            }
        }
        "message_delta" => {
            assert_eq!(*open, None, "an open block");
            lay(message.as_object_mut().unwrap(), value["delta"].as_object().unwrap());
            lay(message["usage"].as_object_mut().unwrap(), value["usage"].as_object().unwrap());
            let more =
                value.as_object().unwrap().iter().filter(|(key, _)| !["type", "delta", "usage"].contains(&&***key));
            more.for_each(|(key, value)| message[key] = value.clone());
        }
        _ => panic!("{event}"),
    }
}

fn lay(object: &mut Map<String, Value>, fields: &Map<String, Value>) {
    fields.iter().for_each(|(key, value)| drop(object.insert(key.clone(), value.clone())));
}

fn grow(block: &mut Value, delta: &Value, input: &mut String) {
    let text = |name: &str| delta[name].as_str().unwrap();
    let mut add =
        |name: &str| block[name] = json!(format!("{}{}", block[name].as_str().unwrap_or_default(), text(name)));
    match delta["type"].as_str().unwrap() {
        "text_delta" => add("text"),
        "thinking_delta" => add("thinking"),
        "signature_delta" => add("signature"),
        "compaction_delta" => add("content"),
        "input_json_delta" => input.push_str(text("partial_json")),
        "citations_delta" => {
            let mut list = block["citations"].as_array().cloned().unwrap_or_default();
            list.push(delta["citation"].clone());
            block["citations"] = Value::Array(list);
        }
        other => panic!("{other}"),
    }
}

/// The message, which must have ended well.
pub(crate) fn message(stream: &[u8]) -> Value {
    match assemble(stream) {
        End::Message(message) => message,
        End::Error(error) => panic!("{error}"),
    }
}

/// The texts of all blocks of a kind, joined.
pub(crate) fn text(message: &Value, kind: &str) -> String {
    let field = if kind == "compaction" { "content" } else { kind };
    let blocks = message["content"].as_array().unwrap().iter().filter(|block| block["type"] == kind);
    blocks.map(|block| block[field].as_str().unwrap()).collect()
}

/// The calls: id, name and input.
pub(crate) fn calls(message: &Value) -> Vec<(Value, Value, Value)> {
    let blocks = message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
    blocks.map(|block| (block["id"].clone(), block["name"].clone(), block["input"].clone())).collect()
}
