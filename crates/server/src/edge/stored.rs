//! Stored responses: read, listed, cancelled and deleted with the key that created them. For any other key, the error is the same as for
//! responses that do not exist.

#[cfg(test)]
mod tests;

use engine::{KeyId, NotCancelled};
use http::StatusCode;
use http::request::Parts;
use proto::dialect::responses::ListedItem;
use proto::{Failure, Json, Kind};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::query;
use crate::response::{HandlerResult, json, json_bytes};
use crate::route::RequestContext;

/// The default and the largest number of items on a page.
const PAGE: (usize, usize) = (20, 100);
/// The known values of `include`.
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
pub(crate) async fn one(ctx: RequestContext) -> HandlerResult {
    if query::single(&ctx.parts, "stream").is_some_and(|stream| stream != "false") {
        let why = "A stored response cannot be streamed again; leave 'stream' out";
        return Err(Failure::new(Kind::Invalid, why).at("stream").code("unsupported_parameter").into());
    }
    let response =
        ctx.app.engine.responses().get(&key(&ctx), &ctx.param).ok_or_else(|| unknown_response(&ctx.param))?;
    Ok(json_bytes(StatusCode::OK, response.bytes().clone()))
}

/// `DELETE /v1/responses/{id}`
pub(crate) async fn delete(ctx: RequestContext) -> HandlerResult {
    if !ctx.app.engine.responses().forget(&key(&ctx), &ctx.param) {
        return Err(unknown_response(&ctx.param).into());
    }
    Ok(json(StatusCode::OK, &DeleteReply { id: &ctx.param, object: "response", deleted: true }))
}

/// `POST /v1/responses/{id}/cancel`
pub(crate) async fn cancel(ctx: RequestContext) -> HandlerResult {
    match ctx.app.engine.responses().cancel(&key(&ctx), &ctx.param) {
        Ok(response) => Ok(json_bytes(StatusCode::OK, response.bytes().clone())),
        Err(NotCancelled::Unknown) => Err(unknown_response(&ctx.param).into()),
        Err(over @ NotCancelled::Over(_)) => Err(Failure::new(Kind::Invalid, over.to_string()).into()),
    }
}

/// `GET /v1/responses/{id}/input_items`. Items are always complete, so `include` adds nothing.
pub(crate) async fn items(ctx: RequestContext) -> HandlerResult {
    let page = PageQuery::of(&ctx.parts)?;
    let items =
        ctx.app.engine.responses().input_items(&key(&ctx), &ctx.param).ok_or_else(|| unknown_response(&ctx.param))?;
    let page = page.page(items)?;
    Ok(json(StatusCode::OK, &page.list()))
}

fn key(ctx: &RequestContext) -> KeyId {
    ctx.caller.clone().usage_key()
}

fn unknown_response(id: &str) -> Failure {
    let id = &id[..id.floor_char_boundary(128)];
    Failure::new(Kind::NotFound, format!("Response with id '{id}' not found.")).at("id")
}

#[derive(Serialize)]
struct DeleteReply<'a> {
    id: &'a str,
    object: &'static str,
    deleted: bool,
}

/// A page of a list.
struct ItemPage {
    /// The items, each with its id.
    items: Vec<(String, Json)>,
    more: bool,
}

/// A page as it is serialized.
#[derive(Debug, Serialize)]
struct ItemList<'a> {
    object: &'static str,
    data: Vec<&'a RawValue>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

impl ItemPage {
    fn list(&self) -> ItemList<'_> {
        let data = self.items.iter().filter_map(|(_, item)| item.parse().ok()).collect();
        let (first, last) = (self.items.first(), self.items.last());
        let [first_id, last_id] = [first, last].map(|item| item.map(|(id, _)| id.as_str()));
        ItemList { object: "list", data, first_id, last_id, has_more: self.more }
    }
}

/// The requested page.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PageQuery {
    limit: usize,
    /// Whether the newest item comes first.
    newest: bool,
    /// The id of the item before the page.
    after: Option<String>,
}

impl PageQuery {
    fn of(parts: &Parts) -> Result<Self, Failure> {
        let parameter = |name| query::single(parts, name);
        let limit = match parameter("limit").map(|limit| limit.parse()) {
            None => PAGE.0,
            Some(Ok(limit)) if (1..=PAGE.1).contains(&limit) => limit,
            Some(_) => return Err(invalid_parameter("limit", "must be a number from 1 to 100")),
        };
        let newest_first = match parameter("order").as_deref() {
            None | Some("desc") => true,
            Some("asc") => false,
            Some(_) => return Err(invalid_parameter("order", "must be 'asc' or 'desc'")),
        };
        let after = parameter("after");
        if after.as_deref().is_some_and(str::is_empty) {
            return Err(invalid_parameter("after", "must be one item's id"));
        }
        let mut included = ["include", "include[]"].into_iter().flat_map(|name| query::all(parts, name));
        if included.any(|name| !INCLUDED.contains(&name.as_str())) {
            return Err(invalid_parameter("include", &format!("may name {} only", INCLUDED.join(", "))));
        }
        Ok(Self { limit, newest: newest_first, after })
    }

    /// The page of `items`, which are in conversation order.
    fn page(&self, mut items: Vec<ListedItem>) -> Result<ItemPage, Failure> {
        if self.newest {
            items.reverse();
        }
        let start = match &self.after {
            None => 0,
            Some(after) => 1 + items.iter().position(|item| item.id() == *after).ok_or_else(unknown_cursor)?,
        };
        let rest = &items[start..];
        let page = rest.iter().take(self.limit).map(|item| (item.id(), item.json()));
        Ok(ItemPage { items: page.collect(), more: rest.len() > self.limit })
    }
}

fn invalid_parameter(name: &str, why: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("'{name}' {why}")).at(name).code("invalid_value")
}

fn unknown_cursor() -> Failure {
    Failure::new(Kind::Invalid, "There is no item of the id in 'after'").at("after").code("invalid_value")
}
