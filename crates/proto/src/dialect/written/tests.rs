use serde_json::{Value, json};

use super::super::{CodexTarget, Dialect, RelayTarget};
use super::*;

/// The limits that remain of a request in `dialect` after it is written for `target`.
fn left(dialect: Dialect, body: &Value, wire: Wire, target: &Target) -> (Option<u64>, usize) {
    let (request, _) = dialect.read_request(body.to_string().into()).unwrap();
    let left = wire.write_request(&request, target).unwrap().left;
    (left.max_tokens, left.stop.len())
}

#[test]
fn limits_that_the_body_does_not_carry_are_left() {
    let relay = Target::Relay(RelayTarget { model: "m".into(), ..RelayTarget::default() });
    let codex = Target::Codex(CodexTarget { model: "m".into(), ..CodexTarget::default() });
    let chat = |most: u64, stops: usize| {
        let stops: Vec<String> = (0..stops).map(|n| format!("stop{n}")).collect();
        let messages = json!([{ "role": "user", "content": "x" }]);
        json!({ "model": "m", "messages": messages, "max_completion_tokens": most, "stop": stops })
    };
    let few = chat(9, 4);
    let many = chat(16, 6);
    for (body, wire, target, expected) in [
        (&few, Wire::Responses, &codex, (Some(9), 4)),
        // A limit below the minimum of Responses is raised; Responses has no stop sequences.
        (&few, Wire::Responses, &relay, (Some(9), 4)),
        (&many, Wire::Responses, &relay, (None, 6)),
        (&few, Wire::Gemini, &relay, (None, 0)),
        (&many, Wire::Gemini, &relay, (None, 6)),
        (&many, Wire::Messages, &relay, (None, 0)),
        // The client's own body carries all limits.
        (&many, Wire::Chat, &relay, (None, 0)),
    ] {
        assert_eq!(left(Dialect::Chat, body, wire, target), expected, "{wire:?} {body}");
    }
    let own = json!({ "model": "m", "input": "x", "max_output_tokens": 9 });
    assert_eq!(left(Dialect::Responses, &own, Wire::Responses, &relay), (None, 0));
    assert_eq!(left(Dialect::Responses, &own, Wire::Responses, &codex), (Some(9), 0));
    let blank = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "x" }], "stop_sequences": ["\n", "a"] });
    assert_eq!(left(Dialect::Messages, &blank, Wire::Messages, &relay), (None, 1));
    assert_eq!(left(Dialect::Messages, &blank, Wire::Chat, &relay), (None, 0));
}
