//! Row F10: answers of the backend in codings that nobody asked for, as middleboxes send them.

use offline::{Coding, Plan, Rule, Termination};
use pool::transport::TransportMode;
use proto::Dialect;
use rstest::rstest;
use serde_json::json;

use crate::bench::{Bench, Setup, call, events, refused, responses, words};

const NINE: &str = "1 2 3 4 5 6 7 8 9";

fn squeezed(plan: Plan, codings: &[Coding]) -> Rule {
    Rule::responses(codings.iter().fold(plan, |plan, coding| plan.compress(*coding)))
}

/// How a stream of Responses ended.
fn end(text: &str) -> String {
    let last = events(text).pop().expect("an event");
    last["type"].as_str().unwrap_or_default().to_owned()
}

/// The first events are here while the rest is still to be sent.
#[rstest]
#[case::gzip(&[Coding::Gzip])]
#[case::deflate(&[Coding::Deflate])]
#[case::brotli(&[Coding::Brotli])]
#[case::zstd(&[Coding::Zstd])]
#[case::chain(&[Coding::Gzip, Coding::Brotli])]
#[case::long_chain(&[Coding::Zstd, Coding::Deflate, Coding::Gzip])]
#[tokio::test]
async fn a_stream_is_decoded_as_it_comes(#[case] codings: &[Coding]) {
    let bench = Bench::new().await;
    bench.backend.add_rule(squeezed(Plan::auto().pause(10, "rest"), codings));
    let mut tap = bench.open(responses("count to 9")).await;
    tap.see("response.output_text.delta").await;
    assert!(!tap.so_far().contains("response.completed"));
    bench.backend.release("rest");
    let answer = tap.rest().await;
    assert_eq!(words(Dialect::Responses, answer.text()).trim(), NINE);
    assert_eq!(end(answer.text()), "response.completed");
    assert_eq!(bench.posts(), 1);
    bench.innocent();
}

#[tokio::test]
async fn a_collected_reply_is_decoded() {
    let bench = Bench::new().await;
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        bench.backend.add_rule(squeezed(Plan::auto(), &[coding]));
        let answer = bench.ask(call(Dialect::Chat, "count to 9", false)).await.expect("a reply");
        assert!(answer.text().contains(NINE), "{coding:?}: {}", answer.text());
    }
    assert_eq!(bench.posts(), 4);
}

#[tokio::test]
async fn a_refusal_keeps_its_words() {
    let bench = Bench::new().await;
    let plan = Plan::json(400, json!({"detail": "Unsupported parameter: nothing_known"}));
    bench.backend.add_rule(squeezed(plan, &[Coding::Gzip, Coding::Brotli]));
    let refusal = refused(bench.ask(responses("hello")).await);
    assert_eq!(Dialect::Responses.error(&refusal.failure).0, 400);
    assert!(refusal.to_string().contains("nothing_known"), "{refusal}");
}

#[tokio::test]
async fn an_unknown_coding_is_named() {
    let bench = Bench::new().await;
    bench.backend.add_rule(Rule::responses(Plan::auto().header("content-encoding", "compress")));
    let refusal = refused(bench.ask(responses("hello")).await);
    assert_eq!(refusal.failure.code.as_deref(), Some("upstream_encoding"), "{refusal}");
    assert_eq!(Dialect::Responses.error(&refusal.failure).0, 502);
    assert_eq!((bench.posts(), bench.status(0)), (1, "active"));
}

/// Cut where it may be: without the proper end of HTTP, and with it but before the coding's own.
#[rstest]
#[tokio::test]
async fn a_cut_stream_ends_cleanly(
    #[values(Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd)] coding: Coding,
    #[values(Termination::Reset, Termination::Fin, Termination::End)] how: Termination,
) {
    let bench = Bench::new().await;
    bench.backend.add_rule(squeezed(Plan::auto().cut_event(9, how), &[coding]));
    let answer = bench.ask(responses("count to 9")).await;
    match answer {
        // A reset may overtake what was sent before it.
        Err(refusal) => assert_eq!(Dialect::Responses.error(&refusal.failure).0, 502, "{refusal}"),
        Ok(answer) => {
            assert!(NINE.starts_with(words(Dialect::Responses, answer.text()).trim()), "{}", answer.text());
            assert_eq!(end(answer.text()), "response.failed");
        }
    }
    assert_eq!((bench.posts(), bench.status(0)), (1, "active"));
}

/// A bomb is stopped at the cap of one event, whatever it would have become.
#[cfg(target_os = "linux")]
#[rstest]
#[case(&[Coding::Gzip])]
#[case(&[Coding::Deflate])]
#[case(&[Coding::Brotli])]
#[case(&[Coding::Zstd])]
#[case(&[Coding::Gzip, Coding::Brotli])]
#[case(&[Coding::Zstd, Coding::Deflate, Coding::Brotli])]
#[tokio::test]
async fn a_bomb_is_stopped_at_the_cap(#[case] codings: &[Coding]) {
    const CAP: usize = 64 << 20;
    let bench = Bench::new().await;
    bench.ask(responses("hello")).await.expect("a reply");
    bench.backend.add_rule(squeezed(Plan::auto().huge(128 << 20), codings));
    let before = crate::imports::peak();
    let answer = bench.ask(responses("hello")).await;
    let grown = crate::imports::peak() - before;
    match answer {
        Err(refusal) => assert_eq!(refusal.failure.code.as_deref(), Some("event_too_large"), "{refusal}"),
        Ok(answer) => {
            assert_eq!(end(answer.text()), "response.failed");
            assert!(answer.text().contains("an event that is too large"), "{}", answer.text());
        }
    }
    assert!(grown <= CAP + (16 << 20), "{} MiB", grown >> 20);
    assert_eq!(bench.status(0), "active");
}

/// A socket's handshake that is refused in a coding falls back as any other one.
#[tokio::test]
async fn a_post_stands_in_where_a_socket_is_refused_so() {
    let setup = Setup::default().settings(|settings| settings.transport = TransportMode::Auto);
    let bench = Bench::with(setup).await;
    bench.backend.add_rule(Rule::socket(Plan::json(426, json!({"detail": "no"})).compress(Coding::Gzip)));
    bench.backend.add_rule(squeezed(Plan::auto(), &[Coding::Zstd]));
    let answer = bench.ask(responses("count to 9")).await.expect("a reply");
    assert_eq!(words(Dialect::Responses, answer.text()).trim(), NINE);
}
