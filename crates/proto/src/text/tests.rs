use bytes::Bytes;
use proptest::prelude::*;

use super::{Json, Text};

fn escaped(body: &'static str) -> Text {
    Text::from_escaped(Bytes::from_static(body.as_bytes()))
}

#[test]
fn escapes_resolve() {
    let cases = [
        ("plain", "plain"),
        (r#"a\"b\\c\/d"#, "a\"b\\c/d"),
        (r"\b\f\n\r\t", "\u{8}\u{c}\n\r\t"),
        (r"\u00e9 \u2028", "é \u{2028}"),
        (r"\ud83d\ude00!", "😀!"),
        (r"\uD83D!", "\u{fffd}!"),
        (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\u0041", "\u{fffd}A"),
    ];
    for (body, plain) in cases {
        assert_eq!(escaped(body).plain(), plain, "{body}");
        assert!(escaped(body).is(plain), "{body}");
    }
}

proptest! {
    #[test]
    fn plain_round_trips(plain in any::<String>()) {
        let text = Text::from_plain(&plain);
        prop_assert_eq!(&*text.plain(), plain.as_str());
        prop_assert!(crate::json::valid(text.quoted().bytes()));
        let other = Json::of(plain.as_str()).as_text().unwrap();
        prop_assert_eq!(&*other.plain(), plain.as_str());
    }
}
