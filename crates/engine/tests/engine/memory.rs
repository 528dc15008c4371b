//! What replies take of the memory budget.

use engine::Room;
use proto::{Dialect, Kind};
use rstest::rstest;

use crate::bench::{Bench, call};
use crate::relays::{CHAT, GEMINI, House, MESSAGES, RESPONSES, alone, asking, state};

/// More text than a reply may hold without a charge.
fn long() -> String {
    format!("Reply with exactly: {}", "word ".repeat(20_000))
}

/// A full budget ends a long reply in the client's protocol, and the relay is not to blame.
#[rstest]
#[tokio::test]
async fn a_reply_beyond_the_budget_ends_with_an_error(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] house: House,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini)] dialect: Dialect,
) {
    let bench = alone().await;
    house.join(&bench, "far").await;
    let full = Room::new(0);
    // Anthropic's clients get its own words.
    let words = if dialect == Dialect::Messages { "overloaded_error" } else { "all the memory" };
    for stream in [true, false] {
        let mut call = asking(dialect, house.model, &long(), stream);
        call.tab = full.tab();
        // Messages has no request without a limit.
        call.request.limits.max_tokens = None;
        match bench.ask(call).await {
            Ok(answer) => assert!(stream && answer.text().contains(words), "{}", answer.text()),
            Err(refusal) => assert!(!stream && refusal.failure.kind == Kind::Overloaded, "{refusal}"),
        }
    }
    assert_eq!(state(&bench, "far").status, "active");
}

/// What a reply took is free again once it is over.
#[rstest]
#[tokio::test]
async fn a_reply_gives_its_memory_back(#[values(true, false)] stream: bool) {
    let bench = Bench::new().await;
    let room = Room::new(1 << 20);
    for _ in 0..4 {
        let mut call = call(Dialect::Chat, &long(), stream);
        call.tab = room.tab();
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
        let room = Room::new(room);
        let mut call = call(Dialect::Chat, &text, false);
        call.tab = room.tab();
        match bench.ask(call).await {
            Ok(_) => assert!(fits),
            Err(refusal) => assert!(!fits && refusal.failure.kind == Kind::Overloaded, "{refusal}"),
        }
    }
}
