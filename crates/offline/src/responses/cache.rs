//! Token counts: estimated from bytes, with a prompt cache that remembers what came before under the same key.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use super::read::Ask;

/// What one request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) reasoning: u64,
}

/// A token is about four bytes.
const TOKEN: usize = 4;
/// The real cache begins at 1,024 tokens and counts in steps of 128.
const SMALLEST: u64 = 1_024;
const STEP: u64 = 128;
/// Keys remembered before all are forgotten.
const KEYS: usize = 4_096;

/// The last prompt under each key: a hash and a length for each of its parts.
#[derive(Default)]
pub(crate) struct Cache {
    prompts: HashMap<(String, String), Vec<(u64, usize)>>,
}

impl Cache {
    pub(crate) fn usage(&mut self, account: &str, ask: &Ask<'_>, bytes: usize) -> Usage {
        let input = (bytes / TOKEN) as u64;
        let cached = match ask.body.get("prompt_cache_key").and_then(Value::as_str) {
            Some(key) => self.cached(account, key, ask).min(input),
            None => 0,
        };
        Usage { input, cached, reasoning: reasoning(ask) }
    }

    fn cached(&mut self, account: &str, key: &str, ask: &Ask<'_>) -> u64 {
        let head = ["instructions", "tools"].into_iter().filter_map(|key| ask.body.get(key));
        let parts: Vec<(u64, usize)> = head.chain(ask.items).map(part).collect();
        if self.prompts.len() >= KEYS {
            self.prompts.clear();
        }
        let before = self.prompts.entry((account.to_owned(), key.to_owned())).or_default();
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

fn reasoning(ask: &Ask<'_>) -> u64 {
    match ask.reasoning("effort").unwrap_or(ask.model.default_effort) {
        "none" => 0,
        "minimal" | "low" => 64,
        "medium" => 128,
        _ => 256,
    }
}
