//! The properties of every stream, for any cut.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::sample::Index;
use proto::Dialect;
use proto::dialect::ollama;
use serde_json::Value;

use crate::{corpus, fold, lines, read, replies, setting, write};

/// The result of a client that appends every text.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    text: String,
    thinking: String,
    calls: Vec<Value>,
    images: Vec<Value>,
}

fn contents(lines: &[Value]) -> Contents {
    let mut contents = Contents::default();
    for line in lines {
        let message = &line["message"];
        contents.text += message["content"].as_str().unwrap_or_default();
        contents.thinking += message["thinking"].as_str().unwrap_or_default();
        contents.calls.extend(message["tool_calls"].as_array().into_iter().flatten().cloned());
        contents.images.extend(message["images"].as_array().into_iter().flatten().cloned());
    }
    contents
}

#[test]
fn the_stream_has_the_contents_of_the_body() {
    for (name, events) in replies() {
        let whole = fold(&events);
        if whole.failure.is_some() {
            continue;
        }
        let body: Value = serde_json::from_slice(&Dialect::Ollama.whole(&whole, &setting(false))).unwrap();
        let lines = lines(&write(setting(false), &events));
        assert_eq!(contents(&lines), contents(std::slice::from_ref(&body)), "{name}");
        assert_eq!(lines.last().unwrap()["done_reason"], body["done_reason"], "{name}");
    }
}

#[test]
fn one_terminal_at_every_cut() {
    for wire in [proto::Wire::Responses, proto::Wire::Chat] {
        let folder = if wire == proto::Wire::Chat { "chat" } else { "responses" };
        for (name, body) in corpus(folder, ".sse") {
            for end in 0..=body.len() {
                let lines = lines(&write(setting(false), &read(wire, &body[..end])));
                let terminal = |line: &Value| line["done"] == true || line.get("error").is_some();
                assert_eq!(lines.iter().filter(|line| terminal(line)).count(), 1, "{name} at {end}");
                assert!(terminal(lines.last().unwrap()), "{name} at {end}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn broken_requests_do_not_panic(position in any::<Index>(), byte in any::<u8>(), generate in any::<bool>()) {
        for (_, body) in corpus("requests/ollama", ".json").into_iter().chain(corpus("requests/ollama-generate", ".json")) {
            let mut broken = body.to_vec();
            let position = position.index(broken.len());
            broken[position] = byte;
            let _ = ollama::read(&Bytes::from(broken), generate);
        }
    }

    #[test]
    fn noise_does_not_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Dialect::Ollama.read_request(Bytes::from(noise));
    }
}
