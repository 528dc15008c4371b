use std::io;

use rstest::rstest;

use super::*;

#[rstest]
#[case::all_is_well(&[Evidence::Answers, Evidence::Answers], &[false, false])]
#[case::one_is_no_rule(&[Evidence::NoAnswer, Evidence::Answers, Evidence::NoAnswer], &[false, false, false])]
#[case::two_in_a_row(&[Evidence::NoAnswer, Evidence::NoAnswer, Evidence::NoAnswer], &[false, true, false])]
#[case::a_busy_server_is_there(&[Evidence::NoAnswer, Evidence::Retry, Evidence::NoAnswer], &[false, false, false])]
#[case::moved(&[Evidence::Unavailable, Evidence::NoAnswer], &[true, false])]
fn a_server_is_away_after_two_broken_waits(#[case] words: &[Evidence], #[case] leaves: &[bool]) {
    let mut health = Health::default();
    for (word, leaves) in words.iter().zip(leaves) {
        assert_eq!(health.record(*word, Epoch::default()), *leaves);
    }
    assert_eq!(health.current_epoch().is_none(), leaves.contains(&true));
}

#[test]
fn evidence_of_an_old_epoch_is_ignored() {
    let mut health = Health::default();
    let before = health.current_epoch().unwrap();
    assert!(health.record(Evidence::Unavailable, before));
    health.recovered();
    assert!(!health.record(Evidence::NoAnswer, before) && !health.record(Evidence::Unavailable, before));
    let now = health.current_epoch().expect("it is there");
    assert!(!health.record(Evidence::NoAnswer, now), "one is no rule");
    assert!(health.record(Evidence::NoAnswer, now));
}

#[rstest]
#[case("40001", Evidence::Retry)]
#[case("57014", Evidence::Retry)]
#[case("57P01", Evidence::Unavailable)]
#[case("25006", Evidence::Unavailable)]
#[case("08006", Evidence::Unavailable)]
#[case("53300", Evidence::Unavailable)]
#[case("23505", Evidence::Answers)]
fn codes_say_whether_the_server_is_there(#[case] code: &str, #[case] expected: Evidence) {
    assert_eq!(evidence_of_code(code), expected);
}

#[test]
fn broken_connections_are_no_answer() {
    let broken = |error: &sqlx::Error| evidence(Some(error)) == Evidence::NoAnswer;
    assert!(broken(&sqlx::Error::PoolTimedOut));
    assert!(broken(&sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
    assert!(broken(&sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())));
    assert!(!broken(&sqlx::Error::RowNotFound));
    assert_eq!(evidence(None), Evidence::Answers);
}

#[test]
fn a_server_that_refuses_a_connection_is_away_at_once() {
    let refused = sqlx::Error::Io(io::ErrorKind::NotConnected.into());
    let mut health = Health::default();
    assert!(health.record(evidence(Some(&refused)), Epoch::default()));
    assert!(health.current_epoch().is_none());
}
