//! Token counts: estimated from bytes, with a prompt cache per key.

use serde_json::Value;

use super::read::CheckedRequest;
use crate::state::cache::PromptCache;
pub(crate) use crate::state::cache::TOKEN;

/// The token counts of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// The token counts of a request to the ChatGPT backend; its cache requires a key.
pub(crate) fn usage(cache: &mut PromptCache, ask: &CheckedRequest<'_>, bytes: usize) -> Usage {
    let input = (bytes / TOKEN) as u64;
    let head = ["instructions", "tools"].into_iter().filter_map(|key| ask.body.get(key));
    let cached = match ask.body.get("prompt_cache_key").and_then(Value::as_str) {
        Some(key) => cache.read(ask.account, key, head.chain(ask.items)).min(input),
        None => 0,
    };
    Usage { input, cached, reasoning: reasoning(ask) }
}

fn reasoning(ask: &CheckedRequest<'_>) -> u64 {
    match ask.reasoning("effort").unwrap_or(ask.default_effort) {
        "none" => 0,
        "minimal" | "low" => 64,
        "medium" => 128,
        _ => 256,
    }
}
