//! The JSON checker and the walks over checked JSON agree with serde_json.

use bytes::Bytes;
use proto::json::{self, MAX_DEPTH, Shape};
use proto::text::{Json, Text};
use serde_json::Value;
use serde_json::value::RawValue;

/// Checks one body.
pub fn check(input: &[u8]) {
    let flat = depth(input) <= MAX_DEPTH;
    let grammar = serde_json::from_slice::<&RawValue>(input).is_ok();
    assert_eq!(json::valid(input), grammar && flat, "the checker and serde_json disagree about the grammar");
    let value: Result<Value, _> = serde_json::from_slice(input);
    match json::check(input) {
        Ok(()) => assert!(json::valid(input), "checked, but not valid"),
        Err(failure) => {
            assert_eq!(failure.kind, proto::Kind::Invalid);
            let object = value.as_ref().is_ok_and(Value::is_object);
            assert!(!(object && flat) || failure.param.is_some(), "a sound object is refused: {}", failure.message);
        }
    }
    if let Ok(value) = value
        && json::valid(input)
    {
        assert_eq!(walked(&Json::from_valid(Bytes::copy_from_slice(input))), value, "a walk sees something else");
    }
    texts(&String::from_utf8_lossy(input));
}

/// The value as the walks read it.
fn walked(json: &Json) -> Value {
    match json.shape() {
        Shape::Object => {
            Value::Object(json.fields().map(|(key, value)| (key.plain().into_owned(), walked(&value))).collect())
        }
        Shape::Array => Value::Array(json.elements().map(|value| walked(&value)).collect()),
        Shape::String => Value::String(json_text(json)),
        Shape::Bool => Value::Bool(json.as_bool().expect("a boolean is one")),
        Shape::Null => Value::Null,
        Shape::Number => {
            let number: Value = json.parse().expect("a number parses");
            assert!(number.as_u64().is_none() || number.as_u64() == json.as_u64(), "{number}");
            number
        }
    }
}

fn json_text(json: &Json) -> String {
    let trimmed = Json::from_valid(json.bytes().slice_ref(json.bytes().trim_ascii()));
    trimmed.as_text().expect("a string has text").plain().into_owned()
}

/// Plain text survives escaping, and serde_json reads escaped text the same way.
fn texts(plain: &str) {
    let text = Text::from_plain(plain);
    assert_eq!(text.plain(), plain);
    assert!(text.is(plain));
    let read: String = text.quoted().parse().expect("escaped text is a string body");
    assert_eq!(read, plain);
}

/// Deepest nesting, strings left out.
fn depth(input: &[u8]) -> u32 {
    let (mut depth, mut deepest, mut string, mut escaped) = (0_u32, 0, false, false);
    for byte in input {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string => escaped = true,
            b'"' => string = !string,
            b'{' | b'[' if !string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
