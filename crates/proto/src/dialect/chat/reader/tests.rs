use bytes::Bytes;

use super::scan::content;

fn scan(data: &str) -> Option<String> {
    content(&Bytes::copy_from_slice(data.as_bytes())).map(|text| text.plain().into_owned())
}

#[test]
fn plain_text_is_cut_out() {
    let openai = r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a\"b\n"},"logprobs":null,"finish_reason":null}],"usage":null}"#;
    assert_eq!(scan(openai).as_deref(), Some("a\"b\n"));
    let azure = r#"{"choices":[{"finish_reason":null,"index":0,"delta":{"content":"é"}}],"id":"c"}"#;
    assert_eq!(scan(azure).as_deref(), Some("é"));
}

#[test]
fn everything_else_takes_the_long_way() {
    for data in [
        r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":null},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"a"},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a","tool_calls":[]},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":{"prompt_tokens":1}}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null},{"index":1,"delta":{"content":"b"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]"#,
        r#"{"choices":[{"index":0,"delta":{"content":"a\q"},"finish_reason":null}]}"#,
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\u{1}\"},\"finish_reason\":null}]}",
        r#"{"note":"\"delta\":{\"content\":\"a\"},\"finish_reason\":null}"}"#,
    ] {
        assert_eq!(scan(data), None, "{data}");
    }
    let invalid = b"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\"},\"finish_reason\":null}]}";
    assert!(content(&Bytes::from_static(invalid)).is_none());
}
