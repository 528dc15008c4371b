//! Format, thinking, limits and sampling.

use super::Scope;
use crate::canon::{Format, Limits, Reasoning, Request, Thinking};
use crate::dialect::request_values;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Shape, schema};
use crate::text::{Json, Text};

/// Sampling options; Ollama's names are OpenAI's.
const SAMPLING: [&str; 7] = ["temperature", "top_p", "top_k", "min_p", "seed", "presence_penalty", "frequency_penalty"];
/// Options that configure the runner's machine and do not change a reply.
const MACHINE: [&str; 10] = [
    "num_gpu", "main_gpu", "num_thread", "num_batch", "use_mmap", "use_mlock", "low_vram", "numa", "f16_kv",
    "vocab_only",
];
/// Levels of thinking: Ollama's and those of the canonical model.
const LEVELS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

impl Scope {
    pub(super) fn options(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        request.format = fields.read("format", format)?.flatten();
        request.reasoning = fields.read("think", think)?.unwrap_or_else(shown);
        if request.reasoning.summary.is_none() {
            request.reply.thinking = Thinking::Hidden;
        }
        fields.read("options", |node| self.runner(node, request))?;
        if fields.read("logprobs", node::boolean)? == Some(true) {
            self.notes.add("dropped logprobs");
        }
        Ok(())
    }

    /// The object `options`.
    fn runner(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<()> {
        let mut fields = node.object()?;
        request.limits = Limits {
            max_tokens: fields.read("num_predict", predict)?.flatten(),
            stop: fields.read("stop", request_values::stop_or_stops)?.unwrap_or_default(),
        };
        for name in SAMPLING {
            let value = fields.read(name, |node| node.shaped(Shape::Number, "a number"))?;
            request.sampling.extend(value.map(|value| (name, value)));
        }
        for name in MACHINE {
            fields.take(name);
        }
        self.notes.unread("options", fields);
        Ok(())
    }
}

/// Reasoning with a summary; the model and its name set the effort.
fn shown() -> Reasoning {
    Reasoning { summary: Some("auto".to_owned()), ..Reasoning::default() }
}

/// A boolean or a level.
fn think(node: Node<'_>) -> ReadResult<Reasoning> {
    let word = match node {
        node if node.is(Shape::Bool) => node.boolean()?.to_string(),
        node => node.string().map_err(|_| node.wrong("a boolean or a level"))?,
    };
    match word.as_str() {
        "true" | "" => Ok(shown()),
        "false" | "none" => Ok(Reasoning { effort: Some("none".to_owned()), ..Reasoning::default() }),
        level if LEVELS.contains(&level) => Ok(Reasoning { effort: Some(word), ..shown() }),
        _ => Err(node.bad("expected true, false, or one of 'low', 'medium', 'high' and 'max'.")),
    }
}

/// `json`, a schema, or nothing.
fn format(node: Node<'_>) -> ReadResult<Option<Format>> {
    if node.is(Shape::Object) {
        return Ok(Some(named(schema::read(node)?)));
    }
    match node.string().map_err(|_| node.wrong("'json' or a schema"))?.as_str() {
        "" => Ok(None),
        "json" => Ok(Some(Format::JsonObject)),
        _ => Err(node.bad("expected 'json' or a JSON schema.")),
    }
}

fn named(schema: Json) -> Format {
    let name = schema.text("title").filter(request_values::is_format_name).unwrap_or_else(|| Text::from("response"));
    Format::JsonSchema { name, description: None, schema, strict: None }
}

/// Ollama's `-1` means no limit and `-2` the rest of the context; both mean no limit here.
fn predict(node: Node<'_>) -> ReadResult<Option<u64>> {
    let number = node.shaped(Shape::Number, "an integer")?;
    if number.bytes().trim_ascii().starts_with(b"-") {
        return Ok(None);
    }
    let limit = number.as_u64().ok_or_else(|| node.bad("expected an integer."))?;
    Ok(Some(limit).filter(|limit| *limit > 0))
}
