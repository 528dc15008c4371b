//! Puts a JSON value on one line, so that it fits into a frame.

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::valid;
use crate::text::Json;

/// The same value on one line. JSON has line ends only between its tokens, where a space is equivalent, so a value cut out of a body or of
/// several data lines can go into a frame of another stream. Bytes that are not JSON do not change.
pub(crate) fn line(value: Bytes) -> Bytes {
    if memchr2(b'\n', b'\r', &value).is_none() || !valid(&value) {
        return value;
    }
    let mut line = BytesMut::from(value);
    for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    line.freeze()
}

/// The data of an upstream's frame as JSON in one line; invalid UTF-8 becomes U+FFFD if the data is valid JSON then.
pub(crate) fn readable(data: Bytes) -> Option<Json> {
    if valid(&data) {
        return Some(Json::from_valid(line(data)));
    }
    let lossy = String::from_utf8_lossy(&data).into_owned();
    valid(lossy.as_bytes()).then(|| Json::from_valid(line(Bytes::from(lossy))))
}
