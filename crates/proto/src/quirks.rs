//! Differences between upstreams, by host and by model name, as of 2026. The dialects ask this module and contain no names themselves; a
//! new provider or model is a line of this file. Differences that a reply itself shows are not here: the readers accept every form.

/// The host of Google's own Gemini API.
pub const GOOGLE: &str = "generativelanguage.googleapis.com";

/// Hosts that refuse a chat request with a field that OpenAI's API does not have, such as `top_k` or `reasoning_content`.
const STRICT: [&str; 5] = ["api.openai.com", "api.groq.com", "api.mistral.ai", "api.cerebras.ai", GOOGLE];

/// Whether the host refuses fields that OpenAI's API does not have.
pub fn is_strict(host: &str) -> bool {
    STRICT.contains(&host) || is_azure(host)
}

/// Whether the host accepts tools with free text in Chat: only OpenAI's own API does, also on Azure.
pub fn takes_free_text_tools(host: &str) -> bool {
    host == "api.openai.com" || is_azure(host)
}

fn is_azure(host: &str) -> bool {
    host.ends_with(".openai.azure.com")
}

/// Chat's name for the limit of output tokens: OpenAI's reasoning models refuse `max_tokens`, and most other servers know only that name.
pub(crate) fn output_limit(model: &str) -> &'static str {
    let is_reasoning = has_prefix(model, &["o1", "o3", "o4", "gpt-5", "gpt-6", "codex"]);
    if is_reasoning { "max_completion_tokens" } else { "max_tokens" }
}

/// Whether Chat may send reasoning back with the calls that followed it: `DeepSeek` and Kimi require it, OpenAI's API has no such field.
pub(crate) fn takes_thoughts(model: &str) -> bool {
    !has_prefix(model, &["o1", "o3", "o4", "gpt-", "chatgpt-", "codex"])
}

/// The reasoning mode of a Messages model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaudeThinking {
    /// The model does not reason.
    Never,
    /// The model reasons within a budget of tokens.
    Budget,
    /// The model chooses the budget itself.
    Adaptive,
}

impl ClaudeThinking {
    /// The mode by the model's name. Claude's are `claude-3-7-sonnet-...` and, later, `claude-sonnet-4-6[-date]`.
    pub(crate) fn of(model: &str) -> Self {
        let name = without_vendor(model).to_ascii_lowercase();
        let Some((_, rest)) = name.split_once("claude") else { return Self::Budget };
        // Dates are not versions.
        let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|word| (1..=2).contains(&word.len()));
        let mut number = || numbers.next().and_then(|word| word.parse::<u32>().ok());
        match (number(), number().unwrap_or(0)) {
            (Some(major), minor) if (major, minor) < (3, 7) => Self::Never,
            (Some(major), minor) if (major, minor) < (4, 6) => Self::Budget,
            // A family without a number is newer than this list.
            _ => Self::Adaptive,
        }
    }
}

/// The reasoning mode of a Gemini model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeminiThinking {
    /// Unknown: no setting is sent.
    Unknown,
    /// The model reasons within a budget of tokens (2.5).
    Budget {
        /// The budget for no reasoning.
        none: u64,
        /// The smallest budget.
        least: u64,
        /// The largest budget.
        most: u64,
    },
    /// The model takes one of these levels, lowest first, and requires signatures (3 and later).
    Level(&'static [&'static str]),
}

impl GeminiThinking {
    /// The mode by the model's name.
    pub(crate) fn of(model: &str) -> Self {
        let name = without_vendor(model);
        let Some(version) = name.strip_prefix("gemini-") else { return Self::Unknown };
        let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
        let pro = version.contains("pro");
        match version[..digits].parse::<u32>() {
            Ok(3) if pro && !version.starts_with("3.") => Self::Level(&["low", "high"]),
            Ok(3..) if pro => Self::Level(&["low", "medium", "high"]),
            Ok(3..) => Self::Level(&["minimal", "low", "medium", "high"]),
            // 2.5 Pro accepts a somewhat larger budget than the others, and cannot stop reasoning.
            Ok(2) if version.starts_with("2.5") && pro => Self::Budget { none: 128, least: 128, most: 32_768 },
            Ok(2) if version.starts_with("2.5") => {
                let least = if version.contains("lite") { 512 } else { 128 };
                Self::Budget { none: 0, least, most: 24_576 }
            }
            Err(_) if version.ends_with("-latest") && pro => Self::Level(&["low", "medium", "high"]),
            Err(_) if version.ends_with("-latest") => Self::Level(&["minimal", "low", "medium", "high"]),
            _ => Self::Unknown,
        }
    }
}

/// The model's name without the vendor before it.
fn without_vendor(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

fn has_prefix(model: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| without_vendor(model).starts_with(prefix))
}

#[cfg(test)]
mod tests;
