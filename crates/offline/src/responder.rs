//! The content of answers: a few rules on the last user message, the offered tools and the tool results.
//!
//! The module has no wire format: every protocol reads its request into a [`ModelInput`] and writes the [`ModelOutput`]s.

use std::fmt::Write as _;

use serde_json::{Value, json};

pub(crate) mod client;
pub(crate) mod piece;
pub(crate) mod prompt_values;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

use prompt_values::PromptArguments;

/// A request, independent of its protocol.
pub(crate) struct ModelInput<'a> {
    /// The last user message, without the reminders that clients add.
    pub(crate) prompt: String,
    /// Tool results to answer, as text.
    pub(crate) outputs: Vec<String>,
    /// Images in the last user message: the size of inline data in bytes, or the URL of another image.
    pub(crate) images: Vec<Result<usize, &'a str>>,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) choice: ToolChoice<'a>,
    /// The schema that the text must fit; `true` for any JSON.
    pub(crate) format: Option<&'a Value>,
    /// Whether parallel calls are allowed.
    pub(crate) parallel: bool,
    /// The whole request, for the client's context in it.
    pub(crate) body: &'a Value,
}

/// An offered tool.
#[derive(Clone, Debug)]
pub(crate) struct Tool<'a> {
    pub(crate) kind: ToolKind,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) schema: Option<&'a Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolKind {
    Function,
    Custom,
    Search,
    Image,
    Other,
}

/// The request's tool choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice<'a> {
    Auto,
    None,
    Required,
    /// Only these tools; the model must call one of them when `must`.
    Only {
        names: Vec<&'a str>,
        must: bool,
    },
    /// The model must use the API's own tool of this kind.
    Hosted(ToolKind),
}

/// One part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ModelOutput {
    Text { text: String, cite: Option<Citation> },
    Function { namespace: Option<String>, name: String, arguments: Value },
    Custom { namespace: Option<String>, name: String, input: String },
    Search { query: String },
    Image { prompt: String },
}

/// A source of a text, with the byte range that cites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Citation {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// URL and title of the only search result.
pub(crate) const PAGE: (&str, &str) = ("https://example.com/?utm_source=openai", "Example Domain");

/// A complete PNG of one pixel, base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// The text of a reasoning summary.
pub(crate) const THOUGHT: &str = "**Reading the request**\n\nThe last message decides what to answer.";

impl ModelOutput {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), cite: None }
    }

    /// Whether the output is a call of a client's tool.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self, Self::Function { .. } | Self::Custom { .. })
    }
}

pub(crate) fn answer(topic: &ModelInput<'_>) -> Vec<ModelOutput> {
    if !topic.outputs.is_empty() {
        return vec![match topic.format {
            Some(schema) => fitting(topic, schema),
            None => ModelOutput::text(format!("The tool answered: {}", topic.outputs.join("; "))),
        }];
    }
    let mut calls = calls(topic);
    if !topic.parallel {
        calls.truncate(1);
    }
    if !calls.is_empty() {
        return calls;
    }
    hosted(topic).unwrap_or_else(|| match topic.format {
        Some(schema) => vec![fitting(topic, schema)],
        None => vec![ModelOutput::text(client::blocks(topic).unwrap_or_else(|| plain_text(topic)))],
    })
}

fn fitting(topic: &ModelInput<'_>, schema: &Value) -> ModelOutput {
    ModelOutput::text(schema::sample(schema, &mut PromptArguments::new(&topic.prompt)).to_string())
}

/// Plain text.
fn plain_text(topic: &ModelInput<'_>) -> String {
    let prompt = topic.prompt.trim();
    if let Some(exact) = prompt_values::exact(prompt) {
        return exact.to_owned();
    }
    if let Some(last) = prompt_values::count(prompt) {
        let mut numbers = String::from("1");
        (2..=last).for_each(|number| write!(numbers, " {number}").expect("invariant: a string takes writes"));
        return numbers;
    }
    let seen = |image: &Result<usize, &str>| match image {
        Ok(bytes) => format!("I see an image of {bytes} bytes."),
        Err(url) => format!("I see an image at {url}."),
    };
    let images: Vec<String> = topic.images.iter().map(seen).collect();
    let shown: String = prompt.chars().take(400).collect();
    let rest = if shown.is_empty() { String::new() } else { format!("You said: {shown}") };
    match (images.is_empty(), rest.is_empty()) {
        (true, true) => "Hello from the offline backend.".to_owned(),
        (true, false) => format!("Hello from the offline backend. {rest}"),
        (false, true) => images.join(" "),
        (false, false) => format!("{} {rest}", images.join(" ")),
    }
}

