//! Streams to their end: in order, in one piece per read, and well-formed wherever the upstream breaks.

use std::time::{Duration, Instant};

use offline::{How, Plan, Rule, Split, Wait};
use proto::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::bench::{Bench, Setup, call, chat, events, from, responses, words};

#[rstest]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_stream_arrives_whole(#[case] dialect: Dialect) {
    let bench = Bench::new().await;
    let answer = bench.ask(call(dialect, "count to 40", true)).await.expect("a reply");
    let expected = (1..=40).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(words(dialect, answer.text()).trim(), expected);
    assert_eq!(terminals(dialect, answer.text()), (1, 0));
    assert_eq!(answer.head.account, Some(bench.ids[0].clone()));
    assert_eq!(answer.head.attempts, 1);
    bench.innocent();
}

#[rstest]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_collected_reply_says_the_same(#[case] dialect: Dialect) {
    let bench = Bench::new().await;
    let answer = bench.ask(call(dialect, "Reply with exactly: good morning", false)).await.expect("a reply");
    assert!(answer.text().contains("good morning"), "{}", answer.text());
    let body: serde_json::Value = serde_json::from_str(answer.text()).expect("JSON");
    assert!(body["usage"].is_object(), "{body}");
}

/// Row F1: the upstream is reset at sampled offsets of five streams; the client gets a true prefix and one clean end.
#[rstest]
#[case::chat(Dialect::Chat)]
#[case::responses(Dialect::Responses)]
#[tokio::test]
async fn a_reset_at_any_offset_ends_cleanly(#[case] dialect: Dialect) {
    let bench = Bench::new().await;
    let mut cuts = 0;
    for kind in Kind::ALL {
        let full = bench.ask(kind.call(dialect)).await.expect("a reply");
        let size = bench.backend.record().posts().last().expect("a post").sent;
        for step in 0..SAMPLES {
            let at = size * step / SAMPLES + step % 7;
            bench.backend.script(Rule::responses(Plan::auto().cut_byte(at.min(size - 1), How::Reset)));
            match bench.ask(kind.call(dialect)).await {
                Err(refusal) => assert_eq!(dialect.error(&refusal.failure).0, 502, "{kind:?} at {at}: {refusal}"),
                Ok(cut) => {
                    let (done, failed) = terminals(dialect, cut.text());
                    // A reset behind the terminal event takes nothing from the reply.
                    assert!(matches!((done, failed), (0, 1) | (1, 0)), "{kind:?} at {at}: {}", cut.text());
                    let (got, all) = (words(dialect, cut.text()), words(dialect, full.text()));
                    assert!(all.starts_with(&got), "{kind:?} at {at}: {got:?}");
                    assert!(done == 0 || got == all, "{kind:?} at {at}: complete, but short");
                }
            }
            cuts += 1;
        }
    }
    assert_eq!(cuts, 200);
    assert_eq!(bench.posts(), 200 + Kind::ALL.len(), "a cut stream is never asked for again");
    assert_eq!(bench.status(0), "active");
}

const SAMPLES: u64 = 40;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Tools,
    Parallel,
    Schema,
    Echo,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Text, Self::Tools, Self::Parallel, Self::Schema, Self::Echo];

    fn call(self, dialect: Dialect) -> engine::Call {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let tool = match dialect {
            Dialect::Chat => json!([{"type": "function", "function": {"name": "weather", "parameters": parameters}}]),
            Dialect::Responses => json!([{"type": "function", "name": "weather", "parameters": parameters}]),
        };
        let prompt = match self {
            Self::Text | Self::Schema => "count to 12",
            Self::Tools => "weather in Kyiv",
            Self::Parallel => "weather in both cities",
            Self::Echo => "größer, 日本語 and \"quotes\"\n",
        };
        let mut body = match dialect {
            Dialect::Chat => json!({"stream": true, "messages": [{"role": "user", "content": prompt}]}),
            Dialect::Responses => json!({"stream": true, "input": prompt}),
        };
        body["model"] = json!(crate::bench::MODEL);
        if matches!(self, Self::Tools | Self::Parallel) {
            body["tools"] = tool;
        }
        from(dialect, &body)
    }
}

/// Well-formed ends of a stream: (good, failed).
fn terminals(dialect: Dialect, text: &str) -> (usize, usize) {
    let events = events(text);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    match dialect {
        Dialect::Responses => (of("response.completed") + of("response.incomplete"), of("response.failed") + of("error")),
        Dialect::Chat => {
            let done = events.iter().filter(|event| *event == "[DONE]").count();
            let failed = events.iter().filter(|event| event["error"].is_object()).count();
            (done - done.min(failed), failed)
        }
    }
}

