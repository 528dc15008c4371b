use super::head;

#[test]
fn the_type_is_read_at_the_head_only() {
    let cases: [(&str, Option<(&str, &str)>); 11] = [
        (r#"{"type":"response.completed","a":1}"#, Some(("response.completed", r#","a":1}"#))),
        (r#"{"type":"error"}"#, Some(("error", "}"))),
        (r#"{"type":""}"#, Some(("", "}"))),
        (r#" { "type" : "error" , "a":1}"#, Some(("error", r#" , "a":1}"#))),
        ("{\n\"type\":\t\"error\"}", Some(("error", "}"))),
        (r#"{"type":"err\u006fr"}"#, None),
        ("{\"type\":\"err\nor\"}", None),
        (r#"{"type":"error"#, None),
        (r#"{"type":7}"#, None),
        (r#"{"a":1,"type":"error"}"#, None),
        ("", None),
    ];
    for (text, expected) in cases {
        let found = head(text.as_bytes()).map(|(name, after)| (std::str::from_utf8(name), &text[after..]));
        assert_eq!(found, expected.map(|(name, rest)| (Ok(name), rest)), "{text:?}");
    }
}
