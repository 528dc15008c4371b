use rstest::rstest;

use super::*;

const NOTHING: Talk = Talk { codex: false, history: false, tools: false };

#[rstest]
#[case("auto", NOTHING, false)]
#[case("auto", Talk { codex: true, ..NOTHING }, true)]
#[case("auto", Talk { history: true, ..NOTHING }, true)]
#[case("auto", Talk { tools: true, ..NOTHING }, true)]
#[case("websocket", NOTHING, true)]
#[case("http", Talk { codex: true, history: true, tools: true }, false)]
fn a_socket_is_for_conversations(#[case] word: &str, #[case] talk: Talk, #[case] socket: bool) {
    let transport = Transport::of(word).unwrap();
    assert_eq!((transport.word(), transport.socket(talk)), (word, socket));
}

#[test]
fn other_words_mean_nothing() {
    assert_eq!([Transport::of("ws"), Transport::of("")], [None, None]);
}

#[test]
fn sockets_rest_after_three_failures_in_a_row() {
    let (now, mut health) = (Millis(1_000_000), Health::default());
    health.failed(now);
    health.failed(now);
    assert!(health.well(now));
    health.works();
    health.failed(now);
    health.failed(now);
    assert!(health.well(now), "a socket that worked begins the count anew");
    health.failed(now);
    assert!(!health.well(now.plus(REST - 1)));
    assert!(health.well(now.plus(REST)));
}

#[test]
fn a_backend_that_wants_none_is_asked_again_after_an_hour() {
    let (now, mut health) = (Millis(0), Health::default());
    health.refused(now);
    assert!(!health.well(now.plus(REFUSED - 1)) && health.well(now.plus(REFUSED)));
}
