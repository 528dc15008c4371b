//! Stored responses: read, listed, cancelled and forgotten by whoever holds the key that asked for them. For any other key there is
//! none, in the same words.

#[cfg(test)]
mod tests;

use engine::{KeyId, NotCancelled};
use http::StatusCode;
use http::request::Parts;
use proto::dialect::responses::Shown;
use proto::{Failure, Json, Kind};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::query;
use crate::reply::{Answer, json, whole};
use crate::route::Ask;

/// Items on a page, where the client does not say, and at most.
const PAGE: (usize, usize) = (20, 100);
/// What a client may want to see beside the items' usual fields.
const INCLUDED: [&str; 8] = [
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
];

/// `GET /v1/responses/{id}`
pub(crate) async fn one(ask: Ask) -> Answer {
    if query::one(&ask.parts, "stream").is_some_and(|stream| stream != "false") {
        let why = "A stored response cannot be streamed again; leave 'stream' out";
        return Err(Failure::new(Kind::Invalid, why).at("stream").code("unsupported_parameter").into());
    }
    let response = ask.app.engine.responses().get(&key(&ask), &ask.param).ok_or_else(|| unknown(&ask.param))?;
    Ok(whole(StatusCode::OK, response.bytes().clone()))
}

/// `DELETE /v1/responses/{id}`
pub(crate) async fn forget(ask: Ask) -> Answer {
    if !ask.app.engine.responses().forget(&key(&ask), &ask.param) {
        return Err(unknown(&ask.param).into());
    }
    Ok(json(StatusCode::OK, &Forgotten { id: &ask.param, object: "response", deleted: true }))
}

/// `POST /v1/responses/{id}/cancel`
pub(crate) async fn cancel(ask: Ask) -> Answer {
    match ask.app.engine.responses().cancel(&key(&ask), &ask.param) {
        Ok(response) => Ok(whole(StatusCode::OK, response.bytes().clone())),
        Err(NotCancelled::Unknown) => Err(unknown(&ask.param).into()),
        Err(over @ NotCancelled::Over(_)) => Err(Failure::new(Kind::Invalid, over.to_string()).into()),
    }
}

/// `GET /v1/responses/{id}/input_items`. Items come whole, so that `include` has nothing to add.
pub(crate) async fn items(ask: Ask) -> Answer {
    let wish = Wish::of(&ask.parts)?;
    let items = ask.app.engine.responses().input_items(&key(&ask), &ask.param).ok_or_else(|| unknown(&ask.param))?;
    let page = wish.page(items)?;
    Ok(json(StatusCode::OK, &page.list()))
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

/// A part of a list.
struct Page {
    /// Each with its id.
    items: Vec<(String, Json)>,
    more: bool,
}

/// The same as it is written.
#[derive(Debug, Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<&'a RawValue>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

impl Page {
    fn list(&self) -> List<'_> {
        let data = self.items.iter().filter_map(|(_, item)| item.parse().ok()).collect();
        let (first, last) = (self.items.first(), self.items.last());
        let [first_id, last_id] = [first, last].map(|item| item.map(|(id, _)| id.as_str()));
        List { object: "list", data, first_id, last_id, has_more: self.more }
    }
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
    fn of(parts: &Parts) -> Result<Self, Failure> {
        let said = |name| query::one(parts, name);
        let limit = match said("limit").map(|limit| limit.parse()) {
            None => PAGE.0,
            Some(Ok(limit)) if (1..=PAGE.1).contains(&limit) => limit,
            Some(_) => return Err(bad("limit", "must be a number from 1 to 100")),
        };
        let newest = match said("order").as_deref() {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(bad("order", "must be 'asc' or 'desc'")),
        };
        let after = said("after");
        if after.as_deref().is_some_and(str::is_empty) {
            return Err(bad("after", "must be one item's id"));
        }
        let mut included = ["include", "include[]"].into_iter().flat_map(|name| query::all(parts, name));
        if included.any(|name| !INCLUDED.contains(&name.as_str())) {
            return Err(bad("include", &format!("may name {} only", INCLUDED.join(", "))));
        }
        Ok(Self { limit, newest, after })
    }

    /// The page of `items`, which are in the order in which they were said.
    fn page(&self, mut items: Vec<Shown>) -> Result<Page, Failure> {
        if self.newest {
            items.reverse();
        }
        let start = match &self.after {
            None => 0,
            Some(after) => 1 + items.iter().position(|item| item.id() == *after).ok_or_else(lost)?,
        };
        let rest = &items[start..];
        let page = rest.iter().take(self.limit).map(|item| (item.id(), item.json()));
        Ok(Page { items: page.collect(), more: rest.len() > self.limit })
    }
}

fn bad(name: &str, why: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("'{name}' {why}")).at(name).code("invalid_value")
}

fn lost() -> Failure {
    Failure::new(Kind::Invalid, "There is no item of the id in 'after'").at("after").code("invalid_value")
}
