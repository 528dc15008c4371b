use bytes::Bytes;

use super::{Words, count, estimate, pieces, prefix, request, size, words};
use crate::Dialect;

#[test]
fn counts_are_those_of_the_pieces() {
    let text = "It's 2026; 12345 naïve cafés don't care. 日本語のテキスト 👩‍👩‍👧\n\n  end";
    let sizes: u64 = pieces(text).map(size).sum();
    assert_eq!(count(text), sizes);
    assert_eq!(pieces(text).collect::<String>(), text);
}

#[test]
fn a_prefix_never_cuts_a_character() {
    for text in ["👩‍👩‍👧", "日本語", "abc"] {
        for tokens in 0..=count(text) {
            assert!(text.is_char_boundary(prefix(text, tokens)));
        }
        assert_eq!(prefix(text, u64::MAX), text.len());
        assert_eq!(prefix(text, 0), 0);
    }
}

#[test]
fn an_estimate_rounds_up() {
    assert_eq!([0, 1, 4, 5].map(estimate), [0, 1, 1, 2]);
}

/// A chat request's tokens.
fn tokens(members: &str) -> u64 {
    let body = format!(r#"{{"model":"m",{members}}}"#);
    request(&Dialect::Chat.read_request(Bytes::from(body)).unwrap().0)
}

#[test]
fn everything_that_is_sent_is_counted() {
    let bare = tokens(r#""messages":[{"role":"user","content":"Hello"}]"#);
    assert_eq!(bare, count("Hello") + 4 + 3);
    let more = [
        r#""messages":[{"role":"system","content":"Be brief"},{"role":"user","content":"Hello"}]"#,
        r#""messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"function","function":{"name":"f","description":"d"}}]"#,
        r#""messages":[{"role":"user","content":"Hello"}],"tools":[{"type":"web_search"}]"#,
        r#""messages":[{"role":"user","content":"Hello"},{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]}]"#,
        r#""messages":[{"role":"user","content":"Hello"}],"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}"#,
    ];
    for members in more {
        assert!(tokens(members) > bare, "{members}");
    }
    let escaped = tokens(r#""messages":[{"role":"user","content":"\u0048ello"}]"#);
    assert_eq!(escaped, bare, "escapes are resolved");
}

#[test]
fn a_picture_costs_what_pictures_cost_and_not_its_bytes() {
    let picture = |detail: &str, bytes: usize| {
        let url = format!("data:image/png;base64,{}", "A".repeat(bytes));
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{url}","detail":"{detail}"}}}}"#);
        tokens(&format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#))
    };
    assert_eq!(picture("high", 40), picture("high", 400_000));
    assert!(picture("low", 40) < picture("auto", 40));
}

#[test]
fn a_file_costs_by_its_size_and_type() {
    let file = |kind: &str, bytes: usize| {
        let data = format!("data:{kind};base64,{}", "A".repeat(bytes));
        let part = format!(r#"{{"type":"file","file":{{"filename":"a","file_data":"{data}"}}}}"#);
        tokens(&format!(r#""messages":[{{"role":"user","content":[{part}]}}]"#))
    };
    assert!(file("text/plain", 4000) > file("application/pdf", 4000));
    assert!(file("application/pdf", 400_000) > file("application/pdf", 4000));
}

/// Only texts and calls are counted as words, and a request without other content reports that.
#[test]
fn words_are_what_is_certain() {
    let of = |members: &str| {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let read = Dialect::Chat.read_request(Bytes::from(body)).unwrap().0;
        (words(&read), request(&read))
    };
    let (bare, whole) = of(r#""messages":[{"role":"user","content":"Hello"}]"#);
    assert_eq!(bare, Words { tokens: whole, all: true });
    for part in [
        r#"{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}"#,
        r#"{"type":"file","file":{"filename":"a","file_data":"data:application/pdf;base64,AAAA"}}"#,
    ] {
        let message = format!(r#""messages":[{{"role":"user","content":[{{"type":"text","text":"Hello"}},{part}]}}]"#);
        let (some, whole) = of(&message);
        assert_eq!(some, Words { tokens: bare.tokens, all: false }, "{part}");
        assert!(whole > some.tokens, "{part}");
    }
}
