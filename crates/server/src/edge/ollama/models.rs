//! The models in the formats in which Ollama lists and describes models.

use std::collections::BTreeMap;

use http::StatusCode;
use pool::catalog::Model;
use proto::{Failure, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::super::models::{CREATED_AT, found, listed};
use super::super::run::{json_about_model, receive};
use super::without_latest_tag;
use crate::response::{HandlerResult, json};
use crate::route::RequestContext;

/// An expiry time in the far future: models are never unloaded.
const NEVER: &str = "2318-01-01T00:00:00Z";
/// The model family; clients look for the context length under its name.
const FAMILY: &str = "gpt";

#[derive(Serialize)]
struct ModelList<T> {
    models: Vec<T>,
}

#[derive(Serialize)]
struct ModelView {
    name: String,
    model: String,
    modified_at: &'static str,
    size: u64,
    digest: String,
    details: Details,
}

/// A model that is ready, as every model is.
#[derive(Serialize)]
struct Running {
    name: String,
    model: String,
    size: u64,
    digest: String,
    details: Details,
    expires_at: &'static str,
    size_vram: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_length: Option<u64>,
}

#[derive(Serialize)]
struct Details {
    parent_model: &'static str,
    format: &'static str,
    family: &'static str,
    families: [&'static str; 1],
    parameter_size: &'static str,
    quantization_level: &'static str,
}

#[derive(Deserialize)]
struct ShowRequest {
    model: Option<String>,
    /// The field of older clients.
    name: Option<String>,
}

#[derive(Serialize)]
struct ModelDetails {
    license: &'static str,
    modelfile: String,
    parameters: &'static str,
    template: &'static str,
    details: Details,
    model_info: BTreeMap<String, Value>,
    capabilities: Vec<&'static str>,
    modified_at: &'static str,
}

const DETAILS: Details = Details {
    parent_model: "",
    format: "api",
    family: FAMILY,
    families: [FAMILY],
    parameter_size: "",
    quantization_level: "",
};

/// `GET /api/tags`
pub(crate) async fn tags(ctx: RequestContext) -> HandlerResult {
    let entry = |model: Model| ModelView {
        digest: digest(&model.slug),
        name: model.slug.clone(),
        model: model.slug,
        modified_at: CREATED_AT,
        size: 0,
        details: DETAILS,
    };
    Ok(json(StatusCode::OK, &ModelList { models: listed(&ctx.app.engine).into_iter().map(entry).collect() }))
}

/// `GET /api/ps`
pub(crate) async fn ps(ctx: RequestContext) -> HandlerResult {
    let entry = |model: Model| Running {
        digest: digest(&model.slug),
        name: model.slug.clone(),
        model: model.slug,
        size: 0,
        details: DETAILS,
        expires_at: NEVER,
        size_vram: 0,
        context_length: model.context,
    };
    Ok(json(StatusCode::OK, &ModelList { models: listed(&ctx.app.engine).into_iter().map(entry).collect() }))
}

/// `POST /api/show`
pub(crate) async fn show(ctx: RequestContext) -> HandlerResult {
    let (turn, body) = receive(ctx).await?;
    let request: ShowRequest = serde_json::from_slice(&body)
        .map_err(|error| Failure::new(Kind::Invalid, format!("The body is not {{\"model\": \"...\"}}: {error}")))?;
    let name =
        request.model.or(request.name).ok_or_else(|| Failure::new(Kind::Invalid, "'model' is missing").at("model"))?;
    let engine = &turn.app.engine;
    let resolved = found(engine, without_latest_tag(&name, |name| found(engine, name).is_ok()).unwrap_or(&name))?;
    let model = &resolved.model;
    let shown = ModelDetails {
        license: "",
        modelfile: format!("FROM {}", model.slug),
        parameters: "",
        template: "",
        details: DETAILS,
        model_info: info(model),
        capabilities: capabilities(model, turn.app.settings.ollama.disable_vision),
        modified_at: CREATED_AT,
    };
    Ok(json_about_model(&resolved, &shown))
}

/// The metadata of a model file that clients read.
fn info(model: &Model) -> BTreeMap<String, Value> {
    let mut info = BTreeMap::from([
        ("general.architecture".to_owned(), Value::from(FAMILY)),
        ("general.basename".to_owned(), Value::from(model.display.clone())),
    ]);
    if let Some(context) = model.context {
        info.insert(format!("{FAMILY}.context_length"), Value::from(context));
    }
    info
}

fn capabilities(model: &Model, blind: bool) -> Vec<&'static str> {
    let sees = !blind && model.modalities.iter().any(|modality| modality == "image");
    let all = [("completion", true), ("tools", true), ("vision", sees), ("thinking", !model.efforts.is_empty())];
    all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
}

/// 64 hexadecimal digits that are derived from the name, because there is no file to hash.
fn digest(name: &str) -> String {
    let half = |space: &Uuid| Uuid::new_v5(space, name.as_bytes()).simple().to_string();
    half(&Uuid::NAMESPACE_URL) + &half(&Uuid::NAMESPACE_OID)
}
