use rstest::rstest;

use super::*;

const NOTHING: ConversationFacts = ConversationFacts { codex: false, history: false, tools: false };

#[rstest]
#[case("auto", NOTHING, false)]
#[case("auto", ConversationFacts { codex: true, ..NOTHING }, true)]
#[case("auto", ConversationFacts { history: true, ..NOTHING }, true)]
#[case("auto", ConversationFacts { tools: true, ..NOTHING }, true)]
#[case("websocket", NOTHING, true)]
#[case("http", ConversationFacts { codex: true, history: true, tools: true }, false)]
fn a_socket_is_for_conversations(#[case] word: &str, #[case] facts: ConversationFacts, #[case] socket: bool) {
    let transport = TransportMode::parse(word).unwrap();
    assert_eq!((transport.as_str(), transport.uses_socket(facts)), (word, socket));
}

#[test]
fn other_words_mean_nothing() {
    assert_eq!([TransportMode::parse("ws"), TransportMode::parse("")], [None, None]);
}

#[test]
fn sockets_rest_after_three_failures_in_a_row() {
    let (now, mut health) = (Millis(1_000_000), SocketHealth::default());
    health.set_failed(now);
    health.set_failed(now);
    assert!(health.may_try(now));
    health.set_working();
    health.set_failed(now);
    health.set_failed(now);
    assert!(health.may_try(now), "a socket that worked begins the count anew");
    health.set_failed(now);
    assert!(!health.may_try(now.plus(REST - 1)));
    assert!(health.may_try(now.plus(REST)));
}

#[test]
fn a_backend_that_refuses_sockets_is_tried_again_after_an_hour() {
    let (now, mut health) = (Millis(0), SocketHealth::default());
    health.set_refused(now);
    assert!(!health.may_try(now.plus(REFUSED - 1)) && health.may_try(now.plus(REFUSED)));
}
