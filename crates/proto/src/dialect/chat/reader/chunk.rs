//! A whole body as the only chunk of a stream.

use bytes::{BufMut, Bytes, BytesMut};

use crate::json::patch::{Edit, patch, set};
use crate::json::{self, Shape, emit};
use crate::text::{Json, Text};

/// The frame of the chunk; `None` if the body is not a JSON object.
pub(super) fn of(body: &Bytes) -> Option<Bytes> {
    let body = json::readable(body.clone()).filter(|body| body.shape() == Shape::Object)?;
    let edit = |key: &Text, value: &Json| match key.as_str() {
        "object" => Edit::Set(Json::of("chat.completion.chunk")),
        "choices" => Edit::Set(list(value, |_, choice| self::choice(&choice))),
        _ => Edit::Keep,
    };
    let chunk = patch(&body, edit, []);
    let mut bytes = BytesMut::with_capacity(chunk.bytes().len() + 8);
    bytes.put_slice(b"data: ");
    bytes.put_slice(chunk.bytes());
    bytes.put_slice(b"\n\n");
    Some(bytes.freeze())
}

/// A choice with a `delta` instead of its `message`.
fn choice(choice: &Json) -> Json {
    let Some(message) = choice.get("message").filter(|_| choice.get("delta").is_none()) else { return choice.clone() };
    let edit = |key: &Text, value: &Json| {
        if key.is("tool_calls") { Edit::Set(list(value, numbered)) } else { Edit::Keep }
    };
    let delta = patch(&message, edit, []);
    patch(
        choice,
        |key, _| if key.is("message") || key.is("delta") { Edit::Drop } else { Edit::Keep },
        [("delta", delta)],
    )
}

/// A call with the `index` that calls have in chunks.
fn numbered(at: usize, call: Json) -> Json {
    if call.shape() == Shape::Object { set(&call, "index", &Json::of(&at)) } else { call }
}

/// The array with `change` applied to each element; other values unchanged.
fn list(value: &Json, change: impl Fn(usize, Json) -> Json) -> Json {
    if value.shape() != Shape::Array {
        return value.clone();
    }
    let mut out = BytesMut::with_capacity(value.bytes().len());
    emit::array(&mut out, value.elements().enumerate(), |out, (at, element)| {
        out.put_slice(change(at, element).bytes());
    });
    Json::from_valid(out.freeze())
}
