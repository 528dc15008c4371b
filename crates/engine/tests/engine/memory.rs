//! What replies take of the memory budget.

use engine::MemoryBudget;
use proto::{Dialect, Kind};
use rstest::rstest;

use crate::bench::{Bench, call, words};
use crate::relays::{CHAT, FakeRelay, GEMINI, MESSAGES, RESPONSES, alone, asking, state};

/// More text than a reply may hold without a charge.
fn long() -> String {
    format!("Reply with exactly: {}", "word ".repeat(20_000))
}

/// A full budget ends a long reply in the client's protocol, and the relay is not to blame.
#[rstest]
#[tokio::test]
async fn a_reply_beyond_the_budget_ends_with_an_error(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini)] dialect: Dialect,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let full = MemoryBudget::new(0);
    // Anthropic's clients get its own words.
    let words = if dialect == Dialect::Messages { "overloaded_error" } else { "all the memory" };
    for stream in [true, false] {
        if stream && (fake_relay.wire, dialect) == (proto::Wire::Responses, Dialect::Responses) {
            // Frames that pass hold nothing.
            continue;
        }
        let mut call = asking(dialect, fake_relay.model, &long(), stream);
        call.memory = full.for_request();
        // Messages has no request without a limit.
        call.request.limits.max_tokens = None;
        match bench.ask(call).await {
            Ok(answer) => assert!(stream && answer.text().contains(words), "{}", answer.text()),
            Err(refusal) => assert!(!stream && refusal.failure.kind == Kind::Overloaded, "{refusal}"),
        }
    }
    assert_eq!(state(&bench, "far").status, "active");
}

/// A stream passes on what it gets and forgets it, so that it needs the same memory however long it is. Clients of Responses get all of
/// it once more at the end, unless that is too much to be kept: then the stream goes on, and fails at its end. The frames of an upstream
/// that speaks the same repeat it themselves.
#[rstest]
#[tokio::test]
async fn a_stream_goes_on_at_constant_memory(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] dialect: Dialect,
) {
    if (fake_relay.wire, dialect) == (proto::Wire::Messages, Dialect::Messages) {
        // Such a body passes as it came, with a limit of its own that is too small.
        return;
    }
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let text = format!("{} ", "word".repeat(16)).repeat(3_700);
    let room = MemoryBudget::new(300 << 10);
    let ask = async |stream| {
        let mut call = asking(dialect, fake_relay.model, &format!("Reply with exactly: {text}"), stream);
        call.memory = room.for_request();
        call.request.limits.max_tokens = Some(64_000);
        bench.ask(call).await
    };
    let passes = dialect != Dialect::Responses || fake_relay.wire == proto::Wire::Responses;
    let answer = ask(true).await.expect("a stream");
    assert_eq!(!answer.text().contains("memory") && !answer.text().contains("overloaded"), passes);
    assert!(words(dialect, answer.text()).trim() == text.trim());
    match ask(false).await {
        Ok(answer) => panic!("collected: {} bytes", answer.text().len()),
        Err(refusal) => assert_eq!(refusal.failure.kind, Kind::Overloaded, "{refusal}"),
    }
}

/// What a reply took is free again once it is over.
#[rstest]
#[tokio::test]
async fn a_reply_gives_its_memory_back(#[values(true, false)] stream: bool) {
    let bench = Bench::new().await;
    let room = MemoryBudget::new(1 << 20);
    for _ in 0..4 {
        let mut call = call(Dialect::Chat, &long(), stream);
        call.memory = room.for_request();
        let answer = bench.ask(call).await.expect("a reply");
        assert!(!answer.text().contains("all the memory"), "{}", answer.text());
    }
    assert!(room.take(1 << 20).is_some(), "all of it is free");
}

/// The body that an upstream gets is charged beside the client's own, until it is sent.
#[tokio::test]
async fn a_large_written_body_is_charged() {
    let bench = Bench::new().await;
    let text = format!("Reply with exactly: pong {}", " ".repeat(400 << 10));
    for (room, fits) in [(200 << 10, false), (1 << 20, true)] {
        let room = MemoryBudget::new(room);
        let mut call = call(Dialect::Chat, &text, false);
        call.memory = room.for_request();
        match bench.ask(call).await {
            Ok(_) => assert!(fits),
            Err(refusal) => assert!(!fits && refusal.failure.kind == Kind::Overloaded, "{refusal}"),
        }
    }
}
