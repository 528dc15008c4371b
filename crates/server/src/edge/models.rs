//! The models that can be asked for, as OpenAI, Anthropic and Google list theirs. Three vendors share `/v1/models`, so the protocol of
//! the request decides.

mod anthropic;
mod google;
mod openai;

use engine::Engine;
use http::StatusCode;
use pool::catalog::{Model, Resolved};
use pool::limits;
use proto::{Dialect, Failure, Kind};

use super::run::told;
use super::{gemini, native};
use crate::query;
use crate::reply::{Answer, json};
use crate::route::Ask;

/// When the models were made, in Unix seconds; the catalogue has no such figure and clients only sort by it.
const CREATED: u64 = 1_700_000_000;
/// The same in RFC 3339.
pub(super) const CREATED_AT: &str = "2023-11-14T22:13:20Z";

/// `GET /v1/models` and its like: the listed ones, best first. `?refresh=true` waits until accounts and relays were asked for theirs.
pub(crate) async fn list(ask: Ask) -> Answer {
    if query::one(&ask.parts, "refresh").is_some_and(|wish| matches!(wish.as_str(), "true" | "1")) {
        ask.app.engine.models().refresh(limits::MODELS_ASKED.1).await;
    }
    // Only Codex names its version; its list has everything, hidden models too.
    if ask.dialect == Dialect::Chat && query::one(&ask.parts, "client_version").is_some() {
        return native::models(ask).await;
    }
    let models = listed(&ask.app.engine);
    match ask.dialect {
        Dialect::Messages => anthropic::list(&ask, models),
        Dialect::Gemini => google::list(&ask, models),
        _ => Ok(json(StatusCode::OK, &openai::List::of(ask.app.engine.models().list()))),
    }
}

/// `GET /v1/models/{name}` and its like: any name that a request may use, hidden models and aliases too.
pub(crate) async fn one(ask: Ask) -> Answer {
    let google = ask.dialect == Dialect::Gemini;
    let name = if google { gemini::model(&ask.param) } else { ask.param.as_str() };
    let resolved = found(&ask.app.engine, name)?;
    let owner = ask.app.engine.models().owner(name);
    let model = resolved.model.clone();
    Ok(match ask.dialect {
        Dialect::Messages => told(&resolved, &anthropic::Entry::of(name, model, resolved.retired_from.is_some())),
        Dialect::Gemini => told(&resolved, &google::Entry::of(name, model)),
        _ => told(&resolved, &openai::Entry::of(name, model, owner)),
    })
}

/// The models to show.
pub(super) fn listed(engine: &Engine) -> Vec<Model> {
    engine.models().catalog().into_iter().filter(|model| model.listed).collect()
}

/// What a name means.
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

/// How many entries a page may have, from the member `name` of the query.
fn page_size(ask: &Ask, name: &'static str, (usual, most): (usize, usize)) -> Result<usize, Failure> {
    let Some(text) = query::one(&ask.parts, name) else { return Ok(usual) };
    let size = text.parse::<usize>().ok().filter(|size| (1..=most).contains(size));
    size.ok_or_else(|| Failure::new(Kind::Invalid, format!("'{name}' is a number from 1 to {most}")).at(name))
}
