use bytes::Bytes;

use super::super::wire::Piece;
use super::scan;

fn cut(data: &'static str) -> Option<(u32, Piece, String)> {
    let data = Bytes::from_static(data.as_bytes());
    let span = scan::delta(&data)?;
    let (index, piece) = (span.index, span.piece);
    Some((index, piece, span.cut(data).as_str().to_owned()))
}

#[test]
fn pieces_are_cut_out_of_deltas() {
    let cases = [
        (
            r#"{"type":"content_block_delta","index":12,"delta":{"type":"text_delta","text":"a\n\"b\""}}"#,
            Some((12, Piece::Text, r#"a\n\"b\""#)),
        ),
        (
            r#" { "index" : 0 , "delta" : { "thinking" : "x" , "type" : "thinking_delta", "n": [1] } , "type" : "content_block_delta" } "#,
            Some((0, Piece::Thinking, "x")),
        ),
        (
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            Some((1, Piece::Input, "")),
        ),
        (
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"signature_delta","signature":"Eo=="},"p":"abc"}"#,
            Some((1, Piece::Signature, "Eo==")),
        ),
        (r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","thinking":"x"}}"#, None),
        (r#"{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}"#, None),
        (r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"x"}}"#, None),
        (r#"{"type":"content_block_delta","index":1.5,"delta":{"type":"text_delta","text":"x"}}"#, None),
        (r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}} x"#, None),
        (r#"{"type":"content_block_start","index":1,"delta":{"type":"text_delta","text":"x"}}"#, None),
        (r#"{"type":"ping"}"#, None),
        (r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_del"#, None),
        ("[DONE]", None),
    ];
    for (data, expected) in cases {
        let expected = expected.map(|(index, piece, text)| (index, piece, text.to_owned()));
        assert_eq!(cut(data), expected, "{data}");
    }
}
