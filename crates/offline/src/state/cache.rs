//! The prompt cache: the last prompt under each key.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

/// The estimated size of a token, bytes.
pub(crate) const TOKEN: usize = 4;
/// The real cache starts at 1,024 tokens and counts in steps of 128.
const SMALLEST: u64 = 1_024;
const STEP: u64 = 128;
/// The maximum of stored keys; above it all are dropped.
const KEYS: usize = 4_096;

/// The last prompt under each key: a hash and a length per part.
#[derive(Default)]
pub(crate) struct PromptCache {
    prompts: HashMap<(String, String), Vec<(u64, usize)>>,
}

impl PromptCache {
    /// The number of tokens that this prompt shares with the previous one. Stores this prompt.
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
