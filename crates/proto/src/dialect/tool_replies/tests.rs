use bytes::{Bytes, BytesMut};

use super::{ToolReplies, input};
use crate::canon::{Event, Finish, ItemKind, What};
use crate::dialect::{Dialect, Reader, RelayTarget, ReplySetting, Target, Wire, Writer, Written};
use crate::fold::{Fold, Whole};
use crate::text::Text;
use crate::{Json, Request};

fn relay() -> Target {
    Target::Relay(RelayTarget { model: "m".to_owned(), functions_only: true, ..RelayTarget::default() })
}

fn request(dialect: Dialect, body: &str) -> Request {
    dialect.read_request(Bytes::copy_from_slice(body.as_bytes())).unwrap().0
}

/// The events of an upstream's answer, rewritten for the client.
fn answer(request: &Request, wire: Wire, body: &str) -> Vec<Event> {
    let mut replies = ToolReplies::new(request, wire, &relay());
    let mut reader = Reader::new(wire);
    let mut events = Vec::new();
    reader.push(Bytes::copy_from_slice(body.as_bytes()), &mut events);
    reader.end(&mut events);
    let convert = |event: Event| match &mut replies {
        Some(replies) => replies.event(event),
        None => [None, Some(event)],
    };
    events.into_iter().flat_map(convert).flatten().collect()
}

fn fold(events: &[Event]) -> Whole {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

fn stream(dialect: Dialect, events: &[Event]) -> String {
    let mut writer = Writer::new(dialect, ReplySetting { id: "x".to_owned(), ..ReplySetting::default() });
    let mut out = BytesMut::new();
    for event in events {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

/// A call of `name` whose arguments arrive in pieces of `size` characters.
fn called(wire: Wire, name: &str, arguments: &str, size: usize) -> String {
    let quoted = |text: &str| Text::from_plain(text).quoted();
    let chars: Vec<char> = arguments.chars().collect();
    let pieces: Vec<String> = chars.chunks(size).map(|piece| piece.iter().collect()).collect();
    let frame = |json: String| format!("data: {json}\n\n");
    if wire == Wire::Messages {
        let start = r#"{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}"#;
        let open = format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"t1","name":"{name}","input":{{}}}}}}"#
        );
        let delta = |piece: &String| {
            frame(format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":{}}}}}"#,
                quoted(piece).as_str()
            ))
        };
        let rest = [
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ];
        let deltas: String = pieces.iter().map(delta).collect();
        frame(start.to_owned()) + &frame(open) + &deltas + &rest.map(|json| frame(json.to_owned())).concat()
    } else {
        let chunk = |delta: String, reason: &str| {
            frame(format!(
                r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]}}"#
            ))
        };
        let open = format!(
            r#"{{"tool_calls":[{{"index":0,"id":"t1","type":"function","function":{{"name":"{name}","arguments":""}}}}]}}"#
        );
        let delta = |piece: &String| {
            chunk(
                format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{}}}}}]}}"#, quoted(piece).as_str()),
                "null",
            )
        };
        let deltas: String = pieces.iter().map(delta).collect();
        chunk(open, "null") + &deltas + &chunk("{}".to_owned(), "\"tool_calls\"") + "data: [DONE]\n\n"
    }
}

const CODEX: &str = r#"{"model":"m","input":"a","tools":[{"type":"custom","name":"apply_patch"},{"type":"function","name":"f","parameters":{}}]}"#;

