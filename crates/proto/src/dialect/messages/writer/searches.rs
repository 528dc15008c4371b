//! Hosted searches: `server_tool_use` blocks and the `web_search_tool_result` that clients expect for each.
//!
//! The Codex backend names no results, only citations in the text that follows; so what the text cites is given as the result
//! of the last search, behind the text. Clients that list the hits of a search find them there.

use crate::text::{Json, Text};

use super::super::encode;

/// A page: URL and title.
pub(super) type Source = (Text, Option<Text>);

/// The searches of one reply.
#[derive(Debug)]
pub(super) struct Searches {
    /// Part of the ids of the calls.
    seed: String,
    count: u64,
    /// Ids of searches without results so far.
    pending: Vec<Text>,
    /// Pages that were cited since the last result, each once; some upstreams tell of the search last.
    cited: Vec<Source>,
}

impl Searches {
    /// No searches; `id` is that of the reply.
    pub(super) fn new(id: &str) -> Self {
        let seed = id.strip_prefix("msg_").unwrap_or(id).to_owned();
        Self { seed, count: 0, pending: Vec::new(), cited: Vec::new() }
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// A search; gives the id of its call.
    pub(super) fn begin(&mut self) -> Text {
        self.count += 1;
        Text::from_plain(&format!("srvtoolu_{}{}", self.seed, self.count))
    }

    /// The results of this search come later.
    pub(super) fn wait(&mut self, id: Text) {
        self.pending.push(id);
    }

    /// Notes a citation.
    pub(super) fn cite(&mut self, data: &Json) {
        let Some(source) = encode::cited(data) else { return };
        if !self.cited.iter().any(|(url, _)| *url == source.0) {
            self.cited.push(source);
        }
    }

    /// The searches that have waited long enough, with their results; the last one has what was cited.
    pub(super) fn settle(&mut self) -> Vec<(Text, Vec<Source>)> {
        let mut found: Vec<_> = self.pending.drain(..).map(|id| (id, Vec::new())).collect();
        if let Some((_, sources)) = found.last_mut() {
            *sources = std::mem::take(&mut self.cited);
        }
        found
    }
}
