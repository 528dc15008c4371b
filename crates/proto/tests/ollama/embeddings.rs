//! Embeddings: requests in OpenAI's format, answers in Ollama's.

use std::time::Duration;

use bytes::Bytes;
use proto::Kind;
use proto::dialect::ollama::embed;
use serde_json::{Value, json};

fn read(body: &str, single: bool) -> Result<embed::Embed, proto::Failure> {
    embed::read(&Bytes::copy_from_slice(body.as_bytes()), single)
}

#[test]
fn requests_become_openais() {
    for (body, single, expected) in [
        (r#"{"model":"m","input":"a\u00e9"}"#, false, r#"{"model":"m","input":"a\u00e9","encoding_format":"float"}"#),
        (
            r#"{"model":"m","input":["a","b"],"truncate":true,"dimensions":8,"keep_alive":"5m"}"#,
            false,
            r#"{"model":"m","input":["a","b"],"encoding_format":"float","dimensions":8}"#,
        ),
        (r#"{"model":"m","prompt":"a"}"#, true, r#"{"model":"m","input":"a","encoding_format":"float"}"#),
    ] {
        let embed = read(body, single).unwrap();
        assert_eq!(embed.body.as_deref().map(|body| std::str::from_utf8(body).unwrap()), Some(expected), "{body}");
        assert_eq!(embed.model, "m");
        let dropped: Vec<&str> = embed.notes.iter().collect();
        assert_eq!(dropped, if body.contains("truncate") { vec!["dropped truncate"] } else { vec![] }, "{body}");
    }
    let body = r#"{"model":"m","prompt":"a","truncate":false,"options":{"num_ctx":9},"keep_alive":0,"odd":null}"#;
    let dropped = read(body, true).unwrap().notes;
    assert_eq!(dropped.iter().collect::<Vec<_>>(), ["dropped truncate", "dropped options"]);
    for (body, single) in
        [(r#"{"model":"m"}"#, false), (r#"{"model":"m","input":[]}"#, false), (r#"{"model":"m","prompt":""}"#, true)]
    {
        assert_eq!(read(body, single).unwrap().body, None, "{body}");
    }
}

#[test]
fn bad_values_are_refused_with_their_path() {
    for (body, single, path) in [
        (r#"{"input":"a"}"#, false, "model"),
        (r#"{"model":"m","input":7}"#, false, "input"),
        (r#"{"model":"m","input":["a",7]}"#, false, "input[1]"),
        (r#"{"model":"m","prompt":["a"]}"#, true, "prompt"),
        (r#"{"model":"m","input":"a","dimensions":0}"#, false, "dimensions"),
    ] {
        let failure = read(body, single).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(path)), "{body}");
    }
}

#[test]
fn answers_become_ollamas() {
    let answer = Bytes::from_static(
        br#"{"object":"list","data":[{"index":1,"embedding":[3.0,4e-1]},{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
    );
    let answered = |embed: &embed::Embed, answer: Option<&Bytes>| -> Value {
        serde_json::from_slice(&embed.answer(answer, Duration::from_micros(7)).unwrap()).unwrap()
    };
    let many = read(r#"{"model":"m","input":["a","b"]}"#, false).unwrap();
    let expected = json!({"model": "m", "embeddings": [[1, 2], [3.0, 0.4]], "total_duration": 7000, "load_duration": 0, "prompt_eval_count": 5});
    assert_eq!(answered(&many, Some(&answer)), expected);
    let one = read(r#"{"model":"m","prompt":"a"}"#, true).unwrap();
    assert_eq!(answered(&one, Some(&answer)), json!({"embedding": [1, 2]}));
    assert_eq!(answered(&many, None)["embeddings"], json!([]));
    assert_eq!(answered(&one, None), json!({"embedding": []}));
    for nonsense in ["", "{}", "<html>", r#"{"data":[{"embedding":"AAAA"}]}"#, r#"{"data":[{}]}"#] {
        let failure = many.answer(Some(&Bytes::copy_from_slice(nonsense.as_bytes())), Duration::ZERO).unwrap_err();
        assert_eq!(failure.kind, Kind::Upstream, "{nonsense}");
    }
}
