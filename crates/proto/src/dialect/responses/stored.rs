//! Stored responses: the storage fields of their objects, and conversations packed for memory and unpacked again.

use std::sync::Arc;

use bytes::BytesMut;

use super::{item, outbound};
use crate::canon::Item;
use crate::json::{Shape, emit, set};
use crate::text::{Json, Text};

/// The storage fields that a reply's response objects show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The `store` to show; `None` leaves the upstream's value.
    pub store: Option<bool>,
    /// The `previous_response_id` to show; upstreams do not know it.
    pub previous: Option<Text>,
    /// Most bytes of a response object that is stored; `None` stores none.
    pub max_bytes: Option<usize>,
}

impl Stored {
    /// Whether response objects must be parsed as they pass.
    pub(super) fn reads(&self) -> bool {
        *self != Self::default()
    }

    /// The object with the fields to show; `over` marks the object that ends its response, which is the one that is stored.
    pub(super) fn mark(&self, response: &Json, over: bool) -> Json {
        if response.shape() != Shape::Object {
            return response.clone();
        }
        let mut marked = response.clone();
        if let Some(previous) = &self.previous {
            marked = set(&marked, "previous_response_id", &previous.quoted());
        }
        if let Some(store) = self.store {
            marked = set(&marked, "store", &Json::of(&(store && !(over && self.exceeds_cap(&marked)))));
        }
        marked
    }

    /// The object, if it is to be stored.
    pub fn keep(&self, response: &Json) -> Option<Json> {
        (self.max_bytes.is_some() && !self.exceeds_cap(response)).then(|| response.clone())
    }

    fn exceeds_cap(&self, response: &Json) -> bool {
        self.max_bytes.is_some_and(|most| response.bytes().len() > most)
    }
}

/// A conversation as one list in a separate buffer, so that the rest of the request can be freed. `weigh` gets the list's size
/// before anything is copied; `None` when `weigh` rejects it.
pub fn pack<W>(items: &[Item], weigh: impl FnOnce(usize) -> Option<W>) -> Option<(Json, W)> {
    let list = outbound::to_json(items);
    let size = list.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2;
    let weight = weigh(size)?;
    let mut out = BytesMut::with_capacity(size);
    emit::array(&mut out, &list, |out, item| out.extend_from_slice(item.bytes()));
    Some((Json::from_valid(out.freeze()), weight))
}

/// The items of a list from [`pack`], or of a response's `output`.
pub fn unpack(list: &Json) -> Vec<Item> {
    list.elements().map(|json| item::reply(&json)).collect()
}

/// An item as clients see it, with its own id or a generated one. Nothing is copied until a caller asks for the item.
#[derive(Clone, Debug)]
pub struct ListedItem {
    item: Json,
    /// The source of a generated id: the list's name and the item's position in the list.
    list: Arc<str>,
    at: usize,
}

/// The items of a list as clients see them; `name` goes into the generated ids.
pub fn list_items(list: &Json, name: &str) -> Vec<ListedItem> {
    let name: Arc<str> = name.into();
    list.elements().enumerate().map(|(at, item)| ListedItem { item, list: Arc::clone(&name), at }).collect()
}

impl ListedItem {
    /// The item's id.
    pub fn id(&self) -> String {
        self.upstream_id().map_or_else(|| self.generated_id(), |id| id.plain().into_owned())
    }

    /// The item with its id.
    pub fn json(&self) -> Json {
        if self.upstream_id().is_some() {
            self.item.clone()
        } else {
            set(&self.item, "id", &Json::of(&self.generated_id()))
        }
    }

    fn upstream_id(&self) -> Option<Text> {
        self.item.text("id").filter(|id| !id.is_empty())
    }

    fn generated_id(&self) -> String {
        format!("{}_{}_{}", prefix(&self.item), self.list, self.at)
    }
}

/// The prefix of this item's ids.
fn prefix(item: &Json) -> &'static str {
    match item.text("type").as_ref().map(|kind| kind.plain()).as_deref() {
        None | Some("message") => "msg",
        Some("function_call") => "fc",
        Some("function_call_output") => "fco",
        Some("custom_tool_call") => "ctc",
        Some("custom_tool_call_output") => "ctco",
        Some("reasoning") => "rs",
        Some(_) => "item",
    }
}
