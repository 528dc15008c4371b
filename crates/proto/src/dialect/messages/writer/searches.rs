//! Hosted searches: `server_tool_use` blocks and the `web_search_tool_result` that clients expect for each.
//!
//! The Codex backend sends no results, only citations in the text that follows; so the cited pages are written as the result
//! of the last search, after the text. Clients that list the hits of a search find the pages there.

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
    /// Pages that were cited since the last result, each once; some upstreams send the search last.
    cited: Vec<Source>,
}

impl Searches {
    /// No searches; `id` is the reply's id.
    pub(super) fn new(id: &str) -> Self {
        let seed = id.strip_prefix("msg_").unwrap_or(id).to_owned();
        Self { seed, count: 0, pending: Vec::new(), cited: Vec::new() }
    }

    /// The number of searches.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds a search; returns the id of its call.
    pub(super) fn begin(&mut self) -> Text {
        self.count += 1;
        Text::from_plain(&format!("srvtoolu_{}{}", self.seed, self.count))
    }

    /// Notes that the results of this search come later.
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

    /// The searches that still have no results, with the results to write; the last search gets the cited pages.
    pub(super) fn settle(&mut self) -> Vec<(Text, Vec<Source>)> {
        let mut found: Vec<_> = self.pending.drain(..).map(|id| (id, Vec::new())).collect();
        if let Some((_, sources)) = found.last_mut() {
            *sources = std::mem::take(&mut self.cited);
        }
        found
    }
}
