//! Changes single members of an object; the other members and their order do not change.

use bytes::{BufMut, BytesMut};

use crate::text::{Json, Text};

/// The edit of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The member does not change.
    Keep,
    /// The member is removed.
    Drop,
    /// The member gets this value.
    Set(Json),
}

/// `object` with each member edited and `extra` members at its end. Unchanged objects are returned as they came.
pub(crate) fn patch(
    object: &Json,
    mut edit: impl FnMut(&Text, &Json) -> Edit,
    extra: impl IntoIterator<Item = (&'static str, Json)>,
) -> Json {
    let mut out = BytesMut::with_capacity(object.bytes().len() + 64);
    let mut changed = false;
    out.put_u8(b'{');
    for (key, value) in object.fields() {
        let edit = edit(&key, &value);
        changed |= edit != Edit::Keep;
        match edit {
            Edit::Keep => member(&mut out, key.escaped(), &value),
            Edit::Set(value) => member(&mut out, key.escaped(), &value),
            Edit::Drop => {}
        }
    }
    for (key, value) in extra {
        changed = true;
        member(&mut out, key.as_bytes(), &value);
    }
    out.put_u8(b'}');
    if changed { Json::from_valid(out.freeze()) } else { object.clone() }
}

/// `object` with the member `name` set to `value`, at its position or at the end.
pub fn set(object: &Json, name: &'static str, value: &Json) -> Json {
    let mut same = None;
    for (key, old) in object.fields() {
        if key.is(name) {
            same = Some(same.unwrap_or(true) && old == *value);
        }
    }
    match same {
        Some(true) => object.clone(),
        Some(false) => patch(object, |key, _| if key.is(name) { Edit::Set(value.clone()) } else { Edit::Keep }, []),
        None => patch(object, |_, _| Edit::Keep, [(name, value.clone())]),
    }
}

fn member(out: &mut BytesMut, key: &[u8], value: &Json) {
    if out.len() > 1 {
        out.put_u8(b',');
    }
    out.put_u8(b'"');
    out.put_slice(key);
    out.put_slice(b"\":");
    out.put_slice(value.bytes());
}

/// Sets the field `key` among `fields`, at its position or at the end.
pub(crate) fn upsert(fields: &mut Vec<(Text, Json)>, key: Text, value: Json) {
    match fields.iter_mut().find(|(name, _)| *name == key) {
        Some((_, old)) => *old = value,
        None => fields.push((key, value)),
    }
}
