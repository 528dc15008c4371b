//! The models that requests may use, in the list formats of OpenAI, Anthropic and Google. Three vendors share `/v1/models`, so the protocol
//! of the request decides.

mod anthropic;
mod google;
mod openai;

use engine::Engine;
use http::StatusCode;
use pool::catalog::{Model, Resolved};
use pool::limits;
use proto::{Dialect, Failure, Kind};

use super::run::json_about_model;
use super::{codex, gemini};
use crate::query;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// The creation time of every model in Unix seconds; the catalogue has no such time, and clients only sort by it.
const CREATED: u64 = 1_700_000_000;
/// The creation time in RFC 3339.
pub(super) const CREATED_AT: &str = "2023-11-14T22:13:20Z";

/// `GET /v1/models` and its variants: the listed models, best first. `?refresh=true` refreshes the lists of accounts and relays first.
pub(crate) async fn list(ctx: RequestContext) -> HandlerResult {
    if query::single(&ctx.parts, "refresh").is_some_and(|value| matches!(value.as_str(), "true" | "1")) {
        ctx.app.engine.models().refresh(limits::MODELS_REFRESH_INTERVALS.1).await;
    }
    // Only Codex names its version; Codex's list has all models, including hidden ones.
    if ctx.dialect == Dialect::Chat && query::single(&ctx.parts, "client_version").is_some() {
        return codex::models(ctx).await;
    }
    let models = listed(&ctx.app.engine);
    match ctx.dialect {
        Dialect::Messages => anthropic::list(&ctx, models),
        Dialect::Gemini => google::list(&ctx, models),
        _ => Ok(json(StatusCode::OK, &openai::ModelList::of(ctx.app.engine.models().list()))),
    }
}

/// `GET /v1/models/{name}` and its variants: any name that a request may use, including hidden models and aliases.
pub(crate) async fn one(ctx: RequestContext) -> HandlerResult {
    let google = ctx.dialect == Dialect::Gemini;
    let name = if google { gemini::model(&ctx.param) } else { ctx.param.as_str() };
    let resolved = found(&ctx.app.engine, name)?;
    let owner = ctx.app.engine.models().owner(name);
    let model = resolved.model.clone();
    Ok(match ctx.dialect {
        Dialect::Messages => {
            json_about_model(&resolved, &anthropic::ModelView::of(name, model, resolved.retired_from.is_some()))
        }
        Dialect::Gemini => json_about_model(&resolved, &google::ModelView::of(name, model)),
        _ => json_about_model(&resolved, &openai::ModelView::of(name, model, owner)),
    })
}

/// The models that lists show.
pub(super) fn listed(engine: &Engine) -> Vec<Model> {
    engine.models().catalog().into_iter().filter(|model| model.listed).collect()
}

/// Resolves a model's name.
pub(super) fn found(engine: &Engine, name: &str) -> Result<Resolved, Failure> {
    if name.is_empty() {
        return Err(Failure::new(Kind::ModelNotFound, "No model is named").code("model_not_found"));
    }
    engine.models().resolve(Some(name))
}

/// The part of a list that one page shows, and whether more follows.
struct Page {
    models: Vec<Model>,
    more: bool,
}

impl Page {
    /// Up to `size` models from `start` on.
    fn cut(mut models: Vec<Model>, start: usize, size: usize) -> Self {
        models.drain(..start.min(models.len()));
        let more = models.len() > size;
        models.truncate(size);
        Self { models, more }
    }
}

/// The page size in the query parameter `name`.
fn page_size(ctx: &RequestContext, name: &'static str, (usual, most): (usize, usize)) -> Result<usize, Failure> {
    let Some(text) = query::single(&ctx.parts, name) else { return Ok(usual) };
    let size = text.parse::<usize>().ok().filter(|size| (1..=most).contains(size));
    size.ok_or_else(|| Failure::new(Kind::Invalid, format!("'{name}' is a number from 1 to {most}")).at(name))
}
