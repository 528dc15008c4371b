//! An SDK assembles the same messages from our output as the recorded streams hold.

use bytes::Bytes;
use proto::Dialect;
use serde_json::Value;

use crate::{fold, read, sdk, setting, shared, strange, utf8, write};

/// The recorded events, one per line, as the original stream.
fn stream(lines: &Bytes) -> Bytes {
    let frame = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        format!("event: {}\ndata: {line}\n\n", value["type"].as_str().unwrap())
    };
    Bytes::from(utf8(lines).lines().filter(|line| !line.is_empty()).map(frame).collect::<String>())
}

/// The counts of a usage object that every upstream sends.
fn figures(message: &Value) -> [u64; 4] {
    let names = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"];
    names.map(|name| message["usage"][name].as_u64().unwrap())
}

/// Compares the fields of a message that every dialect has.
fn same(name: &str, written: &Value, recorded: &Value) {
    for kind in ["text", "thinking"] {
        assert_eq!(sdk::text(written, kind), sdk::text(recorded, kind), "{name}");
    }
    assert_eq!(sdk::calls(written), sdk::calls(recorded), "{name}");
    for field in ["model", "role", "type", "stop_reason"] {
        assert_eq!(written[field], recorded[field], "{name} {field}");
    }
    assert_eq!(figures(written), figures(recorded), "{name}");
}

#[test]
fn recorded_streams_pass_as_they_came() {
    for (name, lines) in shared("messages", ".chunks.txt") {
        let body = stream(&lines);
        let events = read(Dialect::Messages, [&body[..]]);
        assert_eq!(write(Dialect::Messages, setting(Dialect::Messages), &events), body, "{name}");
        for size in [1, 7, 1000] {
            assert_eq!(read(Dialect::Messages, body.chunks(size)), events, "{name} by {size}");
        }
        let whole = Dialect::Messages.whole(&fold(&events), &setting(Dialect::Messages));
        assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), sdk::message(&body), "{name}");
    }
}

#[test]
fn recorded_streams_written_anew() {
    for (name, lines) in shared("messages", ".chunks.txt") {
        let body = stream(&lines);
        let events = strange(read(Dialect::Messages, [&body[..]]));
        let recorded = sdk::message(&body);
        let written = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &events));
        same(&name, &written, &recorded);
        let whole = Dialect::Messages.whole(&fold(&events), &setting(Dialect::Messages));
        assert_eq!(serde_json::from_slice::<Value>(&whole).unwrap(), written, "{name}");
    }
}

#[test]
fn recorded_streams_for_other_clients() {
    for (name, lines) in shared("messages", ".chunks.txt") {
        let body = stream(&lines);
        let recorded = sdk::message(&body);
        let folded = fold(&read(Dialect::Messages, [&body[..]]));
        let chat: Value = serde_json::from_slice(&Dialect::Chat.whole(&folded, &setting(Dialect::Chat))).unwrap();
        let message = &chat["choices"][0]["message"];
        assert_eq!(message["content"].as_str().unwrap_or_default(), sdk::text(&recorded, "text"), "{name}");
        let [input, written, cached, output] = figures(&recorded);
        assert_eq!(chat["usage"]["prompt_tokens"], input + written + cached, "{name}");
        assert_eq!(chat["usage"]["completion_tokens"], output, "{name}");
        let calls: Vec<Value> = message["tool_calls"].as_array().into_iter().flatten().cloned().collect();
        assert_eq!(calls.len(), sdk::calls(&recorded).len(), "{name}");
        for (call, (id, tool, input)) in calls.iter().zip(sdk::calls(&recorded)) {
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            assert_eq!((&call["id"], &call["function"]["name"], &arguments), (&id, &tool, &input), "{name}");
        }
        let whole = Dialect::Responses.whole(&folded, &setting(Dialect::Responses));
        let responses: Value = serde_json::from_slice(&whole).unwrap();
        let items = responses["output"].as_array().unwrap();
        let parts = items.iter().flat_map(|item| item["content"].as_array().into_iter().flatten());
        let text: String = parts.filter_map(|part| part["text"].as_str()).collect();
        assert_eq!(text, sdk::text(&recorded, "text"), "{name}");
    }
}

#[test]
fn recorded_bodies() {
    for (name, body) in shared("messages", ".json") {
        let recorded: Value = serde_json::from_slice(&body).unwrap();
        let events = read(Dialect::Messages, [&body[..]]);
        let whole = Dialect::Messages.whole(&fold(&events), &setting(Dialect::Messages));
        same(&name, &serde_json::from_slice(&whole).unwrap(), &recorded);
    }
}

#[test]
fn recordings_of_other_upstreams_end_well() {
    for (dialect, folder) in [(Dialect::Responses, "responses"), (Dialect::Chat, "chat")] {
        for (name, body) in shared(folder, ".json") {
            let events = read(dialect, [&body[..]]);
            let whole = fold(&events);
            if whole.failure.is_some() {
                continue;
            }
            let written = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &strange(events)));
            let body = Dialect::Messages.whole(&whole, &setting(Dialect::Messages));
            assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), written, "{folder} {name}");
        }
    }
}
