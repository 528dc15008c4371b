//! The recorded streams of the public API: an SDK assembles the same reply from our output as the recording holds.

use bytes::Bytes;
use proto::Dialect;
use serde_json::Value;

use crate::sdk::{body, collect, javascript, python, state_last};
use crate::{array, fold, read, setting, shared, strange, utf8, write};

/// Recorded events, one per line, as the original stream.
fn stream(lines: &Bytes) -> Bytes {
    let frames = utf8(lines).lines().filter(|line| !line.is_empty()).map(|line| format!("data: {line}\n\n"));
    Bytes::from(frames.collect::<String>())
}

/// The reply in the recording, by the rules of an SDK: arguments that came in pieces are one object.
fn recorded(lines: &Bytes) -> Value {
    let events: Vec<Value> =
        utf8(lines).lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect();
    collect(&events)
}

fn text(reply: &Value, thought: bool) -> String {
    let parts = reply["parts"].as_array().unwrap().iter();
    parts
        .filter(|part| part["thought"].as_bool().unwrap_or(false) == thought)
        .filter_map(|part| part["text"].as_str())
        .collect()
}

/// Names and arguments of the calls. Recordings in pieces name a call once and then continue without a name.
fn calls(reply: &Value) -> Vec<(String, Value)> {
    let mut calls: Vec<(String, Value)> = Vec::new();
    for call in
        reply["parts"].as_array().unwrap().iter().map(|part| &part["functionCall"]).filter(|call| call.is_object())
    {
        if let Some(name) = call["name"].as_str() {
            calls.push((
                name.to_owned(),
                call.get("args").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            ));
        }
        for piece in call["partialArgs"].as_array().into_iter().flatten() {
            let args = &mut calls.last_mut().unwrap().1;
            // All recorded paths are names at the root, all values strings.
            let name = piece["jsonPath"].as_str().unwrap().trim_start_matches("$.");
            let before = args[name].as_str().unwrap_or_default().to_owned();
            args[name] = Value::from(before + piece["stringValue"].as_str().unwrap());
        }
    }
    calls
}

fn signatures(reply: &Value) -> Vec<String> {
    let parts = reply["parts"].as_array().unwrap().iter();
    parts.filter_map(|part| Some(part["thoughtSignature"].as_str()?.to_owned())).collect()
}

fn same(name: &str, ours: &Value, theirs: &Value) {
    for thought in [false, true] {
        assert_eq!(text(ours, thought), text(theirs, thought), "{name}");
    }
    assert_eq!(calls(ours), calls(theirs), "{name}");
    assert_eq!(signatures(ours), signatures(theirs), "{name}");
    assert_eq!(ours["finishReason"], theirs["finishReason"], "{name}");
    assert_eq!(ours["modelVersion"], theirs["modelVersion"], "{name}");
    for count in ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"] {
        assert_eq!(ours["usageMetadata"][count], theirs["usageMetadata"][count], "{name} {count}");
    }
}

#[test]
fn recorded_gemini_streams() {
    for (name, lines) in shared("gemini", ".chunks.txt") {
        let body_of = stream(&lines);
        let events = read(Dialect::Gemini, [&body_of[..]]);
        assert_eq!(write(Dialect::Gemini, setting(Dialect::Gemini), &events), body_of, "{name}");
        let theirs = recorded(&lines);
        let events = strange(events);
        let written = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
        same(&name, &collect(&javascript(&written).0), &theirs);
        same(&name, &collect(&python(&written)), &theirs);
        let list: Vec<Value> = serde_json::from_slice(&write(Dialect::Gemini, array(), &events)).unwrap();
        same(&name, &collect(&list), &theirs);
        let whole = Dialect::Gemini.whole(&fold(&events), &setting(Dialect::Gemini));
        same(&name, &body(&whole), &theirs);
    }
}

#[test]
fn recorded_gemini_bodies() {
    for (name, recorded) in shared("gemini", ".json") {
        let whole = fold(&read(Dialect::Gemini, [&recorded[..]]));
        let theirs: Value = serde_json::from_slice(&recorded).unwrap();
        if let Some(failure) = &whole.failure {
            assert_eq!(theirs["error"]["message"], failure.message, "{name}");
            assert_eq!(Value::from(Dialect::Gemini.error(failure).0), theirs["error"]["code"], "{name}");
            assert_eq!(failure.retry_after, Some(35), "{name}");
            continue;
        }
        same(&name, &body(&Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini))), &collect(&[theirs]));
    }
}

#[test]
fn recorded_streams_of_others_for_gemini_clients() {
    for (dialect, folder) in
        [(Dialect::Responses, "responses"), (Dialect::Messages, "messages"), (Dialect::Chat, "chat")]
    {
        for (name, lines) in shared(folder, ".chunks.txt") {
            let frame = |line: &str| {
                // A recording that was cut by hand lacks a brace at the end of some lines.
                let line =
                    if serde_json::from_str::<Value>(line).is_ok() { line.to_owned() } else { format!("{line}}}") };
                let value: Value = serde_json::from_str(&line).unwrap();
                let event = value["type"].as_str().map(|kind| format!("event: {kind}\n")).unwrap_or_default();
                format!("{event}data: {line}\n\n")
            };
            let mut body_of: String = utf8(&lines).lines().filter(|line| !line.is_empty()).map(frame).collect();
            if dialect == Dialect::Chat {
                body_of += "data: [DONE]\n\n";
            }
            let events = read(dialect, [body_of.as_bytes()]);
            let whole = fold(&events);
            let written = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
            let (replies, thrown) = javascript(&written);
            assert_eq!(thrown, whole.failure.is_some(), "{name}");
            // Recordings that keep only some of the deltas have whole items.
            if whole.failure.is_none() && name != "phase.1" {
                let one = body(&Dialect::Gemini.whole(&whole, &setting(Dialect::Gemini)));
                assert_eq!(state_last(collect(&replies)), state_last(one), "{folder} {name}");
            }
        }
    }
}
