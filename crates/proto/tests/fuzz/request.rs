//! Request bodies: read, written for every target, read again. There is no panic, every refusal is a 4xx for the client with a path, and a
//! written body is written the same way again.

use bytes::Bytes;
use proto::dialect::{CodexTarget, RelayTarget, Target, Written, ollama};
use proto::{Dialect, Failure, Kind, Notes, Request, json};

/// Checks a chat body.
pub fn chat(body: &[u8]) {
    check(Dialect::Chat, body);
}

/// Checks a responses body.
pub fn responses(body: &[u8]) {
    check(Dialect::Responses, body);
}

/// Checks a messages body.
pub fn messages(body: &[u8]) {
    check(Dialect::Messages, body);
}

/// Checks a Gemini body.
pub fn gemini(body: &[u8]) {
    check(Dialect::Gemini, body);
}

/// Checks an Ollama body, of a chat and of a completion.
pub fn ollama(body: &[u8]) {
    check(Dialect::Ollama, body);
    let generated = ollama::read_generate(Bytes::copy_from_slice(body));
    checked(Dialect::Ollama, generated);
}

fn check(client: Dialect, body: &[u8]) {
    checked(client, client.read_request(Bytes::copy_from_slice(body)));
}

fn checked(client: Dialect, read: Result<(Request, Notes), Failure>) {
    let (request, notes) = match read {
        Ok(read) => read,
        Err(failure) => return refused(client, &failure),
    };
    let header = notes.header();
    assert!(header.len() <= 1024 && header.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "notes {header:?}");
    for target in targets() {
        write(client, Dialect::Responses, &request, &target);
        if matches!(target, Target::Relay(_)) {
            write(client, Dialect::Chat, &request, &target);
            write(client, Dialect::Messages, &request, &target);
            write(client, Dialect::Gemini, &request, &target);
        }
    }
}

/// Writes the request for `upstream`, reads the body and writes it again: the second body equals the first.
fn write(client: Dialect, upstream: Dialect, request: &Request, target: &Target) {
    let Written { body, notes, .. } = match upstream.wire().expect("an upstream's").write_request(request, target) {
        Ok(written) => written,
        Err(failure) => return refused(client, &failure),
    };
    json::check(&body).unwrap_or_else(|failure| panic!("{}: {}", failure.message, body.escape_ascii()));
    assert!(notes.header().len() <= 1024);
    let again = match upstream.read_request(body.clone()) {
        Ok((again, _)) => again,
        // Chat has a rule for names that responses leaves to the upstream.
        Err(failure) if client != upstream && failure.param.as_ref().is_some_and(|param| param.ends_with("name")) => {
            return;
        }
        Err(failure) => panic!("our own body is refused: {failure:?}: {}", body.escape_ascii()),
    };
    let Written { body: second, .. } = upstream
        .wire()
        .expect("an upstream's")
        .write_request(&again, target)
        .expect("what was read from our own body can be written");
    assert_eq!(second.escape_ascii().to_string(), body.escape_ascii().to_string(), "{target:?}");
}

/// A refusal is about the request, is short, and has a body in the client's protocol.
fn refused(client: Dialect, failure: &Failure) {
    assert_eq!(failure.kind, Kind::Invalid, "{failure:?}");
    assert!(!failure.message.is_empty() && failure.message.len() <= 4096, "{} bytes of message", failure.message.len());
    let (status, body) = client.error(failure);
    assert_eq!(status, 400);
    json::check(&body).unwrap_or_else(|failure| panic!("{}: {}", failure.message, body.escape_ascii()));
}

fn targets() -> [Target; 4] {
    let codex = |lite, without_replay| {
        Target::Codex(CodexTarget {
            model: "gpt-6-sol".to_owned(),
            lite,
            default_effort: Some("medium".to_owned()),
            efforts: ["low", "medium", "high"].map(str::to_owned).to_vec(),
            priority_tier: lite,
            cache_key: "key".to_owned(),
            metadata: vec![("session_id".to_owned(), "s".to_owned())],
            without_replay,
            ..CodexTarget::default()
        })
    };
    let relay = Target::Relay(RelayTarget {
        model: "relay-1".to_owned(),
        effort: Some("low".to_owned()),
        ..RelayTarget::default()
    });
    [codex(false, false), codex(true, false), codex(true, true), relay]
}
