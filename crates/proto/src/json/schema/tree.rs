//! A schema as a tree: read in one pass, changed in place, written with its original key order and number spelling.

use bytes::{BufMut, Bytes, BytesMut};

use crate::json::scan::Scan;
use crate::text::{Json, Text};

/// One value of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// Members in their order.
    Object(Vec<(Text, Tree)>),
    /// Elements.
    Array(Vec<Tree>),
    /// A string, a number or a literal.
    Leaf(Json),
}

impl Tree {
    /// Reads a value that is known to be valid and so at most [`crate::json::MAX_DEPTH`] levels deep.
    pub(super) fn of(json: &Json) -> Self {
        read(json.bytes(), &mut Scan::new(json.bytes())).unwrap_or_else(|| Self::Leaf(json.clone()))
    }

    /// An object.
    pub(super) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.into_iter().map(|(key, value)| (Text::from_plain(key), value)).collect())
    }

    /// A string.
    pub(super) fn string(plain: &str) -> Self {
        Self::Leaf(Text::from_plain(plain).quoted())
    }

    /// An array of these strings.
    pub(super) fn strings<'t>(texts: impl IntoIterator<Item = &'t Text>) -> Self {
        Self::Array(texts.into_iter().map(|text| Self::Leaf(text.quoted())).collect())
    }

    /// `true`, `false`, `null` or a number.
    pub(super) fn literal(word: &'static str) -> Self {
        Self::Leaf(Json::from_valid(Bytes::from_static(word.as_bytes())))
    }

    /// The value as JSON text.
    pub(super) fn json(&self) -> Json {
        let mut out = BytesMut::with_capacity(256);
        self.write(&mut out);
        Json::from_valid(out.freeze())
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Leaf(json) => out.put_slice(json.bytes()),
            Self::Array(elements) => crate::json::emit::array(out, elements, |out, element| element.write(out)),
            Self::Object(members) => {
                out.put_u8(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.put_u8(b',');
                    }
                    crate::json::emit::quote(out, key);
                    out.put_u8(b':');
                    value.write(out);
                }
                out.put_u8(b'}');
            }
        }
    }

    /// The members of an object; none for other values.
    pub(super) fn members(&self) -> &[(Text, Self)] {
        if let Self::Object(members) = self { members } else { &[] }
    }

    /// The elements of an array; none for other values.
    pub(super) fn elements(&self) -> &[Self] {
        if let Self::Array(elements) = self { elements } else { &[] }
    }

    /// The last member called `name`.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    /// The last member called `name`.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Self> {
        let Self::Object(members) = self else { return None };
        members.iter_mut().rev().find(|(key, _)| key.is(name)).map(|(_, value)| value)
    }

    /// Whether there is a member called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Takes all members called `name` out and returns the last of them.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let mut last = None;
        while let Some(at) = members.iter().rposition(|(key, _)| key.is(name)) {
            let (_, value) = members.remove(at);
            last.get_or_insert(value);
        }
        last
    }

    /// Sets the member `name`, at its position or at the end.
    pub(super) fn set(&mut self, name: &str, value: Self) {
        match self.get_mut(name) {
            Some(old) => *old = value,
            None => {
                if let Self::Object(members) = self {
                    members.push((Text::from_plain(name), value));
                }
            }
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<Text> {
        if let Self::Leaf(json) = self { json.as_text() } else { None }
    }

    /// Whether the value is this literal.
    pub(super) fn is_literal(&self, word: &str) -> bool {
        matches!(self, Self::Leaf(json) if json.bytes().as_ref() == word.as_bytes())
    }
}

fn read(bytes: &Bytes, scan: &mut Scan<'_>) -> Option<Tree> {
    match scan.next_token()? {
        b'{' => {
            scan.bump();
            let mut members = Vec::new();
            while !closes(scan, b'}')? {
                let key = scan.string(false).ok()?;
                scan.expect(b':').ok()?;
                let key = Text::from_escaped(bytes.slice(key.start..key.end));
                members.push((key, read(bytes, scan)?));
            }
            Some(Tree::Object(members))
        }
        b'[' => {
            scan.bump();
            let mut elements = Vec::new();
            while !closes(scan, b']')? {
                elements.push(read(bytes, scan)?);
            }
            Some(Tree::Array(elements))
        }
        _ => {
            let start = scan.at();
            scan.skip_checked()?;
            Some(Tree::Leaf(Json::from_valid(bytes.slice(start..scan.at()))))
        }
    }
}

/// Reads a comma, or the closing bracket of the container.
pub(super) fn closes(scan: &mut Scan<'_>, closing: u8) -> Option<bool> {
    let mut next = scan.next_token()?;
    if next == b',' {
        scan.bump();
        next = scan.next_token()?;
    }
    if next == closing {
        scan.bump();
        return Some(true);
    }
    Some(false)
}
