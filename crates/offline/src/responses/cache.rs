//! Token counts: estimated from bytes, with a prompt cache that remembers what came before under the same key.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::read::CheckedRequest;

/// A token is about four bytes.
pub(crate) const TOKEN: usize = 4;
/// The real cache begins at 1,024 tokens and counts in steps of 128.
const SMALLEST: u64 = 1_024;
const STEP: u64 = 128;
/// Keys remembered before all are forgotten.
const KEYS: usize = 4_096;

/// What one request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// What a request of the ChatGPT backend counts; its cache works under a key only.
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

/// The last prompt under each key: a hash and a length for each of its parts.
#[derive(Default)]
pub(crate) struct PromptCache {
    prompts: HashMap<(String, String), Vec<(u64, usize)>>,
}

impl PromptCache {
    /// Tokens that the prompt before had in common with this one, which takes its place.
    pub(crate) fn read<'a>(&mut self, who: &str, key: &str, parts: impl Iterator<Item = &'a Value>) -> u64 {
        let parts: Vec<(u64, usize)> = parts.map(part).collect();
        if self.prompts.len() >= KEYS {
            self.prompts.clear();
        }
        let before = self.prompts.entry((who.to_owned(), key.to_owned())).or_default();
        let common = before.iter().zip(&parts).take_while(|(was, is)| was == is);
        let tokens = (common.map(|(_, (_, length))| length).sum::<usize>() / TOKEN) as u64;
        *before = parts;
        if tokens < SMALLEST { 0 } else { tokens / STEP * STEP }
    }
}

fn part(value: &Value) -> (u64, usize) {
    let text = value.to_string();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    (hasher.finish(), text.len())
}
