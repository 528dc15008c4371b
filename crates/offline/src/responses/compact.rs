//! `POST /backend-api/codex/responses/compact`: older clients compact a conversation with it, in one answer without a stream. Newer
//! clients end an ordinary request with `compaction_trigger`.

use serde_json::{Value, json};

use super::check::encrypted;
use super::{check, now};
use crate::account::Login;
use crate::answer::Answer;
use crate::call::Call;
use crate::errors::{self, Reject};
use crate::models;
use crate::state::Shared;
use crate::token;

/// Parameters of the public API's `/responses/compact`, and those that the client adds.
const TAKEN: [&str; 9] = [
    "model", "input", "instructions", "tools", "parallel_tool_calls", "reasoning", "service_tier", "prompt_cache_key",
    "text",
];

/// Keeps the user messages and replaces all other items by encrypted content.
pub(crate) fn answer(shared: &Shared, call: &Call, person: &Login) -> Result<Answer, Reject> {
    let body = call.json.as_ref().and_then(Value::as_object);
    let body = body.ok_or_else(|| Reject::detail(400, "Request body must be a JSON object"))?;
    let slug = body.get("model").and_then(Value::as_str).ok_or_else(|| check::missing("model"))?;
    models::find(person, slug).ok_or_else(|| check::unsupported_model(slug))?;
    if let Some(name) = body.keys().find(|name| !TAKEN.contains(&name.as_str())) {
        return Err(Reject::detail(400, format!("Unsupported parameter: {name}")));
    }
    let input =
        body.get("input").and_then(Value::as_array).ok_or_else(|| Reject::detail(400, "Input must be a list"))?;
    check::items(shared, person, body)?;
    if let Some(resets_at) = person.quota.resets_at() {
        return Err(Reject { status: 429, body: errors::usage_limit(&person.plan, resets_at) });
    }
    let mut output: Vec<Value> = input.iter().filter(|item| item["role"] == "user").cloned().collect();
    let id = format!("cmp_{}", token::hex());
    output.push(json!({ "id": id, "type": "compaction", "encrypted_content": encrypted::mint(&person.account_id) }));
    let tokens = call.body.len() / super::cache::TOKEN;
    let usage = json!({ "input_tokens": tokens, "input_tokens_details": { "cached_tokens": 0 },
        "output_tokens": 64, "output_tokens_details": { "reasoning_tokens": 0 }, "total_tokens": tokens + 64 });
    let id = format!("resp_{}", token::hex());
    let body =
        json!({ "id": id, "object": "response.compaction", "created_at": now(), "output": output, "usage": usage });
    Ok(Answer::json(200, &body))
}
