use bytes::Bytes;
use proptest::prelude::*;

use super::turn::Turn;
use super::{Turned, Unfold};
use crate::canon::{Channel, Event, Folded, Frame, What};
use crate::dialect::Dialect;
use crate::text::Text;

/// The text turned back, in pieces of this many characters.
fn turn(folded: Folded, text: &str, size: usize) -> String {
    let mut turn = Turn::new(folded);
    let chars: Vec<char> = text.chars().collect();
    let piece = |piece: &[char]| turn.feed(&Text::from_plain(&piece.iter().collect::<String>())).plain().into_owned();
    chars.chunks(size.max(1)).map(piece).collect()
}

#[test]
fn folded_answers_are_turned_back() {
    for (folded, plain) in [
        (r#"{"__value":["a",1]}"#, r#"["a",1]"#),
        (r#" { "__value" : "x" } "#, r#"    "x" "#),
        (r#"{"p":{"__0":1,"__1":"a"},"q":2}"#, r#"{"p":[1,"a"],"q":2}"#),
        (r#"{"p":{"__0":{"__0":[],"__1":{}}, "__1":null}}"#, r#"{"p":[[[],{}],null]}"#),
        (r#"{"__value":[{"__0":1,"__1":"}"},{"__0":2,"__1":"\"{\\"}]}"#, r#"[[1,"}"],[2,"\"{\\"]]"#),
        // The client's own objects, and text that is no JSON.
        (r#"{"a":{"__1":1},"__value":{"__value":2}}"#, r#"{"a":{"__1":1},"__value":{"__value":2}}"#),
        (r#"[{"__value":1}]"#, r#"[{"__value":1}]"#),
        (r"{}", r"{}"),
        (r#"{"_":1,"__x":{"é\n":"\u0041"}}"#, r#"{"_":1,"__x":{"é\n":"\u0041"}}"#),
        ("I cannot do that: {}", "I cannot do that: {}"),
        ("", ""),
    ] {
        for size in [1, 2, 3, 7, 1000] {
            let got = turn(Folded::Json, folded, size);
            assert_eq!(got.trim(), plain.trim(), "{folded} in pieces of {size}");
        }
    }
}

#[test]
fn a_bare_word_loses_its_quotes_and_escapes() {
    for (folded, plain) in [
        (r#"{"__value":"red"}"#, "red"),
        (r#"{"__value":"a\"b\\c\nd\u00e9"}"#, "a\"b\\c\ndé"),
        (r#""red""#, "red"),
        ("red", "red"),
        (r#"say "red""#, r#"say "red""#),
    ] {
        for size in [1, 2, 1000] {
            assert_eq!(turn(Folded::Bare, folded, size), plain, "{folded}");
        }
    }
}

#[test]
fn only_frames_of_openais_protocols_are_changed() {
    let delta = || What::Delta { at: 0, part: 0, channel: Channel::Text, data: Text::from_plain(r#"{"__value":1}"#) };
    let event = |dialect| Event { what: delta(), raw: Some(Frame { dialect, bytes: Bytes::from_static(b"x") }) };
    let mut unfold = Unfold::new(Folded::Json).unwrap();
    assert!(matches!(unfold.event(&event(Dialect::Gemini)), Turned::Same));
    let Turned::New(turned) = unfold.event(&event(Dialect::Chat)) else { panic!("unchanged") };
    assert_eq!(turned.raw, None);
    assert!(matches!(turned.what, What::Delta { data, .. } if data.is("1")));
    assert!(Unfold::new(Folded::No).is_none());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(text in r#"[{}\[\]",:_0v\\alue n\x{e9}]{0,60}"#, size in 1usize..9) {
        for folded in [Folded::Json, Folded::Bare] {
            prop_assert_eq!(turn(folded, &text, size), turn(folded, &text, 1000));
        }
    }
}
