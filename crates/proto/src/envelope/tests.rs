use bytes::Bytes;
use proptest::prelude::*;

use super::text::TextUnwrapper;
use super::{Rewrite, Unwrapper};
use crate::canon::{Carrier, Channel, Event, RawFrame, SchemaEnvelope, What};
use crate::dialect::Dialect;
use crate::text::Text;

/// The text converted back, in pieces of this many characters.
fn unwrapped(envelope: SchemaEnvelope, text: &str, size: usize) -> String {
    let mut unwrapper = TextUnwrapper::new(envelope);
    let chars: Vec<char> = text.chars().collect();
    let piece =
        |piece: &[char]| unwrapper.feed(&Text::from_plain(&piece.iter().collect::<String>())).plain().into_owned();
    chars.chunks(size.max(1)).map(piece).collect()
}

#[test]
fn folded_answers_are_turned_back() {
    for (envelope, plain) in [
        (r#"{"__value":["a",1]}"#, r#"["a",1]"#),
        (r#" { "__value" : "x" } "#, r#"    "x" "#),
        (r#"{"p":{"__0":1,"__1":"a"},"q":2}"#, r#"{"p":[1,"a"],"q":2}"#),
        (r#"{"p":{"__0":{"__0":[],"__1":{}}, "__1":null}}"#, r#"{"p":[[[],{}],null]}"#),
        (r#"{"__value":[{"__0":1,"__1":"}"},{"__0":2,"__1":"\"{\\"}]}"#, r#"[[1,"}"],[2,"\"{\\"]]"#),
        // The client's own objects, and text that is not JSON.
        (r#"{"a":{"__1":1},"__value":{"__value":2}}"#, r#"{"a":{"__1":1},"__value":{"__value":2}}"#),
        (r#"[{"__value":1}]"#, r#"[{"__value":1}]"#),
        (r"{}", r"{}"),
        (r#"{"_":1,"__x":{"é\n":"\u0041"}}"#, r#"{"_":1,"__x":{"é\n":"\u0041"}}"#),
        ("I cannot do that: {}", "I cannot do that: {}"),
        ("", ""),
    ] {
        for size in [1, 2, 3, 7, 1000] {
            let got = unwrapped(SchemaEnvelope::Json, envelope, size);
            assert_eq!(got.trim(), plain.trim(), "{envelope} in pieces of {size}");
        }
    }
}

#[test]
fn a_bare_word_loses_its_quotes_and_escapes() {
    for (envelope, plain) in [
        (r#"{"__value":"red"}"#, "red"),
        (r#"{"__value":"a\"b\\c\nd\u00e9"}"#, "a\"b\\c\ndé"),
        (r#""red""#, "red"),
        ("red", "red"),
        (r#"say "red""#, r#"say "red""#),
    ] {
        for size in [1, 2, 1000] {
            assert_eq!(unwrapped(SchemaEnvelope::BareString, envelope, size), plain, "{envelope}");
        }
    }
}

#[test]
fn only_frames_of_openais_protocols_are_changed() {
    let delta = || What::Delta { at: 0, part: 0, channel: Channel::Text, data: Text::from_plain(r#"{"__value":1}"#) };
    let event = |dialect| Event {
        what: delta(),
        carrier: Carrier::Frame(RawFrame { dialect, bytes: Bytes::from_static(b"x") }),
    };
    let mut unwrapper = Unwrapper::new(SchemaEnvelope::Json).unwrap();
    assert!(matches!(unwrapper.event(&event(Dialect::Gemini)), Rewrite::Keep));
    let Rewrite::Replace(unwrapped) = unwrapper.event(&event(Dialect::Chat)) else { panic!("unchanged") };
    assert_eq!(unwrapped.carrier, Carrier::Ours);
    assert!(matches!(unwrapped.what, What::Delta { data, .. } if data.is("1")));
    assert!(Unwrapper::new(SchemaEnvelope::None).is_none());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(text in r#"[{}\[\]",:_0v\\alue n\x{e9}]{0,60}"#, size in 1usize..9) {
        for envelope in [SchemaEnvelope::Json, SchemaEnvelope::BareString] {
            prop_assert_eq!(unwrapped(envelope, &text, size), unwrapped(envelope, &text, 1000));
        }
    }
}
