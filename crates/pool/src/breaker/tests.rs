use rstest::rstest;

use super::*;

const NOW: Millis = Millis(1_800_000_000_000);

fn broken(jitter: f64) -> Breaker {
    let mut breaker = Breaker::default();
    for by in 0..4 {
        assert!(!breaker.record_failure((NOW, by), NOW, jitter));
    }
    assert!(breaker.record_failure((NOW, 0), NOW, jitter), "the fifth");
    breaker
}

#[rstest]
// Milliseconds between two failures; the answer after how many of them; whether it breaks.
#[case(0, None, true)]
#[case(2500, None, true)]
#[case(2501, None, false)]
#[case(0, Some(4), false)]
#[case(0, Some(1), false)]
fn five_failures_in_a_row_break_it(#[case] gap: i64, #[case] answer: Option<i64>, #[case] breaks: bool) {
    let mut breaker = Breaker::default();
    let mut broke = false;
    for n in 0..5 {
        if answer == Some(n) {
            assert!(!breaker.record_answer());
        }
        let now = NOW.plus(n * gap);
        broke |= breaker.record_failure((now, u64::from(n % 2 == 0)), now, 1.0);
    }
    assert_eq!(broke, breaks);
}

#[test]
fn it_opens_for_a_second_and_then_lets_one_try() {
    let breaker = broken(1.0);
    assert_eq!(breaker.state(NOW), BreakerState::Broken(NOW.plus(1000)));
    assert_eq!(breaker.state(NOW.plus(999)), BreakerState::Broken(NOW.plus(1000)));
    assert_eq!(breaker.state(NOW.plus(1000)), BreakerState::Probe);
    assert_eq!(breaker.state(NOW.plus(-1)), BreakerState::Probe, "a clock that was set back");
}

#[test]
fn an_answer_closes_it() {
    let mut breaker = broken(1.0);
    assert!(breaker.record_answer());
    assert_eq!(breaker.state(NOW), BreakerState::Sound);
    assert!(!breaker.record_failure((NOW, 1), NOW, 1.0), "the next run begins anew");
}

#[test]
fn the_wait_doubles_with_failed_probes_up_to_a_minute() {
    let mut breaker = broken(1.0);
    let mut now = NOW.plus(1000);
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        assert!(breaker.record_failure((now, 1), now, 1.0));
        assert_eq!(breaker.state(now), BreakerState::Broken(now.plus(seconds * 1000)));
        now = now.plus(seconds * 1000);
    }
}

/// Row F14: what was under way when it opened does not make the wait longer.
#[test]
fn late_failures_of_old_calls_count_once() {
    let mut breaker = broken(1.0);
    for _ in 0..200 {
        assert!(!breaker.record_failure((NOW, 1), NOW.plus(5000), 1.0));
    }
    assert_eq!(breaker.state(NOW.plus(1000)), BreakerState::Probe);
    assert!(breaker.record_failure((NOW.plus(1000), 1), NOW.plus(5000), 1.0));
    assert_eq!(breaker.state(NOW.plus(5000)), BreakerState::Broken(NOW.plus(7000)));
}

#[rstest]
#[case(0.0, 1)]
#[case(0.25, 250)]
#[case(1.0, 1000)]
#[case(7.0, 1000)]
fn the_wait_is_jittered_from_nothing_on(#[case] jitter: f64, #[case] millis: i64) {
    assert_eq!(broken(jitter).state(NOW), BreakerState::Broken(NOW.plus(millis)));
}

/// A request that no upstream survives, sent again and again, is that conversation's trouble alone.
#[test]
fn one_conversation_breaks_nothing() {
    let mut breaker = Breaker::default();
    for n in 0..100 {
        assert!(!breaker.record_failure((NOW, 7), NOW.plus(n), 1.0));
    }
    assert_eq!(breaker.state(NOW.plus(100)), BreakerState::Sound);
    assert!(breaker.record_failure((NOW, 8), NOW.plus(100), 1.0), "another one fails too");
}
