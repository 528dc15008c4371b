//! Replies: streams and whole bodies of both forms.

use bytes::{Bytes, BytesMut};
use proto::canon::{CallKind, Channel, Finish, Head, Item, ItemKind, What};
use proto::dialect::ollama;
use proto::{Dialect, Event, Failure, Kind, Text, Writer};
use serde_json::json;

use crate::{fold, lines, replies, setting, write};

#[test]
fn streams_and_whole_bodies() {
    for (name, events) in replies() {
        insta::assert_snapshot!(name.clone(), write(setting(false), &events));
        let whole = fold(&events);
        if whole.failure.is_none() {
            let body = Dialect::Ollama.whole(&whole, &setting(false));
            insta::assert_snapshot!(format!("{name}_whole"), std::str::from_utf8(&body).unwrap());
        }
    }
}

#[test]
fn generated_streams_and_whole_bodies() {
    let names = ["responses_text", "responses_reasoning", "responses_image", "responses_incomplete", "chat_error"];
    for (name, events) in replies().into_iter().filter(|(name, _)| names.contains(&name.as_str())) {
        insta::assert_snapshot!(format!("generate_{name}"), write(setting(true), &events));
        let whole = fold(&events);
        if whole.failure.is_none() {
            let body = Dialect::Ollama.whole(&whole, &setting(true));
            insta::assert_snapshot!(format!("generate_{name}_whole"), std::str::from_utf8(&body).unwrap());
        }
    }
}

/// A defect of the system S0: its last line repeated the whole text, so clients that append showed the text twice.
#[test]
fn the_last_line_repeats_nothing() {
    for (name, events) in replies() {
        let lines = lines(&write(setting(false), &events));
        let last = lines.last().unwrap();
        if last.get("error").is_none() {
            assert_eq!(last["message"], json!({"role": "assistant", "content": ""}), "{name}");
            assert_eq!(last["done"], true, "{name}");
            assert!(lines[..lines.len() - 1].iter().all(|line| line["done"] == false), "{name}");
        }
    }
}

#[test]
fn figures_are_of_this_reply() {
    let (_, events) = replies().into_iter().find(|(name, _)| name == "responses_text").unwrap();
    let streamed = lines(&write(setting(false), &events)).pop().unwrap();
    let body = Dialect::Ollama.whole(&fold(&events), &setting(false));
    let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let number = |name: &str| streamed[name].as_u64().unwrap();
    for name in
        ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_count", "eval_duration"]
    {
        assert_eq!(streamed[name], whole[name], "{name}");
    }
    assert_eq!(number("total_duration"), number("prompt_eval_duration") + number("eval_duration"));
    assert!(number("prompt_eval_duration") > 0 && number("prompt_eval_count") > 0 && number("eval_count") > 0);
}

#[test]
fn lines_carry_the_time() {
    let (_, events) = replies().into_iter().find(|(name, _)| name == "responses_text").unwrap();
    let lines = lines(&write(setting(false), &events));
    let stamps: Vec<&str> = lines.iter().map(|line| line["created_at"].as_str().unwrap()).collect();
    assert!(stamps.is_sorted() && stamps.first() < stamps.last(), "{stamps:?}");
    assert!(stamps.iter().all(|stamp| stamp.starts_with("2026-01-01T00:00:00.") && stamp.len() == 30), "{stamps:?}");
}

fn call(input: &str, finish: Finish) -> Vec<Event> {
    let (call_id, name) = (Text::from("call_1"), Text::from("f"));
    let head = Head::Call { kind: CallKind::Function, call_id: call_id.clone(), name: name.clone(), namespace: None };
    let input = Text::from(input);
    let kind =
        ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input: input.clone() };
    vec![
        Event::new(What::ItemOpen { at: 0, head }),
        Event::new(What::Delta { at: 0, part: 0, channel: Channel::Arguments, data: input }),
        Event::new(What::ItemDone { at: 0, item: Item { kind, raw: None } }),
        Event::new(What::End { finish, response: None }),
    ]
}

