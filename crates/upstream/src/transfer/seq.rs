//! A JSON list of untrusted length.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::MOST;

/// The first [`MOST`] items of a list.
pub(super) struct BoundedList<'a> {
    pub(super) items: Vec<&'a RawValue>,
    /// Whether there were more.
    pub(super) more: bool,
}

impl<'de: 'a, 'a> Deserialize<'de> for BoundedList<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Items)
    }
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = BoundedList<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST {
            let Some(item) = seq.next_element()? else { return Ok(BoundedList { items, more: false }) };
            items.push(item);
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(BoundedList { items, more })
    }
}
