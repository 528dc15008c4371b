//! The fuzz corpora as ordinary tests. `fuzz/README.md` says how to run the fuzzer itself.

#[path = "properties.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

use properties::{events, json, request, socket, sse, stream, trim};
use replay::replay;

const CHAT: &str = "crates/proto/corpus/chat";
const RESPONSES: &str = "crates/proto/corpus/responses";
const MESSAGES: &str = "crates/proto/corpus/messages";
const GEMINI: &str = "crates/proto/corpus/gemini";
const REQUESTS: &str = "crates/proto/corpus/requests";

#[test]
fn sse_decoder() {
    replay("sse", &[CHAT, RESPONSES], sse::check);
}

#[test]
fn messages_of_a_socket() {
    replay("socket", &[RESPONSES], socket::check);
}

#[test]
fn json_checks_and_walks() {
    replay("json", &[REQUESTS], json::check);
}

#[test]
fn chat_requests() {
    replay("chat_request", &[REQUESTS], request::chat);
}

#[test]
fn responses_requests() {
    replay("responses_request", &[REQUESTS], request::responses);
}

#[test]
fn messages_requests() {
    replay("messages_request", &[REQUESTS], request::messages);
}

#[test]
fn ollama_requests() {
    replay("ollama_request", &[REQUESTS], request::ollama);
}

#[test]
fn chat_streams() {
    replay("chat_stream", &[CHAT], stream::chat);
}

#[test]
fn responses_streams() {
    replay("responses_stream", &[RESPONSES], stream::responses);
}

#[test]
fn messages_streams() {
    replay("messages_stream", &[MESSAGES], stream::messages);
}

#[test]
fn gemini_requests() {
    replay("gemini_request", &[REQUESTS], request::gemini);
}

#[test]
fn gemini_streams() {
    replay("gemini_stream", &[GEMINI], stream::gemini);
}

#[test]
fn event_sequences() {
    replay("events", &[], events::check);
}

#[test]
fn limits_and_stops() {
    replay("trim", &[], trim::check);
}

#[test]
fn any_number_of_unknown_fields_takes_no_time() {
    let odd: Vec<String> = (0..50_000).map(|at| format!(r#""u{at}":0"#)).collect();
    let odd = odd.join(",");
    let chat = r#"{"messages":[{"role":"user","content":"a"}]"#;
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]"#;
    request::responses(format!(r#"{{"input":"a",{odd}}}"#).as_bytes());
    request::gemini(format!("{gemini},{odd}}}").as_bytes());
    for check in [request::chat, request::messages, request::ollama] {
        check(format!("{chat},{odd}}}").as_bytes());
    }
}
