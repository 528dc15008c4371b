use bytes::Bytes;

use super::partial::Partial;
use super::scan;
use crate::dialect::array::Splitter;
use crate::text::Json;

fn text(data: &str) -> Option<(String, bool)> {
    let delta = scan::text(&Bytes::copy_from_slice(data.as_bytes()))?;
    Some((delta.text.plain().into_owned(), delta.thought))
}

#[test]
fn plain_text_is_cut_out() {
    for (data, wanted, thought) in [
        (
            r#"{"candidates":[{"content":{"parts":[{"text":"a\"b\n"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":1},"modelVersion":"m","responseId":"r"}"#,
            "a\"b\n",
            false,
        ),
        (r#"{"candidates": [ {"content": {"role": "model", "parts": [{"text": "é", "thought": true}]}}]}"#, "é", true),
        (
            r#" {"responseId":"r","createTime":"t","candidates":[{"index":0,"content":{"parts":[{"thought":false,"text":"x"}]}}]} "#,
            "x",
            false,
        ),
    ] {
        assert_eq!(text(data), Some((wanted.to_owned(), thought)), "{data}");
    }
}

#[test]
fn everything_else_takes_the_long_way() {
    for data in [
        r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":1}],"role":"model"}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":1}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"},{"text":"b"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a","thoughtSignature":"x"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a","text":"b"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"error":{}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"x"::}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a\q"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]} x"#,
    ] {
        assert_eq!(text(data), None, "{data}");
    }
    let invalid = b"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\xff\"}]}}]}";
    assert!(scan::text(&Bytes::from_static(invalid)).is_none());
}

#[test]
fn arguments_in_pieces_become_an_object() {
    let add = |pieces: &[&str]| {
        let mut partial = Partial::default();
        for piece in pieces {
            partial.add(&Json::from_valid(Bytes::copy_from_slice(piece.as_bytes())));
        }
        partial.json().as_str().to_owned()
    };
    assert_eq!(add(&[]), "{}");
    for (pieces, wanted) in [
        (
            &[
                r#"[{"jsonPath":"$.a","stringValue":"x\n","willContinue":true}]"#,
                r#"[{"jsonPath":"$.a","stringValue":"\"y"}]"#,
            ][..],
            r#"{"a":"x\n\"y"}"#,
        ),
        (
            &[
                r#"[{"jsonPath":"$.l[0].b","numberValue":1.50},{"jsonPath":"$.l[0].c","nullValue":"NULL_VALUE"},{"jsonPath":"$.l[1]","boolValue":false}]"#,
            ],
            r#"{"l":[{"b":1.50,"c":null},false]}"#,
        ),
        (&[r#"[{"jsonPath":"$['a b'][\"c.d\"]","stringValue":"x"}]"#], r#"{"a b":{"c.d":"x"}}"#),
        // An out-of-range or invalid path is ignored.
        (
            &[
                r#"[{"jsonPath":"$.l[4000000000]","numberValue":1},{"jsonPath":"l","numberValue":1},{"jsonPath":"$","numberValue":1},{"numberValue":1}]"#,
            ],
            r#"{"l":[]}"#,
        ),
    ] {
        assert_eq!(add(pieces), wanted);
    }
}

#[test]
fn elements_are_cut_out_of_an_array_as_they_come() {
    let array = "[ {\"a\":\"]},{\\\"\"} ,\r\n{\"b\":[{}]}\n]";
    for size in [1, 2, 3, 100] {
        let (mut splitter, mut elements) = (Splitter::new(100), Vec::new());
        for chunk in array.as_bytes().chunks(size) {
            assert!(splitter.push(chunk, &mut elements).is_some());
        }
        assert_eq!(elements, [&b"{\"a\":\"]},{\\\"\"}"[..], b"{\"b\":[{}]}"]);
        assert!(splitter.is_over());
    }
    for broken in ["{", "[1]", "[}", "[{\"a\":\"long\"}"] {
        assert!(Splitter::new(5).push(broken.as_bytes(), &mut Vec::new()).is_none(), "{broken}");
    }
}
