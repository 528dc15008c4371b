//! Google's list format: resource names, and pages by tokens.

use http::StatusCode;
use pool::catalog::Model;
use proto::{Failure, Kind};
use serde::Serialize;

use super::{Page, page_size};
use crate::query;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The default and the largest number of entries on a page.
const PAGE: (usize, usize) = (50, 1000);
/// The methods of every model.
const METHODS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ModelPage {
    models: Vec<ModelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ModelView {
    name: String,
    base_model_id: String,
    version: &'static str,
    display_name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input_token_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_token_limit: Option<u64>,
    supported_generation_methods: [&'static str; 3],
    thinking: bool,
}

impl ModelView {
    /// A model under the requested name.
    pub(super) fn of(name: &str, model: Model) -> Self {
        Self {
            name: format!("models/{name}"),
            base_model_id: model.slug,
            version: "1",
            description: model.display.clone(),
            display_name: model.display,
            input_token_limit: model.context,
            output_token_limit: model.max_output,
            supported_generation_methods: METHODS,
            thinking: !model.efforts.is_empty(),
        }
    }
}

/// One page; the page token is the position of the next page.
pub(super) fn list(ctx: &RequestContext, models: Vec<Model>) -> HandlerResult {
    let size = page_size(ctx, "pageSize", PAGE)?;
    let start = match query::single(&ctx.parts, "pageToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .map_err(|_| Failure::new(Kind::Invalid, "'pageToken' is not one of ours").at("pageToken"))?,
    };
    let page = Page::cut(models, start, size);
    let next_page_token = page.more.then(|| (start + size).to_string());
    let models = page.models.into_iter().map(|model| ModelView::of(&model.slug.clone(), model)).collect();
    Ok(json(StatusCode::OK, &ModelPage { models, next_page_token }))
}
