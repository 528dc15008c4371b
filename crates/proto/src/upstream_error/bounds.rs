//! Reads the numbers of a model's limits from a refusal: the length of a conversation, and the largest output. Only known wordings of
//! upstreams are read; a message without a number gives no limit.
//!
//! Refusals also repeat text of clients, who must not be able to forge an upstream's numbers: quoted text is not read, and [`repeats`]
//! finds wordings that the request itself contains.

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::failure::{Failure, Kind};
use crate::text::unescape;

/// The numbers of a refusal, as the upstream wrote them; unchecked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Tokens that the model's context holds.
    pub window: Option<u64>,
    /// Tokens of the refused prompt, as the upstream counted them. Only beside a window.
    pub prompt: Option<u64>,
    /// Output tokens that the refused request asked for, as the upstream wrote them. Only beside a window.
    pub requested_output: Option<u64>,
    /// Most output tokens that the model takes.
    pub output: Option<u64>,
    /// Whether a code beside the message means that the request is too long.
    pub has_code: bool,
}

/// Whole seconds, rounded up, out of `try again in 1.054s`, `... in 250ms`, `... in 7 seconds`, as the Codex client reads them;
/// from one second to a day.
pub fn try_again(message: &str) -> Option<u64> {
    let lower = message.to_ascii_lowercase();
    let (_, after) = lower.split_once("try again in ")?;
    let digits = after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len());
    let number: f64 = after[..digits].parse().ok()?;
    let unit = after[digits..].trim_start();
    let seconds = if unit.starts_with("ms") { number / 1000.0 } else { number };
    let known = unit.starts_with('s') || unit.starts_with("ms");
    known.then(|| whole_seconds(seconds))
}

/// Whole seconds, rounded up; from one second to a day.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a day")]
pub(super) fn whole_seconds(seconds: f64) -> u64 {
    seconds.ceil().clamp(1.0, 86_400.0) as u64
}

