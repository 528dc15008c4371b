//! OpenAI's list format, with additional fields from the catalogue.

use engine::ListedModel;
use pool::catalog::Model;
use serde::Serialize;

use super::CREATED;

#[derive(Serialize)]
pub(super) struct ModelList {
    object: &'static str,
    data: Vec<ModelView>,
}

#[derive(Serialize)]
pub(super) struct ModelView {
    id: String,
    object: &'static str,
    created: u64,
    /// The relay that serves the model, else OpenAI.
    owned_by: String,
    display_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_reasoning_effort: Option<String>,
    supported_reasoning_efforts: Vec<String>,
    input_modalities: Vec<String>,
    service_tiers: Vec<String>,
}

impl ModelList {
    pub(super) fn of(shown: Vec<ListedModel>) -> Self {
        let entry = |ListedModel { model, owner }: ListedModel| ModelView::of(&model.slug.clone(), model, owner);
        Self { object: "list", data: shown.into_iter().map(entry).collect() }
    }
}

impl ModelView {
    /// A model under the requested name.
    pub(super) fn of(name: &str, model: Model, owner: Option<String>) -> Self {
        Self {
            id: name.to_owned(),
            object: "model",
            created: CREATED,
            owned_by: owner.unwrap_or_else(|| "openai".to_owned()),
            display_name: model.display,
            context_window: model.context,
            max_context_window: model.max_context,
            max_output_tokens: model.max_output,
            default_reasoning_effort: model.default_effort,
            supported_reasoning_efforts: model.efforts,
            input_modalities: model.modalities,
            service_tiers: model.tiers,
        }
    }
}
