//! The models of each API: their lists, and the parameters that each model accepts.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::errors::{self, Reject};
use crate::plan::api::Api;

/// One model of an API.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Model {
    pub(super) id: &'static str,
    /// The display name.
    name: &'static str,
    pub(super) kind: Kind,
    /// The maximum of input tokens.
    window: u64,
    /// The maximum of output tokens.
    pub(super) output: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An open model on a server that ignores unknown members.
    Open,
    /// An open model that also shows its reasoning as `reasoning_content`.
    OpenReasoning,
    /// Accepts sampling parameters but no effort.
    Plain,
    /// Accepts an effort but no sampling parameters.
    Reasoning,
    /// Requires the signatures of its calls in later requests.
    Signing,
    Embedding,
    Speech,
    Transcription,
    Image,
}

const fn model(id: &'static str, name: &'static str, kind: Kind) -> Model {
    Model { id, name, kind, window: 200_000, output: 64_000 }
}

static CHAT: [Model; 9] = [
    model("llama-4-scout", "Llama 4 Scout", Kind::Open),
    model("deepseek-r2", "DeepSeek R2", Kind::OpenReasoning),
    model("qwen/qwen3-coder", "Qwen3 Coder", Kind::Open),
    model("gpt-4.1-mini", "GPT-4.1 mini", Kind::Plain),
    model("gpt-5-nano", "GPT-5 nano", Kind::Reasoning),
    model("text-embedding-3-small", "Embedding", Kind::Embedding),
    model("gpt-4o-mini-tts", "Speech", Kind::Speech),
    model("whisper-1", "Transcription", Kind::Transcription),
    model("gpt-image-1", "Images", Kind::Image),
];

static RESPONSES: [Model; 4] = [
    model("gpt-5-mini", "GPT-5 mini", Kind::Reasoning),
    model("gpt-4.1", "GPT-4.1", Kind::Plain),
    model("text-embedding-3-large", "Embedding", Kind::Embedding),
    model("gpt-image-1", "Images", Kind::Image),
];

static MESSAGES: [Model; 3] = [
    Model { output: 128_000, ..model("claude-opus-5-5", "Claude Opus 5.5", Kind::Reasoning) },
    model("claude-sonnet-5-5", "Claude Sonnet 5.5", Kind::Reasoning),
    model("claude-haiku-5", "Claude Haiku 5", Kind::Reasoning),
];

static GEMINI: [Model; 4] = [
    Model { window: 1_048_576, output: 65_536, ..model("gemini-3.8-pro", "Gemini 3.8 Pro", Kind::Signing) },
    Model { window: 1_048_576, output: 65_536, ..model("gemini-3.8-flash", "Gemini 3.8 Flash", Kind::Reasoning) },
    Model { window: 1_048_576, output: 65_536, ..model("gemini-3.5-flash-lite", "Flash Lite", Kind::Reasoning) },
    model("gemini-embedding-001", "Gemini Embedding", Kind::Embedding),
];

fn of(api: Api) -> &'static [Model] {
    match api {
        Api::Backend => &[],
        Api::Chat => &CHAT,
        Api::Responses => &RESPONSES,
        Api::Messages => &MESSAGES,
        Api::Gemini => &GEMINI,
    }
}

/// A model by its name. Errors: the API's 404.
pub(super) fn find(api: Api, id: &str) -> Result<&'static Model, Reject> {
    let found = of(api).iter().find(|model| model.id == id);
    found.ok_or_else(|| match api {
        Api::Messages => api.refusal(404, &format!("model: {id}")),
        Api::Gemini => api.refusal(
            404,
            &format!("models/{id} is not found for API version v1beta, or is not supported for generateContent. Call ListModels to see the list of available models and their supported methods."),
        ),
        _ => {
            let message = format!("The model `{id}` does not exist or you do not have access to it.");
            let body = errors::error(&message, "invalid_request_error", None, Some("model_not_found"));
            Reject { status: 404, body }
        }
    })
}

