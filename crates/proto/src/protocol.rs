//! The names of the protocols.

/// A protocol that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI Responses.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
    /// Google Gemini.
    Gemini,
    /// Ollama; the gateway speaks Chat to an Ollama upstream, which serves that protocol too.
    Ollama,
}

/// A protocol that upstreams speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// OpenAI Responses; also the Codex backend's.
    Responses,
    /// OpenAI Chat Completions.
    Chat,
    /// Anthropic Messages.
    Messages,
    /// Google Gemini.
    Gemini,
}

impl From<Wire> for Dialect {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Responses => Self::Responses,
            Wire::Chat => Self::Chat,
            Wire::Messages => Self::Messages,
            Wire::Gemini => Self::Gemini,
        }
    }
}
