use bytes::Bytes;

use super::scan::TextChunks;

fn scan(data: &str) -> Option<String> {
    content(&mut TextChunks::default(), data)
}

fn content(chunks: &mut TextChunks, data: &str) -> Option<String> {
    chunks.content(&Bytes::copy_from_slice(data.as_bytes())).map(|text| text.plain().into_owned())
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
    assert_eq!(scan("\"a text outside an object\""), None);
    let invalid = b"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\"},\"finish_reason\":null}]}";
    assert!(TextChunks::default().content(&Bytes::from_static(invalid)).is_none());
}

#[test]
fn a_chunk_like_the_last_one_is_read_by_its_surroundings() {
    let chunk = |text: &str| {
        format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#)
    };
    let chunks = &mut TextChunks::default();
    for text in ["one", "two\\n", "\\\"", "日本", "a string of more than thirty-two bytes, so that the far scan runs"]
    {
        let plain: String = serde_json::from_str(&format!("\"{text}\"")).unwrap();
        assert_eq!(content(chunks, &chunk(text)), Some(plain));
        assert!(chunks.find(chunk("next").as_bytes()).is_some(), "learned from {text}");
    }
    for other in [
        chunk(""),
        chunk("a").replace("null", "\"stop\""),
        chunk("a").replace("}]}", "}],\"usage\":{}}"),
        chunk("a").replace("\"a\"", "\"a"),
        chunk("a").replace("\"a\"", "null"),
        chunk("a\\q"),
    ] {
        assert_eq!(content(chunks, &other), None, "{other}");
    }
    assert_eq!(content(chunks, &chunk("b").replace("\"c\"", "\"another\"")).as_deref(), Some("b"));
}

#[test]
fn chunks_that_are_never_alike_are_learned_from_rarely() {
    let chunks = &mut TextChunks::default();
    for n in 1..=64 {
        let data =
            format!(r#"{{"id":"{n}","choices":[{{"index":0,"delta":{{"content":"a"}},"finish_reason":null}}]}}"#);
        assert_eq!(content(chunks, &data).as_deref(), Some("a"));
        assert_eq!(chunks.find(data.as_bytes()).is_some(), n <= 8 || n % 32 == 0, "{n}");
    }
}