/// The list, or one of its entries.
pub(super) fn answer(api: Api, path: &str, query: &str) -> Result<Answer, Reject> {
    let id = path.split_once("/models/").map(|(_, id)| id.replace("%2F", "/").replace("%2f", "/"));
    let body = match id {
        Some(id) => entry(api, find(api, &id)?),
        None => list(api, query)?,
    };
    Ok(Answer::json(200, &body))
}

fn list(api: Api, query: &str) -> Result<Value, Reject> {
    match api {
        Api::Messages => pages(query),
        Api::Gemini => tokens(query),
        _ => {
            let entries: Vec<Value> = of(api).iter().map(|model| entry(api, model)).collect();
            Ok(json!({ "object": "list", "data": entries }))
        }
    }
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Anthropic's pages: `limit` entries after the model `after_id`.
fn pages(query: &str) -> Result<Value, Reject> {
    let limit: usize = match parameter(query, "limit").map(|limit| limit.parse()) {
        None => 20,
        Some(Ok(limit @ 1..=1000)) => limit,
        Some(_) => return Err(Api::Messages.refusal(400, "limit: Input should be between 1 and 1000")),
    };
    let after = parameter(query, "after_id");
    let from = after.and_then(|id| MESSAGES.iter().position(|model| model.id == id)).map_or(0, |at| at + 1);
    let rest = &MESSAGES[from..];
    let page = &rest[..rest.len().min(limit)];
    let entries: Vec<Value> = page.iter().map(|model| entry(Api::Messages, model)).collect();
    let name = |model: Option<&Model>| model.map(|model| model.id);
    Ok(json!({
        "data": entries,
        "has_more": page.len() < rest.len(),
        "first_id": name(page.first()),
        "last_id": name(page.last()),
    }))
}

/// Google's pages: `pageSize` entries from the position in `pageToken`.
fn tokens(query: &str) -> Result<Value, Reject> {
    let size: usize = parameter(query, "pageSize").and_then(|size| size.parse().ok()).unwrap_or(50).max(1);
    let from = match parameter(query, "pageToken").filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => {
            let at = token.strip_prefix("offline-").and_then(|at| at.parse().ok());
            let at = at.filter(|at| *at <= GEMINI.len());
            at.ok_or_else(|| Api::Gemini.refusal(400, "Page token is invalid."))?
        }
    };
    let to = (from + size).min(GEMINI.len());
    let entries: Vec<Value> = GEMINI[from..to].iter().map(|model| entry(Api::Gemini, model)).collect();
    let mut body = json!({ "models": entries });
    if to < GEMINI.len() {
        body["nextPageToken"] = json!(format!("offline-{to}"));
    }
    Ok(body)
}

fn entry(api: Api, model: &Model) -> Value {
    match api {
        Api::Messages => json!({
            "type": "model",
            "id": model.id,
            "display_name": model.name,
            "created_at": "2026-10-01T00:00:00Z",
            "max_input_tokens": model.window,
            "max_tokens": model.output,
        }),
        Api::Gemini => json!({
            "name": format!("models/{}", model.id),
            "version": "001",
            "displayName": model.name,
            "description": format!("{} of the offline backend", model.name),
            "inputTokenLimit": model.window,
            "outputTokenLimit": model.output,
            "supportedGenerationMethods": if model.kind == Kind::Embedding {
                json!(["embedContent"])
            } else {
                json!(["generateContent", "countTokens"])
            },
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": model.kind != Kind::Embedding,
        }),
        _ => {
            let owner = if matches!(model.kind, Kind::Open | Kind::OpenReasoning) { "community" } else { "openai" };
            let mut entry = json!({ "id": model.id, "object": "model", "created": 1_764_000_000, "owned_by": owner });
            if owner == "community" {
                entry["context_length"] = json!(model.window);
            }
            entry
        }
    }
}
