//! Output limits of every client protocol, written for every upstream protocol.

use serde_json::Value;

use super::super::{RelayTarget, Written};
use super::*;

/// A client's body that requests `requested` tokens.
fn body(dialect: Dialect, requested: u64) -> String {
    let message = r#""messages":[{"role":"user","content":"hi"}]"#;
    match dialect {
        Dialect::Chat => format!(r#"{{"model":"m","max_completion_tokens":{requested},"seed":7,{message}}}"#),
        Dialect::Responses => format!(r#"{{"model":"m","max_output_tokens":{requested},"input":"hi","top_p":1}}"#),
        Dialect::Messages => format!(r#"{{"model":"m","max_tokens":{requested},{message}}}"#),
        Dialect::Gemini => {
            format!(
                r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}],"generationConfig":{{"topK":3,"maxOutputTokens":{requested}}}}}"#
            )
        }
        Dialect::Ollama => format!(r#"{{"model":"m","options":{{"num_predict":{requested}}},{message}}}"#),
    }
}

/// The limit that the upstream reads, and the notes.
fn sent_limit(dialect: Dialect, wire: Wire, requested: u64, ceiling: Option<u64>) -> (Option<u64>, String) {
    let (request, _) = dialect.read_request(Bytes::from(body(dialect, requested))).unwrap();
    let target = Target::Relay(RelayTarget { model: "m".to_owned(), ceiling, ..RelayTarget::default() });
    let Written { body: bytes, notes, .. } = wire.write_request(&request, &target).unwrap();
    let sent: Value = serde_json::from_slice(&bytes).unwrap();
    let limits = ["/max_tokens", "/max_completion_tokens", "/max_output_tokens", "/generationConfig/maxOutputTokens"];
    let mut values = limits.iter().filter_map(|path| sent.pointer(path)?.as_u64());
    (values.next(), notes.header())
}

#[test]
fn max_tokens_is_lowered_to_the_relays_ceiling() {
    let dialects = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];
    for dialect in dialects {
        for wire in [Wire::Chat, Wire::Responses, Wire::Messages, Wire::Gemini] {
            let case = format!("{dialect:?} to {wire:?}");
            let (limit, notes) = sent_limit(dialect, wire, 9000, Some(4096));
            assert_eq!(limit, Some(4096), "{case}");
            assert!(notes.contains("lowered max_tokens to 4096"), "{case}: {notes}");
            for ceiling in [None, Some(9000), Some(10_000)] {
                let (limit, notes) = sent_limit(dialect, wire, 9000, ceiling);
                assert_eq!(limit, Some(9000), "{case}");
                assert!(!notes.contains("lowered"), "{case}: {notes}");
            }
        }
    }
}

/// Both spellings of a limit are lowered; the other members stay unchanged.
#[test]
fn a_clients_own_body_changes_nowhere_else() {
    let lowered = |origin, raw: &'static str| {
        let bytes = super::body(&Bytes::from_static(raw.as_bytes()), origin, 100);
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let chat = r#"{"max_tokens":200,"odd" : [1, 2],"max_completion_tokens":300,"max_output_tokens":50}"#;
    let expected = r#"{"max_tokens":100,"odd":[1, 2],"max_completion_tokens":100,"max_output_tokens":50}"#;
    assert_eq!(lowered(Some(Dialect::Chat), chat), expected);
    let gemini = r#"{"max_tokens":200,"generation_config":{"max_output_tokens":300,"seed":1}}"#;
    let expected = r#"{"max_tokens":200,"generation_config":{"max_output_tokens":100,"seed":1}}"#;
    assert_eq!(lowered(Some(Dialect::Gemini), gemini), expected);
}

/// The thinking budget stays below a lowered limit.
#[test]
fn thinking_is_lowered_with_its_limit() {
    let body = r#"{"model":"m","max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":8000},
        "messages":[{"role":"user","content":"hi"}]}"#;
    let (request, _) = Dialect::Messages.read_request(Bytes::from_static(body.as_bytes())).unwrap();
    let target = Target::Relay(RelayTarget { model: "m".to_owned(), ceiling: Some(4096), ..RelayTarget::default() });
    let Written { body: bytes, .. } = Wire::Messages.write_request(&request, &target).unwrap();
    let sent: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&4096.into(), &2048.into()));
}