#[test]
fn arguments_are_objects_on_one_line() {
    let cases = [
        ("", json!({})),
        ("{}", json!({})),
        ("{\n  \"a\": \"x\\ny\",\r\n  \"b\": [1, 2.50]\n}", json!({"a": "x\ny", "b": [1, 2.5]})),
        ("[1]", json!({"input": "[1]"})),
        ("{\"a\":", json!({"input": "{\"a\":"})),
        ("plain", json!({"input": "plain"})),
    ];
    for (input, arguments) in cases {
        let lines = lines(&write(setting(false), &call(input, Finish::ToolCalls)));
        assert_eq!(lines.len(), 2, "{input}");
        let expected = json!([{"id": "call_1", "function": {"index": 0, "name": "f", "arguments": arguments}}]);
        assert_eq!(lines[0]["message"]["tool_calls"], expected, "{input}");
        let body = Dialect::Ollama.whole(&fold(&call(input, Finish::ToolCalls)), &setting(false));
        let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&whole["message"]["tool_calls"], &whole["done_reason"]), (&expected, &json!("stop")), "{input}");
    }
}

#[test]
fn a_call_that_was_cut_off_is_not_handed_out() {
    let mut events = call("{\"a\":\"hal", Finish::Length);
    // The end of the item is missing.
    events.remove(2);
    let lines = lines(&write(setting(false), &events));
    assert_eq!((lines.len(), &lines[0]["done_reason"]), (1, &json!("length")));
    let body = Dialect::Ollama.whole(&fold(&events), &setting(false));
    let whole: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(whole["message"].get("tool_calls").is_none(), "{whole}");
}

#[test]
fn failures_are_one_word() {
    let failure = Failure::new(Kind::ModelNotFound, "no \"such\" model").code("model_not_found").at("model");
    let (status, body) = Dialect::Ollama.error(&failure);
    assert_eq!((status, &body[..]), (404, &br#"{"error":"no \"such\" model"}"#[..]));
    let events = [Event::new(What::Fail(failure))];
    assert_eq!(write(setting(false), &events), "{\"error\":\"no \\\"such\\\" model\"}\n");
    assert!(write(setting(true), &[]).starts_with("{\"error\":"));
}

#[test]
fn an_idle_client_gets_an_empty_line() {
    for (generate, empty) in [(false, json!({"role": "assistant", "content": ""})), (true, json!(""))] {
        let writer = Writer::new(Dialect::Ollama, setting(generate));
        let mut out = BytesMut::new();
        writer.heartbeat(&mut out);
        let line = lines(std::str::from_utf8(&out).unwrap()).remove(0);
        assert_eq!((&line[if generate { "response" } else { "message" }], &line["done"]), (&empty, &json!(false)));
        assert_eq!(line["model"], "gpt-5.5");
    }
}

#[test]
fn hidden_thinking_stays_hidden() {
    let (_, events) = replies().into_iter().find(|(name, _)| name == "responses_reasoning").unwrap();
    let mut hidden = setting(false);
    hidden.reply.thinking = proto::canon::Thinking::Hidden;
    assert!(write(setting(false), &events).contains("\"thinking\""));
    assert!(!write(hidden.clone(), &events).contains("\"thinking\""));
    let body: Bytes = Dialect::Ollama.whole(&fold(&events), &hidden);
    assert!(!std::str::from_utf8(&body).unwrap().contains("\"thinking\""));
}

/// Most clients read images as strings, as Ollama's own types have them; its official client for Python reads objects only.
#[test]
fn pictures_are_strings_or_objects() {
    let (_, events) = replies().into_iter().find(|(name, _)| name == "responses_image").unwrap();
    for image_objects in [false, true] {
        let mut setting = setting(false);
        setting.reply.image_objects = image_objects;
        let lines = lines(&write(setting.clone(), &events));
        let body: serde_json::Value = serde_json::from_slice(&Dialect::Ollama.whole(&fold(&events), &setting)).unwrap();
        let shown = lines.iter().chain([&body]).filter_map(|line| line["message"]["images"].get(0));
        let forms: Vec<bool> =
            shown.map(|image| if image_objects { image["value"].is_string() } else { image.is_string() }).collect();
        assert_eq!(forms, [true, true], "{image_objects}");
    }
}

#[test]
fn a_load_is_answered_at_once() {
    let chat = ollama::loaded("gpt-6-sol", false, false, 1_767_225_600);
    let expected = r#"{"model":"gpt-6-sol","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"load"}"#;
    assert_eq!(std::str::from_utf8(&chat).unwrap(), expected);
    let generate = ollama::loaded("m", true, true, 0);
    let expected = r#"{"model":"m","created_at":"1970-01-01T00:00:00.000000000Z","response":"","done":true,"done_reason":"unload"}"#;
    assert_eq!(std::str::from_utf8(&generate).unwrap(), expected);
}
