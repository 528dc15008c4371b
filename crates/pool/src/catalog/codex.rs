//! The catalogue for Codex clients. A client silently drops a list when an entry lacks a key that it knows (seen with 0.169.0 on
//! 2026-11-21). So every entry is completed: the backend's fields stay as they came, and missing fields get our values.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use super::{Catalog, Model};

/// Instructions for models whose entry has none from the backend.
const INSTRUCTIONS: &str = include_str!("../../data/instructions.md");
/// The largest priority; clients read it as 32 bits.
const LAST: i64 = 1_000_000;
/// What the efforts mean.
const EFFORTS: [(&str, &str); 8] = [
    ("none", "No thinking"),
    ("minimal", "Hardly any thinking"),
    ("low", "Short thinking"),
    ("medium", "Balanced thinking"),
    ("high", "Long thinking"),
    ("xhigh", "Very long thinking"),
    ("max", "All the thinking there is"),
    ("ultra", "All the thinking there is, shared among helpers"),
];

/// The list of all models for Codex clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodexList {
    /// Changes with the body.
    pub etag: String,
    /// `{"models":[...]}`.
    pub body: Bytes,
}

/// Whose model an entry is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Account,
    Relay,
}

/// Every key of an entry, as of client 0.169.0.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the client's shape")]
struct ModelBody<'a> {
    slug: &'a str,
    display_name: &'a str,
    description: &'a str,
    default_reasoning_level: Option<&'a str>,
    supported_reasoning_levels: Vec<Level<'a>>,
    shell_type: &'static str,
    visibility: &'static str,
    supported_in_api: bool,
    priority: i64,
    additional_speed_tiers: &'static [&'static str],
    service_tiers: Vec<Tier<'a>>,
    default_service_tier: Option<&'a str>,
    availability_nux: Option<&'a str>,
    upgrade: Option<&'a str>,
    model_messages: Option<&'a str>,
    base_instructions: &'static str,
    include_skills_usage_instructions: bool,
    include_plugin_usage_instructions: bool,
    include_apps_usage_instructions: bool,
    default_reasoning_summary: &'static str,
    support_verbosity: bool,
    default_verbosity: Option<&'static str>,
    apply_patch_tool_type: Option<&'static str>,
    web_search_tool_type: &'static str,
    truncation_policy: Truncation,
    supports_image_detail_original: bool,
    context_window: Option<u64>,
    max_context_window: Option<u64>,
    comp_hash: Option<&'static str>,
    effective_context_window_percent: u8,
    experimental_supported_tools: [&'static str; 0],
    input_modalities: Vec<&'a str>,
    supports_search_tool: bool,
    supports_experimental_context: bool,
    use_responses_lite: bool,
    supports_reasoning_effort_updates: bool,
    node_repl_auto_review_required: bool,
    node_repl_disabled: bool,
    tool_mode: Option<&'static str>,
    multi_agent_version: Option<&'static str>,
    multi_agent_reasoning_effort: Option<&'static str>,
    model_specialty: Option<&'static str>,
}

#[derive(Serialize)]
struct Level<'a> {
    effort: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Tier<'a> {
    id: &'a str,
    name: &'static str,
    description: &'static str,
}

#[derive(Serialize)]
struct Truncation {
    mode: &'static str,
    limit: u32,
}

#[derive(Serialize)]
struct ModelsBody {
    models: Vec<Box<RawValue>>,
}

impl Catalog {
    /// Every model of the accounts, hidden ones included, then those of the relays.
    pub fn codex(&self) -> CodexList {
        let own = self.models().iter().map(completed);
        let relays = self.offers().map(|offer| raw(&ModelBody::of(offer.name, offer.model, Owner::Relay)));
        let body = serde_json::to_vec(&ModelsBody { models: own.chain(relays).collect() });
        let body = Bytes::from(body.expect("invariant: raw values serialise"));
        let digest = Sha256::digest(&body);
        let etag = digest[..12].iter().fold(String::new(), |etag, byte| format!("{etag}{byte:02x}"));
        CodexList { etag: format!("W/\"{etag}\""), body }
    }
}