#[test]
fn a_free_text_call_comes_back_as_one() {
    let text = "*** Begin\n\"é\" \\ \u{1f600}\u{1}end";
    let escaped = r#"{ "input" : "*** Begin\n\"é\" \\ \ud83d\ude00\u0001end"}"#;
    for wire in [Wire::Messages, Wire::Chat] {
        for size in [1, 3, 200] {
            let events = answer(&request(Dialect::Responses, CODEX), wire, &called(wire, "apply_patch", escaped, size));
            let whole = fold(&events);
            let [item] = &whole.items[..] else { panic!("{:?}", whole.items) };
            let ItemKind::Call { kind, name, input, .. } = &item.kind else { panic!("{item:?}") };
            assert_eq!(
                (*kind, name.as_str(), input.plain().as_ref()),
                (crate::canon::CallKind::Custom, "apply_patch", text)
            );
            let data =
                |event: &Event| if let What::Delta { data, .. } = &event.what { Some(data.clone()) } else { None };
            let sent: String = events.iter().filter_map(data).map(|data| data.plain().into_owned()).collect();
            assert_eq!(sent, text, "{wire:?} {size}");
            let stream = stream(Dialect::Responses, &events);
            assert!(
                stream.contains("response.custom_tool_call_input.delta") && !stream.contains("function_call_arguments")
            );
            let body = Dialect::Responses.whole(&whole, &ReplySetting::default());
            assert!(std::str::from_utf8(&body).unwrap().contains(r#""type":"custom_tool_call""#));
        }
        let events = answer(&request(Dialect::Responses, CODEX), wire, &called(wire, "f", r#"{"input":"a"}"#, 3));
        assert!(stream(Dialect::Responses, &events).contains("function_call_arguments"), "a function stays one");
    }
}

#[test]
fn arguments_that_are_no_text_are_the_text() {
    let cases = [
        (r#"{"input":"a"}"#, "a"),
        (r#"{"why":1,"input":"a\nb"}"#, "a\nb"),
        (r#"{"patch":"a"}"#, r#"{"patch":"a"}"#),
        ("{}", ""),
        ("*** Begin", "*** Begin"),
        (r#"{"input":"cut \u00"#, "cut "),
        (r#"{"input":"\ud800 \q"}"#, "\u{fffd} \\q"),
        (r#"{"input":"\ud800\u0041"}"#, "\u{fffd}A"),
    ];
    for (arguments, text) in cases {
        assert_eq!(input::whole(&Text::from_plain(arguments)).plain(), text, "{arguments}");
    }
}

#[test]
fn names_come_back_as_the_client_has_them() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"mcp/list.files"}}]}"#;
    let request = request(Dialect::Chat, body);
    for wire in [Wire::Messages, Wire::Gemini, Wire::Responses] {
        let Written { body: sent, notes, .. } = wire.write_request(&request, &relay()).unwrap();
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        assert!(!sent.contains("mcp/list"), "{wire:?}: {sent}");
        assert!(notes.header().contains("renamed tools"), "{wire:?}");
    }
    let Written { body: sent, .. } = Wire::Messages.write_request(&request, &relay()).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    let name = sent["tools"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("mcp_list_files_") && name.len() <= 64, "{name}");
    let events = answer(&request, Wire::Messages, &called(Wire::Messages, name, "{}", 2));
    assert!(stream(Dialect::Chat, &events).contains(r#""name":"mcp/list.files""#));
    assert!(
        String::from_utf8_lossy(&Dialect::Chat.whole(&fold(&events), &ReplySetting::default()))
            .contains("mcp/list.files")
    );
}

#[test]
fn a_renamed_call_is_renamed_in_the_terminal_object_too() {
    let request = request(
        Dialect::Responses,
        r#"{"model":"m","input":"a","tools":[{"type":"function","name":"a/b","parameters":{}}]}"#,
    );
    let Written { body: sent, .. } = Wire::Responses.write_request(&request, &relay()).unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    let name = sent["tools"][0]["name"].as_str().unwrap();
    assert!(name.starts_with("a_b_"), "{name}");
    let events = answer(
        &request,
        Wire::Responses,
        &responses(&format!(
            r#"{{"type":"function_call","id":"fc_1","call_id":"c1","name":"{name}","arguments":"{{}}","status":"completed"}}"#
        )),
    );
    let stream = stream(Dialect::Responses, &events);
    assert!(!stream.contains(name) && stream.contains(r#""name":"a/b""#), "{stream}");
    let body = Dialect::Responses.whole(&fold(&events), &ReplySetting::default());
    assert!(!String::from_utf8_lossy(&body).contains(name));
}

/// A responses stream with one finished item.
fn responses(item: &str) -> String {
    let frame = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n");
    [
        frame("response.created", r#""response":{"id":"resp_1","model":"m","status":"in_progress","output":[]}"#),
        frame("response.output_item.added", &format!(r#""output_index":0,"item":{item}"#)),
        frame("response.output_item.done", &format!(r#""output_index":0,"item":{item}"#)),
        frame(
            "response.completed",
            &format!(r#""response":{{"id":"resp_1","model":"m","status":"completed","output":[{item}]}}"#),
        ),
    ]
    .concat()
}

/// xAI's `x_search` arrives as a finished call of a free-text tool.
#[test]
fn a_call_of_the_services_own_tool_is_not_the_clients() {
    let item = r#"{"type":"custom_tool_call","id":"ctc_1","call_id":"xs_1","name":"x_search","input":"{}","status":"completed"}"#;
    let chat = request(
        Dialect::Chat,
        r#"{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"type":"function","function":{"name":"f"}}]}"#,
    );
    let events = answer(&chat, Wire::Responses, &responses(item));
    let whole = fold(&events);
    assert_eq!(whole.finish, Some(Finish::Stop));
    let body = Json::from_valid(Dialect::Chat.whole(&whole, &ReplySetting::default()));
    assert!(!body.as_str().contains("tool_calls") && body.as_str().contains(r#""finish_reason":"stop""#), "{body:?}");
    assert!(!stream(Dialect::Chat, &events).contains("tool_calls"));
    let notes =
        events.iter().filter(|event| event.what == What::Note("the upstream ran its own tool x_search".to_owned()));
    assert_eq!(notes.count(), 1);
    let offered = item.replace("x_search", "f");
    assert_eq!(fold(&answer(&chat, Wire::Responses, &responses(&offered))).finish, Some(Finish::ToolCalls));
    let own = request(Dialect::Responses, r#"{"model":"m","input":"a"}"#);
    assert_eq!(stream(Dialect::Responses, &answer(&own, Wire::Responses, &responses(item))), responses(item));
}
