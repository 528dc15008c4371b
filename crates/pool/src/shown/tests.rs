use proptest::prelude::*;
use rstest::rstest;

use super::*;

const MOST: usize = 300;

#[rstest]
#[case("sent Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln, refused", "sent Bearer ***, refused")]
#[case("no refresh_token=rt_0123456789abcdefghij&x=1", "no refresh_token=***&x=1")]
#[case(r#"{"refresh_token":"rt_0123456789abcdefghij"}"#, r#"{"refresh_token":"***"}"#)]
#[case("GET https://host.test/callback?code=ac_0123456789abcdefghij", "GET https://host.test/callback?code=***")]
#[case("path/eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", "path/***")]
#[case("authorization: bearer opaque-0123456789abcdef", "authorization: bearer ***")]
#[case("key sk-proj-0123456789abcdefghij.", "key ***")]
#[case("a bearer token is wanted", "a bearer token is wanted")]
#[case("task-force-0123456789abcdefghij", "task-force-0123456789abcdefghij")]
#[case("rt_short and eyJshort", "rt_short and eyJshort")]
#[case("a\r\nb\u{1b}[31m", "a  b [31m")]
#[case("safe\u{202e}txt.exe\u{2066}", "safe txt.exe ")]
fn a_text_is_shown_as(#[case] text: &str, #[case] shown: &str) {
    assert_eq!(clean(text, MOST), shown);
}

proptest! {
    #[test]
    fn whatever_is_shown_is_short_clean_and_without_the_token(
        before in ".{0,40}",
        sign in "[ =/:&?\"]",
        secret in "(eyJ|sk-|rt_|pgk_)[A-Za-z0-9_-]{30,60}",
        after in "( .{0,40})?",
        most in 0_usize..200,
    ) {
        let shown = clean(&format!("{before}{sign}{secret}{after}"), most);
        prop_assert!(shown.len() <= most && !shown.contains(char::is_control));
        prop_assert!(!shown.contains(&secret[..TOKEN]), "{}", shown);
    }
}

#[test]
fn keys_of_other_services_are_hidden() {
    for prefix in ["gsk_", "AIza", "xai-", "pplx-", "hf_"] {
        let text = format!("Incorrect API key provided: {prefix}0123456789abcdefghij. See the docs.");
        assert_eq!(super::clean(&text, 200), "Incorrect API key provided: *** See the docs.", "{prefix}");
    }
}
