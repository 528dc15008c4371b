//! Stored responses: read, listed, cancelled and forgotten by whoever holds the key that asked for them. For any other key there is
//! none, in the same words.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use engine::{KeyId, NotCancelled};
use http::StatusCode;
use proto::{Failure, Json, Kind};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::query;
use crate::reply::{Answer, json, whole};
use crate::route::Ask;

/// Items on a page, where the client does not say, and at most.
const PAGE: (usize, usize) = (20, 100);

/// `GET /v1/responses/{id}`
pub(crate) async fn one(ask: Ask) -> Answer {
    if query::one(&ask.parts, "stream").is_some_and(|stream| stream != "false") {
        let why = "A stored response cannot be streamed again; leave 'stream' out";
        return Err(Failure::new(Kind::Invalid, why).at("stream").code("unsupported_parameter").into());
    }
    let response = ask.app.engine.response(&key(&ask), &ask.param).ok_or_else(|| unknown(&ask.param))?;
    Ok(whole(StatusCode::OK, response.bytes().clone()))
}

/// `DELETE /v1/responses/{id}`
pub(crate) async fn forget(ask: Ask) -> Answer {
    if !ask.app.engine.forget_response(&key(&ask), &ask.param) {
        return Err(unknown(&ask.param).into());
    }
    Ok(json(StatusCode::OK, &Forgotten { id: &ask.param, object: "response", deleted: true }))
}

/// `POST /v1/responses/{id}/cancel`
pub(crate) async fn cancel(ask: Ask) -> Answer {
    match ask.app.engine.cancel_response(&key(&ask), &ask.param) {
        Ok(response) => Ok(whole(StatusCode::OK, response.bytes().clone())),
        Err(NotCancelled::Unknown) => Err(unknown(&ask.param).into()),
        Err(over @ NotCancelled::Over(_)) => Err(Failure::new(Kind::Invalid, over.to_string()).into()),
    }
}

/// `GET /v1/responses/{id}/input_items`. Items come whole, so that `include` has nothing to add.
pub(crate) async fn items(ask: Ask) -> Answer {
    let items = ask.app.engine.input_items(&key(&ask), &ask.param).ok_or_else(|| unknown(&ask.param))?;
    let wish = Wish::of(&ask)?;
    let page = wish.page(&items)?;
    Ok(whole(StatusCode::OK, Bytes::from(serde_json::to_vec(&page).expect("invariant: our answers serialise"))))
}

fn key(ask: &Ask) -> KeyId {
    ask.caller.clone().key()
}

fn unknown(id: &str) -> Failure {
    let id = &id[..id.floor_char_boundary(128)];
    Failure::new(Kind::NotFound, format!("Response with id '{id}' not found.")).at("id")
}

#[derive(Serialize)]
struct Forgotten<'a> {
    id: &'a str,
    object: &'static str,
    deleted: bool,
}

/// One page of a list.
#[derive(Debug, Serialize)]
struct Page<'a> {
    object: &'static str,
    data: Vec<&'a RawValue>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    limit: usize,
    /// Whether the newest comes first.
    newest: bool,
    /// The item before the page.
    after: Option<String>,
}

impl Wish {
    fn of(ask: &Ask) -> Result<Self, Failure> {
        let said = |name| query::one(&ask.parts, name);
        let bad = |name: &str, why: &str| Failure::new(Kind::Invalid, format!("'{name}' {why}")).at(name);
        let limit = match said("limit").map(|limit| limit.parse()) {
            None => PAGE.0,
            Some(Ok(limit)) if (1..=PAGE.1).contains(&limit) => limit,
            Some(_) => return Err(bad("limit", "must be a number from 1 to 100").code("invalid_value")),
        };
        let newest = match said("order").as_deref() {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(bad("order", "must be 'asc' or 'desc'").code("invalid_value")),
        };
        Ok(Self { limit, newest, after: said("after") })
    }

    /// The page of `items`, which are in the order in which they were said.
    fn page<'a>(&self, items: &'a [(String, Json)]) -> Result<Page<'a>, Failure> {
        let mut list: Vec<_> = items.iter().collect();
        if self.newest {
            list.reverse();
        }
        let start = match &self.after {
            None => 0,
            Some(after) => 1 + list.iter().position(|(id, _)| id == after).ok_or_else(lost)?,
        };
        let rest = &list[start..];
        let page = &rest[..rest.len().min(self.limit)];
        let data = page.iter().filter_map(|(_, item)| item.parse().ok()).collect();
        let id = |item: Option<&&'a (String, Json)>| item.map(|(id, _)| id.as_str());
        let (first_id, last_id) = (id(page.first()), id(page.last()));
        Ok(Page { object: "list", data, first_id, last_id, has_more: rest.len() > page.len() })
    }
}

fn lost() -> Failure {
    Failure::new(Kind::Invalid, "There is no item of the id in 'after'").at("after").code("invalid_value")
}
