use super::*;

use crate::canon::{Event, Item, Part, ReplyOptions};
use crate::dialect;
use crate::dialect::{Reader, Wire};
use crate::fold::Fold;

fn parsed(body: &str) -> Result<Request, Failure> {
    read(&Bytes::from(body.to_owned())).map(|(request, _)| request)
}

#[test]
fn a_prompt_is_one_text() {
    for body in [r#"{"prompt":"Say hi"}"#, r#"{"prompt":["Say hi"],"echo":false,"n":1,"best_of":1,"suffix":null}"#] {
        let request = parsed(body).unwrap();
        let [Item { kind: ItemKind::Message { parts, role: Role::User, .. }, .. }] = &request.items[..] else {
            panic!("{body}");
        };
        assert!(matches!(&parts[..], [Part::Text { text, .. }] if text.is("Say hi")));
        assert!(request.reply.generate && !request.reply.stream);
    }
    let request = parsed(
        r#"{"model":"m","prompt":"x","max_tokens":5,"stop":"\n","temperature":0.5,"user":"u","stream":true,"stream_options":{"include_usage":true}}"#,
    )
    .unwrap();
    assert_eq!((request.limits.max_tokens, request.limits.stop.len(), request.sampling.len()), (Some(5), 1, 1));
    assert!(request.reply.stream && request.reply.include_usage && request.cache_key.is_some());
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let rows = [
        (r#"{"prompt":"x","echo":true}"#, "echo"),
        (r#"{"prompt":"x","suffix":"y"}"#, "suffix"),
        (r#"{"prompt":"x","logprobs":3}"#, "logprobs"),
        (r#"{"prompt":"x","n":2}"#, "n"),
        (r#"{"prompt":"x","best_of":2}"#, "best_of"),
        (r#"{"prompt":["x","y"]}"#, "prompt"),
        (r#"{"prompt":[[1,2]]}"#, "prompt[0]"),
        (r#"{"prompt":[1,2]}"#, "prompt[0]"),
        (r#"{"prompt":""}"#, "prompt"),
        (r#"{"prompt":[]}"#, "prompt"),
        (r#"{"model":"m"}"#, "prompt"),
    ];
    for (body, param) in rows {
        let failure = parsed(body).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (crate::Kind::Invalid, Some(param)), "{body}");
    }
}

/// A reply of the Responses API: reasoning, then two text deltas, one of them with a quote.
const REPLY: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"created_at\":9,\"model\":\"gpt-5.5\",\"output\":[]}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"one \"}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"\\\"two\\\"\"}\n\n",
    "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"one \\\"two\\\"\",\"annotations\":[]}]}}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":2,\"total_tokens\":5}}}\n\n",
);

fn events() -> Vec<Event> {
    let (mut reader, mut events) = (Reader::new(Wire::Responses), Vec::new());
    reader.push(Bytes::from_static(REPLY.as_bytes()), &mut events);
    reader.end(&mut events);
    events
}

fn setting(include_usage: bool) -> ReplySetting {
    let reply = ReplyOptions { generate: true, include_usage, ..ReplyOptions::default() };
    ReplySetting { id: "cmpl-1".into(), model: "gpt-5.5".into(), created: 7, reply, ..ReplySetting::default() }
}

#[test]
fn a_stream_is_pieces_a_reason_and_an_end() {
    let mut out = BytesMut::new();
    let mut writer = dialect::Writer::new(Dialect::Chat, setting(true));
    for event in &events() {
        writer.push(event, &mut out);
    }
    writer.end(&mut out);
    let head = r#"{"id":"cmpl-1","object":"text_completion","created":9,"model":"gpt-5.5","choices":"#;
    let piece = |text: &str, finish: &str| {
        format!(
            "data: {head}[{{\"text\":\"{text}\",\"index\":0,\"logprobs\":null,\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
    };
    let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}"#;
    let expected = [
        piece("one ", "null"),
        piece("\\\"two\\\"", "null"),
        piece("", "\"stop\""),
        format!("data: {head}[],\"usage\":{usage}}}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(String::from_utf8_lossy(&out), expected.concat());
}

#[test]
fn the_body_has_the_text_of_the_stream() {
    let mut fold = Fold::new();
    for event in &events() {
        fold.push(event);
    }
    let body = Dialect::Chat.whole(&fold.finish(), &setting(false));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["object"], &body["choices"][0]["text"]), (&"text_completion".into(), &"one \"two\"".into()));
    assert_eq!((&body["choices"][0]["finish_reason"], &body["usage"]["total_tokens"]), (&"stop".into(), &5.into()));
}

#[test]
fn a_cut_stream_ends_with_a_failure() {
    let mut out = BytesMut::new();
    let mut writer = dialect::Writer::new(Dialect::Chat, setting(false));
    events().iter().take(3).for_each(|event| writer.push(event, &mut out));
    writer.end(&mut out);
    assert!(String::from_utf8_lossy(&out).contains("stream_cut"));
}
