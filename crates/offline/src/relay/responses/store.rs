//! Items that the API stores for a request without `store: false`.

use serde_json::Value;

use crate::errors::{self, Reject};
use crate::responses::check::encrypted;
use crate::state::Shared;

/// The maximum of stored items; above it all are dropped.
const MOST: usize = 10_000;

/// Stores an answer's items.
pub(super) fn keep(shared: &Shared, account: &str, items: impl Iterator<Item = Value>) {
    let mut stored = shared.stored.lock();
    if stored.len() > MOST {
        stored.clear();
    }
    for mut item in items {
        // A stored reasoning item stays readable, even if the client did not ask for its encrypted content.
        if item["type"] == "reasoning" && item["encrypted_content"].is_null() {
            item["encrypted_content"] = Value::String(encrypted::mint(account));
        }
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        stored.insert((account.to_owned(), id), item);
    }
}

/// The body with references replaced by their items. Errors: 404 for an item that is not stored.
pub(super) fn resolved(shared: &Shared, account: &str, body: &Value) -> Result<Value, Reject> {
    let mut body = body.clone();
    let stored = shared.stored.lock();
    for item in body["input"].as_array_mut().into_iter().flatten() {
        let sealed = item["type"] == "reasoning" && item["encrypted_content"].is_null();
        let reference = item["type"] == "item_reference";
        if !reference && !sealed {
            continue;
        }
        let id = item["id"].as_str().unwrap_or_default().to_owned();
        match stored.get(&(account.to_owned(), id.clone())) {
            Some(found) => *item = found.clone(),
            None if reference => return Err(missing(&id)),
            None => {}
        }
    }
    Ok(body)
}

fn missing(id: &str) -> Reject {
    let message = format!("Item with id '{id}' not found.");
    Reject { status: 404, body: errors::error(&message, "invalid_request_error", Some("input"), None) }
}