/// Wordings for the window, in lower case: `#w` is the window, `#p` the prompt, `#a` the requested output, `#n` any number.
const WINDOWS: &[&str] = &[
    // Anthropic.
    "prompt is too long: #p tokens > #w maximum",
    "exceed context limit: #p + #a > #w",
    // OpenAI, Azure, vLLM, DeepSeek, OpenRouter.
    "maximum context length is #w tokens",
    "maximum context length of #w tokens",
    "maximum context length (#w)",
    "context window of #w tokens",
    // Google.
    "input token count (#p) exceeds the maximum number of tokens allowed (#w)",
    "exceeds the maximum number of tokens allowed (#w)",
    "exceeds the maximum number of tokens allowed #w",
    // llama.cpp, LM Studio and others based on it.
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
    // Old versions of vLLM.
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

/// Wordings for the prompt's size, beside a window that was found before.
const PROMPTS: &[&str] = &[
    "your messages resulted in #p tokens",
    // The gateway's own wording, for a request that it does not send.
    "your messages resulted in about #p tokens",
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

/// Wordings for the largest output: `#o` is that number, `#x` the number after it.
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

/// The limits in a refusal. Only a refusal of the request itself has any: the tokens of a rate limit are something else.
pub fn read(failure: &Failure) -> Bounds {
    match failure.kind {
        Kind::Invalid | Kind::ContextLength | Kind::TooLarge => {
            Bounds { has_code: has_code(failure), ..of(&failure.message) }
        }
        _ => Bounds::default(),
    }
}

/// The kind is not enough: it may come from the same wording.
fn has_code(failure: &Failure) -> bool {
    failure.kind == Kind::TooLarge || failure.code.as_deref().is_some_and(|code| code.contains("context"))
}

/// Whether the request's own body contains the wording that was read from its refusal, in any spelling.
pub fn repeats(failure: &Failure, body: &[u8]) -> bool {
    let message = failure.message.to_ascii_lowercase();
    let body = letters(&unescape(&String::from_utf8_lossy(body)));
    let is_repeated = |matched: &WordingMatch| body.contains(&letters(&message[matched.at.clone()]));
    [WINDOWS, OUTPUTS, PROMPTS]
        .into_iter()
        .filter_map(|wordings| first(&message, wordings))
        .any(|matched| is_repeated(&matched))
}

/// Letters and digits in lower case: other characters may change on the way.
fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The limits in a text.
pub(crate) fn of(message: &str) -> Bounds {
    let text = message.to_ascii_lowercase();
    let mut bounds = Bounds::default();
    let mut take = |wordings: &[&str]| {
        let found = first(&text, wordings).into_iter().flat_map(|matched| matched.numbers);
        found.for_each(|(hole, number)| bounds.put(hole, number));
        bounds
    };
    take(WINDOWS);
    let read_so_far = take(OUTPUTS);
    if read_so_far.window.is_some() && read_so_far.prompt.is_none() {
        take(PROMPTS);
    }
    bounds
}

impl Bounds {
    /// Whether no limit was found.
    pub fn is_empty(&self) -> bool {
        (self.window, self.output) == (None, None)
    }

    fn put(&mut self, hole: char, number: u64) {
        match hole {
            'w' => self.window = Some(number),
            'p' => self.prompt = Some(number),
            'a' => self.requested_output = Some(number),
            'o' => self.output = Some(number),
            'x' => self.output = number.checked_sub(1),
            _ => {}
        }
    }
}

/// Where a wording matches a text.
struct WordingMatch {
    at: Range<usize>,
    /// The numbers by the letters of the wording's placeholders.
    numbers: Vec<(char, u64)>,
}

/// The match of the first of the wordings that matches.
fn first(text: &str, wordings: &[&str]) -> Option<WordingMatch> {
    let quotes = quotes(text);
    wordings.iter().find_map(|wording| match_wording(text, wording, &quotes))
}

/// The ranges of quoted text, with the quotes. An unclosed quote reaches to the end. An apostrophe is not a quote: an opening quote does
/// not follow a letter, and a closing quote does not precede one.
fn quotes(text: &str) -> Vec<Range<usize>> {
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let mut all: Vec<Range<usize>> = Vec::new();
    for (at, quote) in text.char_indices().filter(|(_, c)| matches!(c, '\'' | '"' | '`')) {
        let (before, after) = (text[..at].chars().next_back(), text[at + 1..].chars().next());
        match all.last_mut().filter(|open| open.end > at) {
            Some(open) if text[open.start..].starts_with(quote) && before != Some('\\') && !word(after) => {
                open.end = at + 1;
            }
            None if !word(before) => all.push(at..text.len()),
            Some(_) | None => {}
        }
    }
    all
}

/// The first match of a wording outside of quotes; the wording may have quotes of its own.
fn match_wording(text: &str, wording: &str, quotes: &[Range<usize>]) -> Option<WordingMatch> {
    let mut parts = wording.split('#');
    let first = parts.next()?;
    let quoted = |at: usize| quotes.iter().any(|quote| quote.start < at && at < quote.end);
    text.match_indices(first).filter(|(at, _)| !quoted(*at)).find_map(|(at, _)| {
        let mut rest = &text[at + first.len()..];
        let hole = |part: &str| {
            let (number, after) = number(rest)?;
            let mut chars = part.chars();
            let letter = chars.next()?;
            rest = after.strip_prefix(chars.as_str())?;
            Some((letter, number))
        };
        let numbers = parts.clone().map(hole).collect::<Option<_>>()?;
        Some(WordingMatch { at: at..text.len() - rest.len(), numbers })
    })
}

/// The whole number at the start of a text, and the text after it; `200,000` is one number.
fn number(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let part = |at: usize| digit(at) || at > 0 && bytes.get(at) == Some(&b',') && digit(at + 1);
    let end = (0..bytes.len()).find(|at| !part(*at)).unwrap_or(bytes.len());
    let number = text[..end].replace(',', "").parse().ok()?;
    Some((number, &text[end..]))
}