/// Calls of the client's tools, if the choice or the prompt asks for them.
fn calls(topic: &ModelInput<'_>) -> Vec<ModelOutput> {
    let mine = |tool: &&Tool<'_>| matches!(tool.kind, ToolKind::Function | ToolKind::Custom);
    let offered: Vec<&Tool<'_>> = topic.tools.iter().filter(mine).collect();
    let (offered, must) = match &topic.choice {
        ToolChoice::None => return Vec::new(),
        ToolChoice::Auto | ToolChoice::Hosted(_) => (offered, false),
        ToolChoice::Required => (offered, true),
        ToolChoice::Only { names, must } => {
            (offered.into_iter().filter(|tool| names.contains(&tool.name)).collect(), *must)
        }
    };
    if let Some(call) = client::call(topic, &offered) {
        return vec![call];
    }
    let mut chosen = requested_tools(&topic.prompt, &offered);
    if must && chosen.is_empty() {
        chosen = offered.into_iter().take(1).collect();
    }
    let many = ["both", "parallel", "twice"].iter().any(|word| prompt_values::contains_word(&topic.prompt, word));
    let hint = PromptArguments::new(&topic.prompt);
    match chosen[..] {
        [] => Vec::new(),
        [tool] if many => (0..2).map(|at| call(tool, &hint.turned(at))).collect(),
        _ if many => chosen.iter().map(|tool| call(tool, &hint)).collect(),
        [tool, ..] => vec![call(tool, &hint)],
    }
}

/// The tools that a prompt names. Otherwise, if it has "tool" or "weather" but no exact reply, the best fit of the offered tools.
fn requested_tools<'a>(prompt: &str, offered: &[&'a Tool<'a>]) -> Vec<&'a Tool<'a>> {
    let means =
        ["use", "call", "tool", "both", "parallel"].iter().any(|word| prompt_values::contains_word(prompt, word));
    let named =
        |tool: &&&Tool<'_>| (means || tool.name.contains('_')) && prompt_values::contains_word(prompt, tool.name);
    let named: Vec<&Tool<'_>> = offered.iter().filter(named).copied().collect();
    if !named.is_empty() || prompt_values::exact(prompt).is_some() {
        return named;
    }
    let weather = prompt_values::contains_word(prompt, "weather");
    if !weather && !prompt_values::contains_word(prompt, "tool") && !prompt_values::contains_word(prompt, "tools") {
        return Vec::new();
    }
    let about = offered.iter().find(|tool| weather && tool.name.to_lowercase().contains("weather"));
    let several = ["both", "parallel"].iter().any(|word| prompt_values::contains_word(prompt, word)) && about.is_none();
    match about {
        Some(tool) => vec![tool],
        None => offered.iter().take(if several { 2 } else { 1 }).copied().collect(),
    }
}

fn call(tool: &Tool<'_>, hint: &PromptArguments) -> ModelOutput {
    if tool.kind == ToolKind::Custom {
        return custom_call(tool, freeform(tool.name).to_owned());
    }
    function_call(tool, tool.schema.map_or_else(|| json!({}), |schema| schema::sample(schema, &mut hint.clone())))
}

fn function_call(tool: &Tool<'_>, arguments: Value) -> ModelOutput {
    ModelOutput::Function { namespace: tool.namespace.map(str::to_owned), name: tool.name.to_owned(), arguments }
}

fn custom_call(tool: &Tool<'_>, input: String) -> ModelOutput {
    ModelOutput::Custom { namespace: tool.namespace.map(str::to_owned), name: tool.name.to_owned(), input }
}

/// An input that fits the known grammars.
fn freeform(name: &str) -> &'static str {
    match name {
        "apply_patch" => "*** Begin Patch\n*** Add File: offline.txt\n+hello\n*** End Patch\n",
        "exec" => "text(\"hello\");\n",
        _ => "hello from the offline backend",
    }
}

/// The output of the API's hosted tools.
fn hosted(topic: &ModelInput<'_>) -> Option<Vec<ModelOutput>> {
    if topic.choice == ToolChoice::None {
        return None;
    }
    let wants = |kind: ToolKind, word: &str| {
        let forced = topic.choice == ToolChoice::Hosted(kind);
        topic.tools.iter().any(|tool| tool.kind == kind)
            && (forced || prompt_values::contains_word(&topic.prompt, word))
    };
    if wants(ToolKind::Image, "draw") {
        return Some(vec![
            ModelOutput::Image { prompt: topic.prompt.clone() },
            ModelOutput::text("Here is the picture."),
        ]);
    }
    wants(ToolKind::Search, "search").then(|| search(&topic.prompt))
}

fn search(prompt: &str) -> Vec<ModelOutput> {
    let quote = "Example Domain (example.com)";
    let head = "I searched the web. ";
    let cite = Citation { start: head.len(), end: head.len() + quote.len() };
    let text = format!("{head}{quote} says hello.");
    vec![
        ModelOutput::Search { query: prompt.chars().take(200).collect() },
        ModelOutput::Text { text, cite: Some(cite) },
    ]
}

/// The text of a user message without the reminders that clients add.
pub(crate) fn plain(text: &str) -> String {
    const TAGS: [(&str, &str); 2] =
        [("<system-reminder>", "</system-reminder>"), ("<session_context>", "</session_context>")];
    let mut text = text.to_owned();
    for (open, close) in TAGS {
        while let Some(from) = text.find(open) {
            let to = text[from..].find(close).map_or(text.len(), |at| from + at + close.len());
            text.replace_range(from..to, "");
        }
    }
    text
}

/// Whether a message has only reminders that a client adds.
pub(crate) fn is_reminder(text: &str) -> bool {
    !text.trim().is_empty() && plain(text).trim().is_empty()
}