/// An account's entry as it came, with its missing fields.
fn completed(model: &Model) -> Box<RawValue> {
    let came: BTreeMap<String, Box<RawValue>> = serde_json::from_str(model.raw.as_str()).unwrap_or_default();
    let filled = raw(&ModelBody::of(&model.slug, model, Owner::Account));
    let mut entry: BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(filled.get()).expect("invariant: an entry is an object");
    let narrowed = narrowed(model, &came);
    if narrowed.is_empty() && entry.keys().all(|key| came.contains_key(key)) {
        return serde_json::from_str(model.raw.as_str()).expect("invariant: it was read as JSON before");
    }
    entry.extend(came);
    entry.extend(narrowed);
    raw(&entry)
}

/// The windows that are smaller than the listed ones, as learned from refusals.
fn narrowed(model: &Model, came: &BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Box<RawValue>> {
    let windows = [("context_window", model.context), ("max_context_window", model.max_context)];
    let smaller = |(key, window): (&str, Option<u64>)| {
        let (window, text) = (window?, came.get(key)?.get());
        #[expect(clippy::cast_precision_loss, reason = "windows are small numbers")]
        let larger = text.parse::<f64>().is_ok_and(|number| number > window as f64);
        (text == "null" || larger).then(|| (key.to_owned(), raw(&window)))
    };
    windows.into_iter().filter_map(smaller).collect()
}

fn raw<T: Serialize>(value: &T) -> Box<RawValue> {
    to_raw_value(value).expect("invariant: entries have string keys only")
}

impl<'a> ModelBody<'a> {
    fn of(name: &'a str, model: &'a Model, owner: Owner) -> Self {
        let account = owner == Owner::Account;
        let modality = |name: &&str| matches!(*name, "text" | "image");
        let known: Vec<_> = model.modalities.iter().map(String::as_str).filter(modality).collect();
        Self {
            slug: name,
            display_name: &model.display,
            description: &model.display,
            default_reasoning_level: model.default_effort.as_deref(),
            supported_reasoning_levels: model.efforts.iter().map(|effort| Level::of(effort)).collect(),
            shell_type: "unified_exec",
            visibility: if model.listed { "list" } else { "hide" },
            supported_in_api: true,
            priority: model.priority.clamp(0, LAST),
            additional_speed_tiers: if model.tiers.is_empty() { &[] } else { &["fast"] },
            service_tiers: model.tiers.iter().map(|tier| Tier::of(tier)).collect(),
            default_service_tier: None,
            availability_nux: None,
            upgrade: None,
            model_messages: None,
            base_instructions: INSTRUCTIONS,
            include_skills_usage_instructions: !model.lite,
            include_plugin_usage_instructions: false,
            include_apps_usage_instructions: false,
            default_reasoning_summary: "none",
            support_verbosity: account,
            default_verbosity: account.then_some("low"),
            // Relays of other protocols know no free-form tools.
            apply_patch_tool_type: account.then_some("freeform"),
            web_search_tool_type: if account { "text_and_image" } else { "text" },
            truncation_policy: Truncation { mode: "tokens", limit: 10_000 },
            supports_image_detail_original: account,
            context_window: model.context,
            max_context_window: model.max_context.or(model.context),
            comp_hash: None,
            effective_context_window_percent: 95,
            experimental_supported_tools: [],
            input_modalities: if known.is_empty() { vec!["text"] } else { known },
            supports_search_tool: account,
            supports_experimental_context: false,
            use_responses_lite: model.lite,
            supports_reasoning_effort_updates: false,
            node_repl_auto_review_required: false,
            node_repl_disabled: false,
            tool_mode: None,
            multi_agent_version: None,
            multi_agent_reasoning_effort: None,
            model_specialty: None,
        }
    }
}

impl<'a> Level<'a> {
    fn of(effort: &'a str) -> Self {
        let description = EFFORTS.iter().find(|(known, _)| *known == effort).map_or(effort, |(_, words)| words);
        Self { effort, description }
    }
}

impl<'a> Tier<'a> {
    fn of(id: &'a str) -> Self {
        Self { id, name: "Fast", description: "Answers sooner and uses more of the quota" }
    }
}
