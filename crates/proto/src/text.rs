//! Borrowed pieces of JSON: [`Json`] is one whole value, [`Text`] the inside of one string, both still escaped.
//!
//! Both are reference-counted slices of the buffer that they arrived in, so carrying a token from an upstream frame
//! to a client frame copies its bytes once, into the output, and never unescapes them.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// One complete JSON value as it came: key order, number spelling and inner whitespace untouched. Always valid UTF-8 JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

/// The inside of a JSON string, without its quotes and still escaped. Always valid UTF-8 and a legal string body.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(Bytes);

impl Json {
    /// `{}`
    pub(crate) const EMPTY: Self = Self(Bytes::from_static(b"{}"));

    /// Wraps bytes that the caller knows to be one valid JSON value (a `RawValue`, or output of `serde_json`).
    pub fn from_valid(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The part of `buffer` that `raw` points into, without copying; copies when `raw` lies elsewhere.
    pub fn slice(buffer: &Bytes, raw: &serde_json::value::RawValue) -> Self {
        Self(slice_of(buffer, raw.get().as_bytes()))
    }

    /// Serialises a value of one of the gateway's own types.
    ///
    /// # Panics
    /// Never for types whose `Serialize` cannot fail, which is true of all types here.
    pub fn of<T: serde::Serialize + ?Sized>(value: &T) -> Self {
        Self(Bytes::from(serde_json::to_vec(value).expect("invariant: our types serialise")))
    }

    /// The value's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: Json holds UTF-8")
    }

    /// Parses the value into `T`, borrowing from it where `T` can.
    pub fn parse<'a, T: serde::Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.0)
    }

    /// The inside of the value when it is a string.
    pub fn as_text(&self) -> Option<Text> {
        let bytes = &self.0;
        (bytes.len() >= 2 && bytes[0] == b'"').then(|| Text(bytes.slice(1..bytes.len() - 1)))
    }
}

impl Text {
    /// Wraps bytes that the caller knows to be a legal, still escaped string body.
    pub fn from_escaped(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Escapes plain text.
    pub fn from_plain(plain: &str) -> Self {
        if !plain.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
            return Self(Bytes::copy_from_slice(plain.as_bytes()));
        }
        Json::of(plain).as_text().unwrap_or_default()
    }

    /// The still escaped bytes, ready to be put between two quotes.
    pub fn escaped(&self) -> &Bytes {
        &self.0
    }

    /// The text with escapes resolved; borrowed when it has none. A lone surrogate becomes U+FFFD.
    pub fn plain(&self) -> Cow<'_, str> {
        let body = self.as_str();
        if body.contains('\\') { Cow::Owned(unescape(body)) } else { Cow::Borrowed(body) }
    }

    /// The still escaped text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("invariant: Text holds UTF-8")
    }

    /// Whether the text equals `plain` once unescaped.
    pub fn is(&self, plain: &str) -> bool {
        self.0 == plain.as_bytes() || (self.0.contains(&b'\\') && self.plain() == plain)
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text in a buffer of its own, so that holding it does not hold the buffer that it came in.
    pub(crate) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    /// The text as a JSON string value.
    pub fn quoted(&self) -> Json {
        let mut out = Vec::with_capacity(self.0.len() + 2);
        out.push(b'"');
        out.extend_from_slice(&self.0);
        out.push(b'"');
        Json(Bytes::from(out))
    }
}

impl From<&str> for Text {
    fn from(plain: &str) -> Self {
        Self::from_plain(plain)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({})", String::from_utf8_lossy(&self.0))
    }
}

/// The bytes in a buffer of their own, so that they do not hold the chunk that they came in, whose buffer may be forty times as large;
/// large values already fill their buffer.
pub(crate) fn owned(bytes: &Bytes) -> Bytes {
    const LARGE: usize = 64 << 10;
    if bytes.len() > LARGE { bytes.clone() } else { Bytes::copy_from_slice(bytes) }
}

/// `part` as a slice of `buffer` when it lies inside, else a copy.
pub fn slice_of(buffer: &Bytes, part: &[u8]) -> Bytes {
    let range = buffer.as_ptr_range();
    let inside = part.as_ptr() >= range.start && part.as_ptr_range().end <= range.end;
    if inside { buffer.slice_ref(part) } else { Bytes::copy_from_slice(part) }
}

/// Base64 in the standard alphabet and on one line, which is all that most providers read; `None` for invalid base64. The URL alphabet and
/// line breaks are accepted, as Python's SDKs and `base64` send them.
pub(crate) fn standard_base64(text: &str) -> Option<Cow<'_, str>> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_\r\n".contains(byte)) {
        return None;
    }
    if memchr::memchr3(b'-', b'_', b'\n', bytes).is_none() && !text.contains('\r') {
        return Some(Cow::Borrowed(text));
    }
    let standard = |c| match c {
        '-' => Some('+'),
        '_' => Some('/'),
        '\r' | '\n' => None,
        other => Some(other),
    };
    let standard: String = text.chars().filter_map(standard).collect();
    (!standard.is_empty()).then_some(Cow::Owned(standard))
}

/// A media type in lower case and without its parameters; `None` for an invalid one by RFC 6838 §4.2.
pub(crate) fn media_type(text: &str) -> Option<String> {
    let kind = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let legal = |name: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(inside)
    };
    kind.split_once('/').is_some_and(|(class, sub)| legal(class) && legal(sub)).then_some(kind)
}

/// Resolves the escapes of a legal string body.
pub(crate) fn unescape(body: &str) -> String {
    let mut plain = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('b') => plain.push('\u{8}'),
            Some('f') => plain.push('\u{c}'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('t') => plain.push('\t'),
            Some('u') => {
                let (char, used) = code_point(after);
                plain.push(char);
                rest = after.get(used..).unwrap_or_default();
                continue;
            }
            Some(other) => plain.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    plain + rest
}

/// The character of `uXXXX` or `uXXXX\uXXXX` at the start of `escape`, and the length of these bytes.
fn code_point(escape: &str) -> (char, usize) {
    let unit = |at: usize| u32::from_str_radix(escape.get(at..at + 4)?, 16).ok();
    let Some(first) = unit(1) else { return (char::REPLACEMENT_CHARACTER, 1) };
    if let Some(char) = char::from_u32(first) {
        return (char, 5);
    }
    let second = if escape.get(5..7) == Some("\\u") { unit(7) } else { None };
    match (first, second) {
        (0xD800..0xDC00, Some(low @ 0xDC00..0xE000)) => {
            let point = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER), 11)
        }
        _ => (char::REPLACEMENT_CHARACTER, 5),
    }
}

#[cfg(test)]
mod tests;
