//! Estimates the tokens of a whole request without the upstream: texts are counted, the framing is assumed to cost what it costs on
//! OpenAI's models, and the tokens of images and files are guessed.

use super::{count, estimate};
use crate::canon::{Format, Item, ItemKind, Part, Request, Source, Tool, ToolKind};
use crate::text::{Json, Text};

/// The cost of a message beside its text.
const MESSAGE: u64 = 4;
/// The cost of a tool beside its texts.
const TOOL: u64 = 8;
/// The cost of the beginning of the reply.
const REPLY: u64 = 3;
/// An image of 1024 x 1024 pixels at high detail: 85 and 170 for each of four tiles.
const PICTURE: u64 = 765;
/// An image at low detail.
const THUMBNAIL: u64 = 85;
/// A file by its upstream id: its size is unknown.
const FILE: u64 = 1000;
/// Bytes per token of a document: most of a PDF is layout.
const DOCUMENT: u64 = 16;

/// The part of a request that can be counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The tokens of its texts.
    pub tokens: u64,
    /// Whether the request has no other content: no images, files, reasoning or unknown parts, whose sizes are guesses.
    pub all: bool,
}

/// The input tokens of a request. Loads the vocabulary.
pub fn request(request: &Request) -> u64 {
    let sum = Sum::of(request);
    sum.words + sum.guessed
}

/// The tokens of the texts and calls of a request, which every upstream reads. Loads the vocabulary.
pub fn words(request: &Request) -> Words {
    let sum = Sum::of(request);
    Words { tokens: sum.words, all: sum.guessed == 0 }
}

/// Counted tokens, and guessed tokens of the other content.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    words: u64,
    guessed: u64,
}

impl Sum {
    fn of(request: &Request) -> Self {
        let instructions = request.instructions.as_ref().map_or(0, |instructions| MESSAGE + text(instructions));
        let tools: u64 = request.tools.iter().map(tool).sum();
        let format = match &request.format {
            Some(Format::JsonSchema { schema, .. }) => TOOL + json(schema),
            Some(Format::Other(other)) => json(other),
            Some(Format::JsonObject) | None => 0,
        };
        let mut sum = Self { words: instructions + tools + format + REPLY, guessed: 0 };
        for item in &request.items {
            sum.item(item);
        }
        sum
    }

    fn item(&mut self, item: &Item) {
        match &item.kind {
            ItemKind::Message { parts, .. } | ItemKind::Output { parts, .. } => {
                self.words += MESSAGE;
                for part in parts {
                    self.part(part);
                }
            }
            ItemKind::Call { name, input, .. } => self.words += MESSAGE + text(name) + text(input),
            ItemKind::Reasoning { summary, text: texts, encrypted, .. } => {
                let shown: u64 = summary.iter().chain(texts).map(text).sum();
                // The state holds the model's reasoning; the summary is shown to people only.
                self.guessed += encrypted.as_ref().map_or(shown, |state| sealed(state.escaped().len() as u64));
            }
            ItemKind::Image { .. } => self.guessed += PICTURE,
            ItemKind::Search { action, .. } => self.guessed += MESSAGE + action.as_ref().map_or(0, json),
            ItemKind::Other { .. } => self.guessed += MESSAGE + item.raw.as_ref().map_or(0, json),
        }
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text { text: content, .. } | Part::Refusal(content) => self.words += text(content),
            Part::Image { detail, .. } => {
                let low = detail.as_ref().is_some_and(|detail| detail.is("low"));
                self.guessed += if low { THUMBNAIL } else { PICTURE };
            }
            Part::File { source, .. } => self.guessed += file(source),
            // Audio comes as base64 too.
            Part::Other(other) => self.guessed += json(other),
        }
    }
}

/// Tokens of sealed reasoning in base64: three quarters of its length are bytes, and some 650 of those belong to the seal.
fn sealed(length: u64) -> u64 {
    estimate((length / 4 * 3).saturating_sub(650))
}

fn file(source: &Source) -> u64 {
    let Source::Url(url) = source else { return FILE };
    let url = url.as_str();
    let Some((kind, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(',')) else { return FILE };
    let bytes = data.len() as u64 / 4 * 3;
    if kind.starts_with("text/") || kind.starts_with("application/json") {
        estimate(bytes)
    } else {
        bytes.div_ceil(DOCUMENT)
    }
}

fn tool(tool: &Tool) -> u64 {
    let sum = |texts: [Option<&Text>; 2]| texts.into_iter().flatten().map(text).sum::<u64>();
    TOOL + match &tool.kind {
        ToolKind::Function { name, description, parameters, .. } => {
            sum([Some(name), description.as_ref()]) + parameters.as_ref().map_or(0, json)
        }
        ToolKind::Custom { name, description, format } => {
            sum([Some(name), description.as_ref()]) + format.as_ref().map_or(0, json)
        }
        ToolKind::Hosted { .. } => tool.raw.as_ref().map_or(0, json),
    }
}

fn text(text: &Text) -> u64 {
    count(&text.plain())
}

fn json(json: &Json) -> u64 {
    count(json.as_str())
}
