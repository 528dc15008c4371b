//! When lists are asked for.

use super::*;

/// How many lists are due, and taken.
fn due(wanted: &Wanted) -> usize {
    wanted.due(Instant::now()).len()
}

#[test]
fn answers_that_belie_a_list_ask_for_it_once() {
    let wanted = Wanted::default();
    let (one, two) = (AccountId("1".into()), AccountId("2".into()));
    for expected in [1, 0, 0] {
        wanted.doubt(&one);
        assert_eq!(due(&wanted), expected);
    }
    wanted.doubt(&two);
    wanted.want(&one);
    assert_eq!(due(&wanted), 2);
}
