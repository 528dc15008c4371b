//! The model catalogue: `GET /backend-api/codex/models`.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::account::Login;
use crate::answer::Answer;
use crate::call::{Call, header};
use crate::errors::Reject;

/// A model: the facts that the backend checks requests against, and those of its catalogue entry.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) slug: &'static str,
    name: &'static str,
    priority: u32,
    listed: bool,
    /// The context window and its maximum, in thousands of tokens.
    context: (u32, u32),
    pub(crate) default_effort: &'static str,
    /// The number of [`EFFORTS`] that the model accepts.
    efforts: usize,
    upgrade: Option<&'static str>,
    pub(crate) lite: bool,
    pub(crate) fast: bool,
}

const EFFORTS: [(&str, &str); 6] = [
    ("low", "Short thinking"),
    ("medium", "Balanced thinking"),
    ("high", "Long thinking"),
    ("xhigh", "Very long thinking"),
    ("max", "All the thinking there is"),
    ("ultra", "Thinking shared among helpers"),
];

const fn model(slug: &'static str, name: &'static str, priority: u32) -> Model {
    Model {
        slug,
        name,
        priority,
        listed: true,
        context: (272, 872),
        default_effort: "medium",
        efforts: 6,
        upgrade: None,
        lite: true,
        fast: true,
    }
}

/// Facts of the catalogue as of client 0.169.0.
static MODELS: [Model; 12] = [
    Model { default_effort: "low", ..model("gpt-6.1-sol", "GPT-6.1-Sol", 1) },
    Model { default_effort: "low", ..model("gpt-6-astra", "GPT-6-Astra", 2) },
    model("gpt-6-sol", "GPT-6-Sol", 3),
    Model { efforts: 5, ..model("gpt-6-luna", "GPT-6-Luna", 4) },
    Model { default_effort: "low", upgrade: Some("gpt-6-sol"), ..model("gpt-5.6-sol", "GPT-5.6-Sol", 5) },
    Model { default_effort: "low", context: (500, 872), ..model("gpt-6.1-terra", "GPT-6.1 Terra", 7) },
    Model { upgrade: Some("gpt-6-sol"), ..model("gpt-5.6-terra", "GPT-5.6-Terra", 8) },
    Model { efforts: 5, upgrade: Some("gpt-6-luna"), ..model("gpt-5.6-luna", "GPT-5.6-Luna", 9) },
    Model {
        listed: false,
        default_effort: "low",
        fast: false,
        ..model("gpt-daybreak-blue-latest", "Daybreak Blue", 11)
    },
    Model { listed: false, context: (372, 372), fast: false, ..model("gpt-daybreak-red-latest", "Daybreak Red", 12) },
    Model {
        efforts: 4,
        context: (272, 272),
        upgrade: Some("gpt-6-sol"),
        lite: false,
        ..model("gpt-5.5", "GPT-5.5", 13)
    },
    Model { listed: false, efforts: 5, ..model("codex-auto-review", "Codex Auto Review", 43) },
];

/// The models that an account may use.
fn of(person: &Login) -> impl Iterator<Item = &'static Model> {
    let allowed =
        |model: &&Model| person.models.as_ref().is_none_or(|slugs| slugs.iter().any(|slug| slug == model.slug));
    MODELS.iter().filter(allowed)
}

/// A model by its slug, if the account may use it.
pub(crate) fn find(person: &Login, slug: &str) -> Option<&'static Model> {
    of(person).find(|model| model.slug == slug)
}

/// The ETag of an account's list.
pub(crate) fn etag(person: &Login) -> String {
    let mut hash = Sha256::new();
    for model in of(person) {
        hash.update(model.slug);
    }
    format!("W/\"{}\"", &BASE64_URL_SAFE_NO_PAD.encode(hash.finalize())[..22])
}

impl Model {
    pub(crate) fn efforts(&self) -> impl Iterator<Item = &'static str> {
        EFFORTS[..self.efforts].iter().map(|(effort, _)| *effort)
    }

    /// The catalogue entry, with every key of client 0.169.0; the texts are written for this backend.
    fn entry(&self) -> Value {
        let levels = &EFFORTS[..self.efforts];
        let fast = json!({ "id": "priority", "name": "Fast", "description": "Answers sooner, counts more" });
        let upgrade =
            self.upgrade.map(|to| json!({ "model": to, "migration_markdown": format!("{to} follows this model.\n") }));
        let instructions = format!("You are {}, played by an offline backend. Help with the task at hand.", self.name);
        let mut entry = json!({
            "slug": self.slug,
            "display_name": self.name,
            "description": format!("{} of the offline backend.", self.name),
            "default_reasoning_level": self.default_effort,
            "supported_reasoning_levels": levels.iter().map(|(effort, text)| json!({ "effort": effort, "description": text })).collect::<Vec<_>>(),
            "shell_type": "unified_exec",
            "visibility": if self.listed { "list" } else { "hide" },
            "supported_in_api": true,
            "priority": self.priority,
            "additional_speed_tiers": if self.fast { json!(["fast"]) } else { json!([]) },
            "service_tiers": if self.fast { json!([fast]) } else { json!([]) },
            "default_service_tier": null,
            "availability_nux": null,
            "upgrade": upgrade,
            "model_messages": { "instructions_template": instructions, "instructions_variables": null, "approvals": null },
            "base_instructions": instructions,
        });
        let facts = self.facts();
        if let (Some(entry), Value::Object(facts)) = (entry.as_object_mut(), facts) {
            entry.extend(facts);
        }
        entry
    }

    /// The capabilities, the second half of the entry.
    fn facts(&self) -> Value {
        json!({
            "include_skills_usage_instructions": !self.lite,
            "include_plugin_usage_instructions": self.upgrade.is_some(),
            "include_apps_usage_instructions": self.upgrade.is_some(),
            "default_reasoning_summary": "none",
            "support_verbosity": true,
            "default_verbosity": "low",
            "apply_patch_tool_type": "freeform",
            "web_search_tool_type": "text_and_image",
            "truncation_policy": { "mode": "tokens", "limit": 10_000 },
            "supports_image_detail_original": true,
            "context_window": self.context.0 * 1000,
            "max_context_window": self.context.1 * 1000,
            "comp_hash": if self.lite { "3000" } else { "2911" },
            "effective_context_window_percent": 95,
            "experimental_supported_tools": [],
            "input_modalities": ["text", "image"],
            "supports_search_tool": true,
            "supports_experimental_context": false,
            "use_responses_lite": self.lite,
            "supports_reasoning_effort_updates": false,
            "node_repl_auto_review_required": false,
            "node_repl_disabled": false,
            "tool_mode": self.lite.then_some("code_mode_only"),
            "multi_agent_version": if self.lite { "v2" } else { "v1" },
            "multi_agent_reasoning_effort": null,
            "model_specialty": (!self.fast).then_some("cyber"),
        })
    }
}

/// The list, or 304 when the client's ETag is current.
pub(crate) fn answer(call: &Call, person: &Login) -> Result<Answer, Reject> {
    let query = call.uri.query().unwrap_or_default();
    let version = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "client_version");
    if version.is_none_or(|(_, value)| value.split('.').count() != 3) {
        return Err(Reject::detail(400, "client_version is required"));
    }
    let etag = etag(person);
    let mut answer = if header(&call.headers, "if-none-match") == Some(etag.as_str()) {
        Answer::empty(304)
    } else {
        let models: Vec<Value> = of(person).map(Model::entry).collect();
        Answer::json(200, &json!({ "models": models }))
    };
    answer.header("etag", &etag);
    Ok(answer)
}
