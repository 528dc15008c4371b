//! What a refusal says in numbers about a model's limits: how long a conversation may be, and how much of an answer may be asked
//! for. Pure reading of the words that upstreams are known to use; what names no number says nothing.

#[cfg(test)]
mod tests;

use crate::failure::{Failure, Kind};

/// The numbers of a refusal, as they were said; nobody has checked them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens that the model's context holds.
    pub window: Option<u64>,
    /// Tokens of the refused prompt, as the upstream counted them. Only beside a window.
    pub prompt: Option<u64>,
    /// Most output tokens that the model takes.
    pub output: Option<u64>,
}

/// Ways to name the window, in lower case: `#w` is the window, `#p` the prompt, `#n` any number.
const WINDOWS: &[&str] = &[
    // Anthropic.
    "prompt is too long: #p tokens > #w maximum",
    "exceed context limit: #p + #n > #w",
    // OpenAI, Azure, vLLM, DeepSeek, OpenRouter.
    "maximum context length is #w tokens",
    "maximum context length of #w tokens",
    "maximum context length (#w)",
    "context window of #w tokens",
    // Google.
    "input token count (#p) exceeds the maximum number of tokens allowed (#w)",
    "exceeds the maximum number of tokens allowed (#w)",
    "exceeds the maximum number of tokens allowed #w",
    // llama.cpp, LM Studio and others upon it.
    "request (#p tokens) exceeds the available context size (#w tokens)",
    "(n_prompt_tokens: #p, n_ctx: #w)",
    "n_ctx: #w",
    "configured context size is #w tokens",
    // xAI.
    "maximum prompt length is #w but the request contains #p tokens",
    // Mistral.
    "too large for model with #w maximum context length",
    // Together.
    "input (#p tokens) is longer than the model's context length (#w tokens)",
    // vLLM of old.
    "maximum model length of #w",
    // Kimi.
    "exceeded model token limit: #w (requested: #p)",
    "exceeded model token limit: #w",
    // GitHub.
    "prompt token count of #p exceeds the limit of #w",
    // Cerebras.
    "current length is #p while limit is #w",
    // Alibaba.
    "range of input length should be [#n, #w]",
];

/// Ways to name the prompt's size beside a window that was named before.
const PROMPTS: &[&str] = &[
    "your messages resulted in #p tokens",
    "(#p in the messages",
    "total of #n tokens: #p tokens from the input messages",
    "your request has #p input tokens",
    "contains at least #p input tokens",
    "input length (#p)",
    "prompt contains #p tokens",
    "prompt has #p tokens",
    "prompt (length #p)",
    "tokens (#p of text input",
];

/// Ways to name the most output: `#o` is it, `#x` the number after it.
const OUTPUTS: &[&str] = &[
    // Anthropic.
    "max_tokens: #n > #o, which is the maximum allowed number of output tokens",
    // OpenAI, Azure.
    "supports at most #o completion tokens",
    "supports at most #o output tokens",
    "'max_output_tokens': integer above maximum value. expected a value <= #o",
    "'max_completion_tokens': integer above maximum value. expected a value <= #o",
    "'max_tokens': integer above maximum value. expected a value <= #o",
    // Groq.
    "`max_completion_tokens` must be less than or equal to `#o`",
    "`max_tokens` must be less than or equal to `#o`",
    // Google.
    "maxoutputtokens value of #n but the supported range is from #n (inclusive) to #x (exclusive)",
    // DeepSeek, Alibaba.
    "valid range of max_tokens is [#n, #o]",
    "range of max_tokens should be [#n, #o]",
    "exceeds model's maximum output tokens (#o)",
];

/// What a refusal says. Only one that is about the request itself says anything: the tokens of a rate limit are others.
pub fn read(failure: &Failure) -> Bounds {
    match failure.kind {
        Kind::Invalid | Kind::ContextLength | Kind::TooLarge => of(&failure.message),
        _ => Bounds::default(),
    }
}

/// What a text says.
pub(crate) fn of(message: &str) -> Bounds {
    let text = message.to_ascii_lowercase();
    let mut bounds = Bounds::default();
    let mut first = |wordings: &[&str]| {
        let found = wordings.iter().find_map(|wording| holes(&text, wording));
        found.into_iter().flatten().for_each(|(hole, number)| bounds.put(hole, number));
    };
    first(WINDOWS);
    first(OUTPUTS);
    if bounds.window.is_some() && bounds.prompt.is_none() {
        let found = PROMPTS.iter().find_map(|wording| holes(&text, wording));
        found.into_iter().flatten().for_each(|(hole, number)| bounds.put(hole, number));
    }
    bounds
}

impl Bounds {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        (self.window, self.output) == (None, None)
    }

    fn put(&mut self, hole: char, number: u64) {
        match hole {
            'w' => self.window = Some(number),
            'p' => self.prompt = Some(number),
            'o' => self.output = Some(number),
            'x' => self.output = number.checked_sub(1),
            _ => {}
        }
    }
}

/// The numbers in the first place of `text` that fits a wording, by the letters of its holes.
fn holes(text: &str, wording: &str) -> Option<Vec<(char, u64)>> {
    let mut parts = wording.split('#');
    let first = parts.next()?;
    text.match_indices(first).find_map(|(at, _)| {
        let mut rest = &text[at + first.len()..];
        let hole = |part: &str| {
            let (number, after) = number(rest)?;
            let mut chars = part.chars();
            let letter = chars.next()?;
            rest = after.strip_prefix(chars.as_str())?;
            Some((letter, number))
        };
        parts.clone().map(hole).collect()
    })
}

/// The whole number that a text begins with, and what follows; `200,000` is one.
fn number(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let part = |at: usize| digit(at) || at > 0 && bytes.get(at) == Some(&b',') && digit(at + 1);
    let end = (0..bytes.len()).find(|at| !part(*at)).unwrap_or(bytes.len());
    let number = text[..end].replace(',', "").parse().ok()?;
    Some((number, &text[end..]))
}
