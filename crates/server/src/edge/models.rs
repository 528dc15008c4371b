//! The model list in OpenAI's shape, with what the catalogue knows beyond it.

use http::StatusCode;
use pool::catalog::Model;
use proto::{Failure, Kind};
use serde::Serialize;

use crate::reply::{Answer, json};
use crate::route::Ask;

/// OpenAI's `created`; the catalogue has no such figure and clients only sort by it.
const CREATED: u64 = 1_700_000_000;

#[derive(Serialize)]
struct List {
    object: &'static str,
    data: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_reasoning_effort: Option<String>,
    supported_reasoning_efforts: Vec<String>,
    input_modalities: Vec<String>,
    service_tiers: Vec<String>,
}

impl From<Model> for Entry {
    fn from(model: Model) -> Self {
        Self {
            id: model.slug,
            object: "model",
            created: CREATED,
            owned_by: "openai",
            display_name: model.display,
            context_window: model.context,
            max_context_window: model.max_context,
            default_reasoning_effort: model.default_effort,
            supported_reasoning_efforts: model.efforts,
            input_modalities: model.modalities,
            service_tiers: model.tiers,
        }
    }
}

/// `GET /v1/models`: the listed ones, best first.
pub(crate) async fn list(ask: Ask) -> Answer {
    let data = ask.app.engine.models().into_iter().filter(|model| model.listed).map(Entry::from).collect();
    Ok(json(StatusCode::OK, &List { object: "list", data }))
}

/// `GET /v1/models/{id}`: any name that a request may use, hidden models and aliases too.
pub(crate) async fn one(ask: Ask) -> Answer {
    let name = ask.param;
    let slug = ask.app.engine.resolve(Some(&name))?.model.slug;
    let model = ask.app.engine.models().into_iter().find(|model| model.slug == slug);
    let Some(model) = model else {
        return Err(Failure::new(Kind::ModelNotFound, "No such model").into());
    };
    Ok(json(StatusCode::OK, &Entry { id: name, ..model.into() }))
}