/// Row F13: the client is done when the reply is, not when the upstream closes; what comes after is dropped.
#[rstest]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn the_end_is_the_terminal_event(#[case] dialect: Dialect) {
    let bench = Bench::new().await;
    let late = json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": "LATE"});
    bench.backend.script(Rule::responses(Plan::auto().tail(late).hold(Wait::Forever)));
    let began = Instant::now();
    let answer = bench.ask(call(dialect, "Reply with exactly: early", true)).await.expect("a reply");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(terminals(dialect, answer.text()), (1, 0));
    assert!(!answer.text().contains("LATE"));
}

#[tokio::test]
async fn bodies_are_read_to_their_end_so_that_connections_are_reused() {
    let bench = Bench::new().await;
    for n in 0..5 {
        bench.ask(chat(&format!("Reply with exactly: {n}"))).await.expect("a reply");
        bench.until("the answer's end", |bench| bench.backend.record().open == 0).await;
    }
    let record = bench.backend.record();
    let connections: std::collections::HashSet<_> = record.posts().map(|seen| seen.connection).collect();
    assert_eq!(connections.len(), 1, "one connection serves five streams");
}

#[tokio::test]
async fn what_arrives_in_one_read_leaves_in_one_piece() {
    let bench = Bench::new().await;
    bench.ask(chat("hello")).await.expect("a reply");
    bench.backend.script(Rule::responses(Plan::auto().split(Split::Every(1 << 20))));
    let answer = bench.ask(chat("count to 50")).await.expect("a reply");
    assert!(answer.pieces <= 4, "{} pieces", answer.pieces);
}

/// Row F8 in short: silence brings heartbeats, then a clean end.
#[rstest]
#[case(Dialect::Chat)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn silence_brings_heartbeats_and_then_an_end(#[case] dialect: Dialect) {
    let setup = Setup::default().settings(|settings| {
        settings.heartbeat = Duration::from_millis(60);
        settings.idle = Duration::from_millis(400);
    });
    let bench = Bench::with(setup).await;
    bench.backend.script(Rule::responses(Plan::auto().pause(8, Wait::Forever)));
    let answer = bench.ask(call(dialect, "count to 30", true)).await.expect("a reply");
    let beats = match dialect {
        Dialect::Chat => answer.text().lines().filter(|line| line.starts_with(':')).count(),
        Dialect::Responses => answer.text().matches(r#""type":"keepalive""#).count(),
    };
    assert!((3..=7).contains(&beats), "{beats} heartbeats: {}", answer.text());
    assert_eq!(terminals(dialect, answer.text()), (0, 1), "{}", answer.text());
    assert_eq!(bench.posts(), 1);
    assert_eq!(bench.status(0), "active");
}

#[tokio::test]
async fn a_stream_that_wakes_in_time_goes_on() {
    let setup = Setup::default().settings(|settings| settings.heartbeat = Duration::from_millis(50));
    let bench = Bench::with(setup).await;
    bench.backend.script(Rule::responses(Plan::auto().pause(6, "wake")));
    let mut tap = bench.open(responses("count to 9")).await;
    tap.see("keepalive").await;
    bench.backend.release("wake");
    let answer = tap.rest().await;
    assert_eq!(words(Dialect::Responses, answer.text()).trim(), "1 2 3 4 5 6 7 8 9");
    assert_eq!(terminals(Dialect::Responses, answer.text()), (1, 0));
}

#[tokio::test]
async fn stop_sequences_end_the_reply_and_cancel_the_upstream() {
    let bench = Bench::new().await;
    bench.backend.script(Rule::responses(Plan::auto().pace(200.0)));
    let mut asked = chat("count to 5000");
    asked.request.limits.stop = vec!["7 8".into()];
    let answer = bench.ask(asked).await.expect("a reply");
    assert_eq!(words(Dialect::Chat, answer.text()).trim(), "1 2 3 4 5 6");
    let left = |record: &offline::Record| record.posts().all(|seen| seen.left_at().is_some());
    bench.backend.wait_until(Duration::from_secs(1), left).await.expect("the upstream is cancelled");
    let rows = bench.rows(1).await;
    assert_eq!(rows[0].outcome, store::Outcome::Completed);
    assert!(rows[0].tally.estimated);
}
