use std::io;

use rstest::rstest;

use super::*;

#[rstest]
#[case::all_is_well(&[Word::There, Word::There], &[false, false])]
#[case::one_is_no_rule(&[Word::Broken, Word::There, Word::Broken], &[false, false, false])]
#[case::two_in_a_row(&[Word::Broken, Word::Broken, Word::Broken], &[false, true, false])]
#[case::a_busy_server_is_there(&[Word::Broken, Word::Again, Word::Broken], &[false, false, false])]
#[case::moved(&[Word::Moved, Word::Broken], &[true, false])]
fn a_server_is_away_after_two_broken_waits(#[case] words: &[Word], #[case] leaves: &[bool]) {
    let mut health = Health::default();
    for (word, leaves) in words.iter().zip(leaves) {
        assert_eq!(health.hear(*word, Turn::default()), *leaves);
    }
    assert_eq!(health.turn().is_none(), leaves.contains(&true));
}

#[test]
fn late_ends_of_an_absence_begin_no_other_one() {
    let mut health = Health::default();
    let before = health.turn().unwrap();
    assert!(health.hear(Word::Moved, before));
    health.back();
    assert!(!health.hear(Word::Broken, before) && !health.hear(Word::Moved, before));
    let now = health.turn().expect("it is there");
    assert!(!health.hear(Word::Broken, now), "one is no rule");
    assert!(health.hear(Word::Broken, now));
}

#[rstest]
#[case("40001", Word::Again)]
#[case("57014", Word::Again)]
#[case("57P01", Word::Moved)]
#[case("25006", Word::Moved)]
#[case("08006", Word::Moved)]
#[case("53300", Word::Moved)]
#[case("23505", Word::There)]
fn codes_say_whether_the_server_is_there(#[case] code: &str, #[case] said: Word) {
    assert_eq!(spoken(code), said);
}

#[test]
fn broken_connections_are_no_word_of_the_server() {
    let broken = |error: &sqlx::Error| word(Some(error)) == Word::Broken;
    assert!(broken(&sqlx::Error::PoolTimedOut));
    assert!(broken(&sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
    assert!(broken(&sqlx::Error::Io(io::ErrorKind::ConnectionReset.into())));
    assert!(!broken(&sqlx::Error::RowNotFound));
    assert_eq!(word(None), Word::There);
}

#[test]
fn a_server_that_refuses_a_connection_is_away_at_once() {
    let refused = sqlx::Error::Io(io::ErrorKind::NotConnected.into());
    let mut health = Health::default();
    assert!(health.hear(word(Some(&refused)), Turn::default()));
    assert!(health.turn().is_none());
}
