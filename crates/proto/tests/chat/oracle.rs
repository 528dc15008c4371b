//! async-openai's types read our output, and the result equals the recorded streams.

use async_openai::types::chat::{
    CreateChatCompletionRequest, CreateChatCompletionResponse, CreateChatCompletionStreamResponse, FinishReason,
};
use bytes::Bytes;
use proto::dialect::{RelayTarget, Target, Written};
use proto::{Dialect, Wire};

use crate::{corpus, fold, read, setting, shared, strange, utf8, write};

/// Recordings that keep only some of the deltas; their items are whole.
const THINNED: [&str; 1] = ["phase.1"];

/// The chunks of a stream that ended well; `None` when it ended with an error.
fn chunks(stream: &[u8]) -> Option<Vec<CreateChatCompletionStreamResponse>> {
    let mut data: Vec<&str> = utf8(stream).split_terminator("\n\n").map(|frame| &frame["data: ".len()..]).collect();
    if data.last().is_some_and(|last| last.starts_with("{\"error\":")) {
        return None;
    }
    assert_eq!(data.pop(), Some("[DONE]"));
    Some(data.iter().map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect())
}

/// Text, arguments of each call and finish reason.
type ReplyContents = (String, Vec<String>, Option<FinishReason>);

fn contents(chunks: &[CreateChatCompletionStreamResponse]) -> ReplyContents {
    let mut reply = ReplyContents::default();
    for choice in chunks.iter().flat_map(|chunk| &chunk.choices) {
        reply.0.push_str(choice.delta.content.as_deref().unwrap_or_default());
        for call in choice.delta.tool_calls.iter().flatten() {
            let index = call.index as usize;
            if index == reply.1.len() {
                assert!(call.id.is_some());
                reply.1.push(String::new());
            }
            reply.1[index].push_str(call.function.as_ref().and_then(|f| f.arguments.as_deref()).unwrap_or_default());
        }
        reply.2 = choice.finish_reason.or(reply.2);
    }
    reply
}

fn check(name: &str, dialect: Dialect, stream: &Bytes) {
    let events = strange(read(dialect, [&stream[..]]));
    let written = write(Dialect::Chat, setting(true), &events);
    if utf8(&written).contains("\"type\":\"custom\"") {
        // The oracle does not know the custom calls of the real API.
        return;
    }
    let whole = fold(&events);
    let Some(chunks) = chunks(&written) else {
        assert!(whole.failure.is_some(), "{name}");
        return;
    };
    let body = Dialect::Chat.whole(&whole, &setting(true));
    let body: CreateChatCompletionResponse = serde_json::from_slice(&body).unwrap();
    let (content, calls, finish) = contents(&chunks);
    let message = &body.choices[0].message;
    if !THINNED.contains(&name) {
        assert_eq!(message.content.clone().unwrap_or_default(), content, "{name}");
    }
    assert_eq!(body.choices[0].finish_reason, finish, "{name}");
    assert_eq!(message.tool_calls.as_ref().map_or(0, Vec::len), calls.len(), "{name}");
    assert_eq!(chunks.last().unwrap().usage, body.usage, "{name}");
    assert!(finish.is_some(), "{name}");
}

/// One recorded event. A recording that was cut by hand lacks a brace at the end of some lines.
fn event(line: &str) -> (String, serde_json::Value) {
    let lines = [line.to_owned(), format!("{line}}}")];
    let read = |line: String| serde_json::from_str(&line).ok().map(|value| (line, value));
    lines.into_iter().find_map(read).unwrap()
}

/// Recorded events, one per line, as the original stream.
fn stream(lines: &Bytes, named: bool) -> Bytes {
    let frame = |line: &str| {
        let (line, value) = event(line);
        let event = if named { format!("event: {}\n", value["type"].as_str().unwrap()) } else { String::new() };
        format!("{event}data: {line}\n\n")
    };
    Bytes::from(utf8(lines).lines().filter(|line| !line.is_empty()).map(frame).collect::<String>())
}

#[test]
fn our_own_streams() {
    for (name, body) in corpus("chat", ".sse") {
        check(&name, Dialect::Chat, &body);
    }
    for (name, body) in corpus("responses", ".sse") {
        check(&name, Dialect::Responses, &body);
    }
}

#[test]
fn recorded_chat_streams() {
    for (name, lines) in shared("chat", ".chunks.txt") {
        let body = Bytes::from([&stream(&lines, false)[..], b"data: [DONE]\n\n"].concat());
        check(&name, Dialect::Chat, &body);
        let recorded: String = utf8(&lines)
            .lines()
            .map(|line| event(line).1)
            .filter_map(|value| Some(value["choices"][0]["delta"]["content"].as_str()?.to_owned()))
            .collect();
        let events = read(Dialect::Chat, [&body[..]]);
        let written = write(Dialect::Chat, setting(true), &strange(events.clone()));
        assert_eq!(contents(&chunks(&written).unwrap()).0, recorded, "{name}");
        assert_eq!(write(Dialect::Chat, setting(true), &events), body, "{name}");
    }
}

#[test]
fn recorded_chat_bodies() {
    for (name, body) in shared("chat", ".json") {
        let whole = fold(&read(Dialect::Chat, [&body[..]]));
        let recorded: serde_json::Value = serde_json::from_slice(&body).unwrap();
        if let Some(failure) = &whole.failure {
            assert_eq!(recorded["error"]["message"], failure.message, "{name}");
            continue;
        }
        let written: serde_json::Value = serde_json::from_slice(&Dialect::Chat.whole(&whole, &setting(true))).unwrap();
        for path in
            ["/choices/0/message/content", "/choices/0/finish_reason", "/usage/total_tokens", "/model", "/created"]
        {
            assert_eq!(recorded.pointer(path), written.pointer(path), "{name} {path}");
        }
    }
}

#[test]
fn recorded_responses_streams() {
    for (name, lines) in shared("responses", ".chunks.txt") {
        let body = stream(&lines, true);
        check(&name, Dialect::Responses, &body);
        let values = utf8(&lines).lines().map(|line| event(line).1);
        // One recording continues with the next response of its conversation.
        let recorded: String = values
            .take_while(|value| value["type"] != "response.completed")
            .filter(|value| value["type"] == "response.output_text.delta")
            .map(|value| value["delta"].as_str().unwrap().to_owned())
            .collect();
        let written = write(Dialect::Chat, setting(true), &read(Dialect::Responses, [&body[..]]));
        if !utf8(&written).contains("\"type\":\"custom\"")
            && let Some(chunks) = chunks(&written)
        {
            assert_eq!(contents(&chunks).0, recorded, "{name}");
        }
    }
}

#[test]
fn requests_for_relays() {
    let target = Target::Relay(RelayTarget { model: "relay-large".to_owned(), ..RelayTarget::default() });
    for (name, body) in corpus("requests/chat", ".json") {
        let (mut request, _) = Dialect::Chat.read_request(body).unwrap();
        (request.raw, request.origin) = (None, None);
        let Written { body: out, .. } = Wire::Chat.write_request(&request, &target).unwrap();
        let read: CreateChatCompletionRequest = match serde_json::from_slice(&out) {
            Ok(read) => read,
            // The oracle does not know the custom calls and allowed tools of the real API.
            Err(_) if utf8(&out).contains("\"type\":\"custom\"") || name == "allowed-tools" => continue,
            Err(error) => panic!("{name}: {error}: {}", utf8(&out)),
        };
        assert_eq!(read.stream, Some(true));
    }
}
