//! Models that the owner adds to the catalogue, and the owner's changes to listed models.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use proto::text::Json;
use serde_json::value::{RawValue, to_raw_value};

use super::Model;

/// Priority of custom models: after every model that is listed with a priority.
const LAST: i64 = i64::MAX - 1;
/// The owner's description of a model. A field that is `None` stays as listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomModel {
    /// The relay that has the model; `None` for the accounts.
    pub relay: Option<String>,
    /// The name by which accounts or the relay know it.
    pub slug: String,
    /// Whether requests take the lite shape, as those for the backend's newer models do.
    pub lite: Option<bool>,
    /// The name for people.
    pub display: Option<String>,
    /// Efforts, lowest first.
    pub efforts: Option<Vec<String>>,
    /// Effort when a request names none.
    pub default_effort: Option<String>,
    /// Service tiers (`priority`).
    pub tiers: Option<Vec<String>>,
    /// Context window, tokens.
    pub context: Option<u64>,
    /// Largest context window, tokens.
    pub max_context: Option<u64>,
    /// Most output tokens of one answer.
    pub max_output: Option<u64>,
    /// Input modalities (`text`, `image`).
    pub modalities: Option<Vec<String>>,
    /// The description that Codex clients show.
    pub description: Option<String>,
}

impl CustomModel {
    /// Replaces the entry's fields by those that the row sets.
    pub(super) fn overlay(&self, model: &mut Model) {
        replace(&mut model.lite, self.lite.as_ref());
        replace(&mut model.display, self.display.as_ref());
        replace(&mut model.efforts, self.efforts.as_ref());
        replace(&mut model.tiers, self.tiers.as_ref());
        replace(&mut model.modalities, self.modalities.as_ref());
        fill(&mut model.default_effort, self.default_effort.as_ref());
        fill(&mut model.max_output, self.max_output.as_ref());
        if self.windows() {
            // A configured window replaces both listed windows, so a larger listed one does not survive.
            model.context = self.context.or(self.max_context);
            model.max_context = self.max_context.or(self.context);
        }
        model.raw = self.raw(&model.raw);
    }

    /// The row as a new entry, based on `known`.
    pub(super) fn model(&self, known: Option<&Model>) -> Model {
        let known = known.cloned().unwrap_or_else(|| Model::bare(&self.slug));
        let mut model = Model { priority: LAST, custom: true, listed: true, ..known };
        self.overlay(&mut model);
        model
    }

    fn windows(&self) -> bool {
        self.context.is_some() || self.max_context.is_some()
    }

    /// The backend's entry without the fields that the row sets, so that they are written again.
    fn raw(&self, came: &Json) -> Json {
        let mut entry: BTreeMap<String, Box<RawValue>> = serde_json::from_str(came.as_str()).unwrap_or_default();
        let overrides: [(bool, &[&str]); 8] = [
            // The owner also decides the position and the visibility.
            (true, &["visibility", "priority"]),
            (self.lite.is_some(), &["use_responses_lite"]),
            (self.display.is_some(), &["display_name"]),
            (self.windows(), &["context_window", "max_context_window"]),
            (self.efforts.is_some(), &["supported_reasoning_levels"]),
            (self.default_effort.is_some(), &["default_reasoning_level"]),
            (self.tiers.is_some(), &["service_tiers", "additional_speed_tiers", "default_service_tier"]),
            (self.modalities.is_some(), &["input_modalities"]),
        ];
        for key in overrides.into_iter().filter(|(set, _)| *set).flat_map(|(_, keys)| keys) {
            entry.remove(*key);
        }
        if let Some(description) = &self.description {
            let words = to_raw_value(description).expect("invariant: a text serialises");
            entry.insert("description".to_owned(), words);
        }
        Json::from_valid(serde_json::to_vec(&entry).expect("invariant: raw values serialise").into())
    }
}

fn replace<T: Clone>(target: &mut T, value: Option<&T>) {
    if let Some(value) = value {
        target.clone_from(value);
    }
}

fn fill<T: Clone>(target: &mut Option<T>, value: Option<&T>) {
    if value.is_some() {
        *target = value.cloned();
    }
}
