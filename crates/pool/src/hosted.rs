//! Tools that the backend runs itself and that requests get by default: the owner's setting, or that of a key.

#[cfg(test)]
mod tests;

use std::fmt;

/// A tool that the backend runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HostedTool)]
pub enum Hosted {
    /// Searches the web.
    WebSearch,
    /// Draws; only accounts whose plan has it ([`crate::Account::draws`]).
    ImageGeneration,
}

/// A word that is no hosted tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown hosted tool `{0}`; there are web_search and image_generation")]
pub struct UnknownHosted(pub String);

impl Hosted {
    /// Every tool.
    pub const ALL: [Self; 2] = [Self::WebSearch, Self::ImageGeneration];

    /// Its `type` on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::WebSearch => "web_search",
            Self::ImageGeneration => "image_generation",
        }
    }

    /// Whether a tool of this `type` is the same tool; searches have had several names (`web_search_preview_2025_03_11`).
    pub fn is(self, kind: &str) -> bool {
        match self {
            Self::WebSearch => kind.starts_with(self.name()),
            Self::ImageGeneration => kind == self.name(),
        }
    }
}

impl fmt::Display for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a list such as `web_search, image_generation`; `none` and an empty text are no tools. Each is there once. Errors:
/// [`UnknownHosted`] for the first word that is no tool.
pub fn list(text: &str) -> Result<Vec<Hosted>, UnknownHosted> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let mut tools = Vec::new();
    for word in words.filter(|_| text.trim() != "none") {
        let tool = Hosted::ALL.into_iter().find(|tool| tool.is(word)).ok_or_else(|| UnknownHosted(word.to_owned()))?;
        if !tools.contains(&tool) {
            tools.push(tool);
        }
    }
    Ok(tools)
}

/// Reads a list that a newer version may have written. Unknown words are left out.
pub fn known(text: &str) -> Vec<Hosted> {
    let words = text.split(',').map(str::trim);
    let known = |word: &str| Hosted::ALL.into_iter().find(|tool| tool.name() == word);
    words.filter_map(known).collect()
}

/// The text that [`list`] reads; empty for no tools.
pub fn text(tools: &[Hosted]) -> String {
    tools.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(",")
}
