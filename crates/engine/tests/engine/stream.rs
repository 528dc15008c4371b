//! Streams to their end: in order, in one piece per read, and well-formed wherever the upstream breaks.

use std::time::Duration;

use bytes::Bytes;
use offline::{Plan, Rule, Split, Termination, Wait};
use pool::transport::TransportMode;
use proto::Dialect;
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, PATIENCE, Setup, call, chat, events, from, responses, words};

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

/// Rows F1 and F2: the upstream ends before its time at sampled offsets of six streams, by a reset, the end of its connection (under
/// TLS one without `close_notify`) or an end of the body that looks proper; the client gets a true prefix and one clean end.
#[rstest]
#[tokio::test]
async fn a_cut_at_any_offset_ends_cleanly(
    #[values(Dialect::Chat, Dialect::Responses)] dialect: Dialect,
    #[values((Termination::Reset, false), (Termination::Fin, false), (Termination::End, false), (Termination::Reset, true), (Termination::Fin, true))]
    cut: (Termination, bool),
) {
    let (how, secure) = cut;
    let bench = Bench::with(Setup { secure, ..Setup::default() }).await;
    let mut cuts = 0;
    for kind in Kind::ALL {
        let recorded = kind.record(&bench).await;
        bench.backend.add_rule(Rule::responses(Plan::stream(recorded.clone())));
        let full = bench.ask(call(dialect, "cut", true)).await.expect("a reply");
        let good = terminals(dialect, full.text());
        assert_eq!(good, if kind == Kind::Failed { (0, 1) } else { (1, 0) }, "{kind:?}: {}", full.text());
        for step in 0..SAMPLES {
            let at = (recorded.len() * step / SAMPLES + step % 7).min(recorded.len() - 1);
            let plan = Plan::stream(recorded.clone()).cut_byte(at as u64, how.clone());
            bench.backend.add_rule(Rule::responses(plan));
            match bench.ask(call(dialect, "cut", true)).await {
                Err(refusal) => assert_eq!(dialect.error(&refusal.failure).0, 502, "{kind:?} at {at}: {refusal}"),
                Ok(cut) => {
                    let ends = terminals(dialect, cut.text());
                    // A cut behind the terminal event takes nothing from the reply.
                    assert!(ends == (0, 1) || ends == good, "{kind:?} at {at}: {}", cut.text());
                    let (got, all) = (words(dialect, cut.text()), words(dialect, full.text()));
                    assert!(all.starts_with(&got), "{kind:?} at {at}: {got:?}");
                    assert!(ends == (0, 1) || got == all, "{kind:?} at {at}: complete, but short");
                }
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 200, "{cuts} offsets");
    assert_eq!(bench.posts(), cuts + 2 * Kind::ALL.len(), "a cut stream is never asked for again");
    assert_eq!(bench.status(0), "active");
}

/// Row F24: an answer over HTTP has one reply, under whatever id it ends. Replies could be mixed up on a socket, and there it counts.
#[rstest]
#[case::midway(Plan::foreign_completion(6))]
#[case::with_the_end_of_the_body(Plan::events([
    json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
    json!({"type": "response.completed", "response": {"id": "resp_stray", "status": "completed", "output": []}}),
]))]
#[tokio::test(flavor = "multi_thread")]
async fn only_a_socket_must_end_a_reply_under_the_id_that_it_began_with(#[case] plan: Plan) {
    for (transport, ends) in [(TransportMode::Http, (1, 0)), (TransportMode::WebSocket, (0, 1))] {
        let bench = Bench::with(Setup::default().settings(|settings| settings.transport = transport)).await;
        bench.backend.add_rule(Rule::responses(plan.clone()).always());
        match bench.ask(responses("count to 3")).await {
            Ok(answer) => {
                assert_eq!(terminals(Dialect::Responses, answer.text()), ends, "{transport:?}: {}", answer.text());
                assert_eq!(answer.text().contains("resp_stray"), transport == TransportMode::Http);
            }
            Err(refusal) => {
                assert_eq!((transport, refusal.failure.kind), (TransportMode::WebSocket, proto::Kind::Upstream));
            }
        }
    }
}

const SAMPLES: usize = 34;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Tools,
    Reasoning,
    Image,
    Failed,
    Incomplete,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Text, Self::Tools, Self::Reasoning, Self::Image, Self::Failed, Self::Incomplete];

    /// The stream of this kind, as the backend sends it.
    pub(crate) async fn record(self, bench: &Bench) -> Bytes {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let weather = json!({"type": "function", "name": "weather", "parameters": parameters});
        let (prompt, tools) = match self {
            Self::Text | Self::Failed | Self::Incomplete => ("count to 12", json!([])),
            Self::Reasoning => ("größer, 日本語 and \"quotes\"\n", json!([])),
            Self::Tools => ("weather in both cities", json!([weather])),
            Self::Image => ("draw a square", json!([{"type": "image_generation"}])),
        };
        let plan = match self {
            Self::Failed => {
                Plan::auto().cut_event(9, Termination::Failed { code: "server_error".into(), message: "broke".into() })
            }
            Self::Incomplete => {
                Plan::auto().cut_event(9, Termination::Incomplete { reason: "max_output_tokens".into() })
            }
            _ => Plan::auto(),
        };
        bench.backend.add_rule(Rule::responses(plan));
        let body = json!({"model": crate::bench::MODEL, "stream": true, "input": prompt, "tools": tools});
        bench.ask(from(Dialect::Responses, &body)).await.expect("a stream").body
    }
}

