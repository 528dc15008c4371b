//! Anthropic's list format: pages by the ids at their ends.

mod capabilities;

use http::StatusCode;
use pool::catalog::Model;
use proto::{Failure, Kind};
use serde::Serialize;

use self::capabilities::Capabilities;
use super::{CREATED_AT, Page, page_size};
use crate::query;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The default and the largest number of entries on a page.
const PAGE: (usize, usize) = (20, 1000);
/// [`pool::catalog::RETIRED`] in RFC 3339.
const RETIRED_AT: &str = "2026-06-01T00:00:00Z";

#[derive(Serialize)]
struct ModelPage {
    data: Vec<ModelView>,
    has_more: bool,
    first_id: Option<String>,
    last_id: Option<String>,
}

/// A model, with every field of `ModelInfo` in the official SDKs (`@anthropic-ai/sdk` 1.11.0).
#[derive(Serialize)]
pub(super) struct ModelView {
    r#type: &'static str,
    id: String,
    display_name: String,
    created_at: &'static str,
    /// `deprecated` for a retired model's name, which its successor serves.
    lifecycle: &'static str,
    deprecated_at: Option<&'static str>,
    retires_at: Option<&'static str>,
    /// The vendor's own line of models; these models belong to none.
    line: Option<&'static str>,
    max_input_tokens: Option<u64>,
    max_tokens: Option<u64>,
    /// `None` where the model's capabilities are unknown.
    capabilities: Option<Capabilities>,
}

impl ModelView {
    /// A model under the requested name.
    pub(super) fn of(name: &str, model: Model, retired: bool) -> Self {
        Self {
            r#type: "model",
            id: name.to_owned(),
            lifecycle: if retired { "deprecated" } else { "active" },
            deprecated_at: retired.then_some(RETIRED_AT),
            retires_at: None,
            line: None,
            created_at: CREATED_AT,
            capabilities: Capabilities::of(&model),
            max_input_tokens: model.context,
            max_tokens: model.max_output,
            display_name: model.display,
        }
    }
}

/// One page: after `after_id`, or the one that ends before `before_id`.
pub(super) fn list(ctx: &RequestContext, models: Vec<Model>) -> HandlerResult {
    let size = page_size(ctx, "limit", PAGE)?;
    let place = |name: &'static str| match query::single(&ctx.parts, name) {
        None => Ok(None),
        Some(id) => match models.iter().position(|model| model.slug == id) {
            Some(at) => Ok(Some(at)),
            None => Err(Failure::new(Kind::Invalid, format!("'{name}' is not the id of a listed model")).at(name)),
        },
    };
    let page = match (place("after_id")?, place("before_id")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::new(Kind::Invalid, "Only one of after_id and before_id may be given").into());
        }
        (Some(at), None) => Page::cut(models, at + 1, size),
        (None, Some(at)) => {
            let start = at.saturating_sub(size);
            let page = Page::cut(models, start, at - start);
            Page { more: start > 0, ..page }
        }
        (None, None) => Page::cut(models, 0, size),
    };
    let data: Vec<_> = page.models.into_iter().map(|model| ModelView::of(&model.slug.clone(), model, false)).collect();
    let id = |entry: Option<&ModelView>| entry.map(|entry| entry.id.clone());
    let (first_id, last_id) = (id(data.first()), id(data.last()));
    Ok(json(StatusCode::OK, &ModelPage { data, has_more: page.more, first_id, last_id }))
}
