//! Responses that are kept: what their objects say of it, and conversations on their way into memory and back.

use std::sync::Arc;

use bytes::BytesMut;

use super::{item, outbound};
use crate::canon::Item;
use crate::json::{Shape, emit, set};
use crate::text::{Json, Text};

/// What becomes of a response once it is over, as its objects are to say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The `store` to show; `None` leaves what the upstream says.
    pub store: Option<bool>,
    /// The `previous_response_id` to show, which no upstream knows.
    pub previous: Option<Text>,
    /// Most bytes of a response object that is worth keeping; `None`: none is.
    pub max_bytes: Option<usize>,
}

impl Stored {
    /// Whether objects must be read on their way.
    pub(super) fn reads(&self) -> bool {
        *self != Self::default()
    }

    /// The object with what is to be shown; `over` for the one that ends its response, and so is the one that is kept.
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

    /// The object, if it is one to keep.
    pub fn keep(&self, response: &Json) -> Option<Json> {
        (self.max_bytes.is_some() && !self.exceeds_cap(response)).then(|| response.clone())
    }

    fn exceeds_cap(&self, response: &Json) -> bool {
        self.max_bytes.is_some_and(|most| response.bytes().len() > most)
    }
}

/// A conversation as one list in a buffer of its own, which keeps nothing else of the request in memory; `None` when `weigh`,
/// which is told its size before anything is copied, does not bear it.
pub fn pack<W>(items: &[Item], weigh: impl FnOnce(usize) -> Option<W>) -> Option<(Json, W)> {
    let list = outbound::to_json(items);
    let size = list.iter().map(|item| item.bytes().len() + 1).sum::<usize>() + 2;
    let weight = weigh(size)?;
    let mut out = BytesMut::with_capacity(size);
    emit::array(&mut out, &list, |out, item| out.extend_from_slice(item.bytes()));
    Some((Json::from_valid(out.freeze()), weight))
}

/// The items of such a list, or of a response's `output`.
pub fn unpack(list: &Json) -> Vec<Item> {
    list.elements().map(|json| item::reply(&json)).collect()
}

/// An item as it is shown: it has an id, which is made where it has none of its own. Nothing is copied before it is asked for.
#[derive(Clone, Debug)]
pub struct ListedItem {
    item: Json,
    /// What a made id is made of: the list's name and the item's place in it.
    list: Arc<str>,
    at: usize,
}

/// The items of a list as they are shown; `name` goes into the ids that are made.
pub fn list_items(list: &Json, name: &str) -> Vec<ListedItem> {
    let name: Arc<str> = name.into();
    list.elements().enumerate().map(|(at, item)| ListedItem { item, list: Arc::clone(&name), at }).collect()
}

impl ListedItem {
    /// Its id.
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

/// How ids of such an item begin.
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