/// Well-formed ends of a stream: (good, failed).
pub(crate) fn terminals(dialect: Dialect, text: &str) -> (usize, usize) {
    let events = events(text);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    match dialect {
        Dialect::Responses => {
            (of("response.completed") + of("response.incomplete"), of("response.failed") + of("error"))
        }
        Dialect::Chat => {
            let done = events.iter().filter(|event| *event == "[DONE]").count();
            let failed = events.iter().filter(|event| event["error"].is_object()).count();
            (done - done.min(failed), failed)
        }
        Dialect::Messages => (of("message_stop"), of("error")),
        Dialect::Gemini => {
            let ends = events.iter().filter(|event| event["candidates"][0]["finishReason"].is_string()).count();
            // Google's own ends a stream with an error that is no event.
            (ends, text.lines().filter(|line| line.starts_with(r#"{"error":"#)).count())
        }
        Dialect::Ollama => {
            let ends = events.iter().filter(|event| event["done"] == true).count();
            (ends, events.iter().filter(|event| event["error"].is_string()).count())
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
    bench.backend.add_rule(Rule::responses(Plan::auto().tail(late).hold(Wait::Forever)));
    let answer = bench.ask(call(dialect, "Reply with exactly: early", true)).await.expect("a reply");
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
    let connections = bench.backend.record().connections;
    assert!(connections <= 3, "{connections} connections for the model list, the account check and five streams");
}

#[tokio::test]
async fn what_arrives_in_one_read_leaves_in_one_piece() {
    let bench = Bench::new().await;
    bench.ask(chat("hello")).await.expect("a reply");
    bench.backend.add_rule(Rule::responses(Plan::auto().split(Split::Every(1 << 20))));
    let answer = bench.ask(chat("count to 50")).await.expect("a reply");
    assert!(answer.pieces <= 4, "{} pieces", answer.pieces);
}

/// Row F8: silence brings heartbeats, then a clean end, whichever leg the reply came over. By the runtime's clock.
#[rstest]
#[tokio::test]
async fn silence_brings_heartbeats_and_then_an_end(
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama)] dialect: Dialect,
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let setup = Setup::default().settings(|settings| {
        settings.transport = transport;
        settings.heartbeat = Duration::from_secs(15);
        settings.idle = Duration::from_mins(5);
    });
    let bench = Bench::with(setup).await;
    // The last words before the silence: the clock must not advance before they are read.
    let last = json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 1, "content_index": 0, "delta": "LAST"});
    let plan =
        Plan::auto().extra(24, format!("event: response.output_text.delta\ndata: {last}\n\n")).pause(24, Wait::Forever);
    bench.backend.add_rule(Rule::responses(plan));
    let mut tap = bench.open(call(dialect, "count to 30", true)).await;
    tap.see("LAST").await;
    let (mut ended, mut steps) = (false, 0);
    while !ended && steps < 25 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15)).await;
        tokio::time::resume();
        (ended, steps) = (tap.next().await.is_none(), steps + 1);
    }
    let answer = tap.rest().await;
    let beats = beats(dialect, answer.text());
    assert!((17..=20).contains(&beats), "{beats} heartbeats: {}", answer.text());
    assert_eq!(terminals(dialect, answer.text()), (0, 1), "{}", answer.text());
    assert_eq!(bench.posts(), 1);
    assert_eq!(bench.status(0), "active");
}

/// What a stream says only to keep its client waiting.
fn beats(dialect: Dialect, text: &str) -> usize {
    let lines = |wanted: &dyn Fn(&str) -> bool| text.lines().filter(|line| wanted(line)).count();
    match dialect {
        Dialect::Chat => lines(&|line| line.starts_with(':')),
        Dialect::Responses => text.matches(r#""type":"keepalive""#).count(),
        Dialect::Messages => text.matches("event: ping").count(),
        // A blank line; each event ends with one too.
        Dialect::Gemini => lines(&str::is_empty) - lines(&|line| line.starts_with("data: ")),
        // A piece that says nothing: neither words nor thoughts.
        Dialect::Ollama => {
            let has_text =
                |event: &Value| event["message"]["content"] != "" || event["message"]["thinking"].is_string();
            events(text).iter().filter(|event| event["done"] == false && !has_text(event)).count()
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_stream_that_wakes_in_time_goes_on(
    #[values(TransportMode::Http, TransportMode::WebSocket)] transport: TransportMode,
) {
    let setup = Setup::default().settings(|settings| {
        settings.transport = transport;
        settings.heartbeat = Duration::from_millis(50);
    });
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::responses(Plan::auto().pause(6, "wake")));
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
    bench.backend.add_rule(Rule::responses(Plan::auto().pace(200.0)));
    let mut client_call = chat("count to 5000");
    client_call.request.limits.stop = vec!["7 8".into()];
    let answer = bench.ask(client_call).await.expect("a reply");
    assert_eq!(words(Dialect::Chat, answer.text()).trim(), "1 2 3 4 5 6");
    let left = |record: &offline::Record| record.model_requests().all(|request| request.disconnected_at().is_some());
    bench.backend.wait_until(PATIENCE, left).await.expect("the upstream is cancelled");
    let rows = bench.rows(1).await;
    assert_eq!(rows[0].outcome, store::Outcome::Completed);
    assert!(rows[0].tokens.estimated && rows[0].tokens.input > 0, "{:?}", rows[0].tokens);
}

/// What the headers say comes beside the stream, which does not keep it.
#[tokio::test]
async fn the_head_comes_beside_the_stream() {
    let bench = Bench::new().await;
    let Ok(engine::Reply { body: engine::ReplyBody::Stream(_stream), head }) = bench.engine.run(chat("hello")).await
    else {
        panic!("no stream")
    };
    assert!(head.account.is_some() && !head.headers.is_empty());
}
