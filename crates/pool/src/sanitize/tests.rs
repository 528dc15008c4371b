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

#[rstest]
#[case::hex("0123456789abcdef0123", "key 0123456789abcdef0123 is wrong", "key *** is wrong")]
#[case::twice("0123456789abcdef", "0123456789abcdef,0123456789abcdef", "***,***")]
#[case::inside("letmein-please", "?key=letmein-please&x=1", "?key=***&x=1")]
#[case::in_a_url("pass/word+with=signs", "/v1?key=pass%2Fword%2Bwith%3Dsigns", "/v1?key=***")]
#[case::in_a_url_in_small_letters("pass/word+with=signs", "key=pass%2fword%2bwith%3dsigns;", "key=***;")]
#[case::in_json("a\"quoted\"key", r#"{"key":"a\"quoted\"key"}"#, r#"{"key":"***"}"#)]
#[case::cut_off("0123456789abcdef0123", "wrong key: 0123456789ab", "wrong key: ***")]
#[case::cut_off_too_early("0123456789abcdef0123", "wrong key: 012345", "wrong key: 012345")]
#[case::too_short("secret", "a secret is a secret", "a secret is a secret")]
#[case::not_there("0123456789abcdef", "all is well", "all is well")]
#[case::no_cut_in_a_character("schl\u{fc}ssel-\u{fc}", "es war schl\u{fc}sse", "es war ***")]
fn a_secret_is_hidden_whatever_it_looks_like(#[case] secret: &str, #[case] text: &str, #[case] shown: &str) {
    let mut text = text.to_owned();
    hide(&mut text, &crate::Secret::from(secret));
    assert_eq!(text, shown);
}

#[rstest]
#[case::plain(r#"{"error":"the key pass/word+1 is wrong"}"#, r#"{"error":"the key *** is wrong"}"#)]
#[case::slashes(r#"{"error":"the key pass\/word+1 is wrong"}"#, r#"{"error":"the key *** is wrong"}"#)]
#[case::numbers(r#"{"error":"the key pass\u002fword\u002B1 is wrong"}"#, r#"{"error":"the key *** is wrong"}"#)]
#[case::cut(r#"{"error":"the key pass\/word+1 is"#, r#"{"error":"the key *** is"#)]
#[case::other_escapes_stay(r#"{"z":"a\/b","a":"\n"}"#, r#"{"z":"a\/b","a":"\n"}"#)]
fn a_secret_is_found_behind_escapes(#[case] body: &str, #[case] shown: &str) {
    assert_eq!(super::hidden(body.as_bytes(), &crate::Secret::from("pass/word+1")), shown);
}
