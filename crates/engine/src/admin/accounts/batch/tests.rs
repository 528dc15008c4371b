//! What becomes of tags.

use rstest::rstest;

use super::{AccountError, TAGS, TagChange};

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn many(count: usize) -> String {
    (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>().join(" ")
}

#[rstest]
#[case("a b", "", "", "a b")]
#[case("a b", "c", "", "a b c")]
#[case("a b", "b a", "", "a b")]
#[case("a b", "", "a x", "b")]
#[case("a b", "a", "a", "b a")]
#[case("", "c c d", "", "c d")]
#[case("a b", "", "b a", "")]
fn edits_keep_what_they_do_not_name(#[case] known: &str, #[case] add: &str, #[case] remove: &str, #[case] left: &str) {
    let change = TagChange::Edit { add: words(add), remove: words(remove) }.checked().unwrap();
    assert_eq!(change.apply(words(known)), Some(words(left)));
    // Done again, it changes nothing more, but for the order.
    let mut again = change.apply(words(left)).unwrap();
    again.sort();
    let mut left = words(left);
    left.sort();
    assert_eq!(again, left);
}

#[test]
fn sets_leave_nothing_else() {
    let change = TagChange::Set(vec![" a ".into(), "b c".into(), "a".into()]).checked().unwrap();
    assert_eq!(change.apply(words("x y")), Some(vec!["a".to_owned(), "b c".to_owned()]));
    assert_eq!(TagChange::Set(vec![]).checked().unwrap().apply(words("x")), Some(vec![]));
}

#[test]
fn nobody_gets_too_many() {
    let add = |text: &str| TagChange::Edit { add: words(text), remove: vec![] }.checked().unwrap();
    assert_eq!(add("new").apply(words(&many(TAGS))), None);
    assert!(add("t0").apply(words(&many(TAGS))).is_some(), "it has that one");
    assert!(add("new").apply(words(&many(TAGS - 1))).is_some());
}

#[rstest]
#[case(TagChange::Set(vec![String::new()]))]
#[case(TagChange::Set(vec!["x".repeat(33)]))]
#[case(TagChange::Set(vec!["two\nlines".into()]))]
#[case(TagChange::Set(words(&many(TAGS + 1))))]
#[case(TagChange::Edit { add: vec!["  ".into()], remove: vec![] })]
fn tags_that_cannot_be_are_refused(#[case] change: TagChange) {
    assert!(matches!(change.checked(), Err(AccountError::Invalid(_))));
}
