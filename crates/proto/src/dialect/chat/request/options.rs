//! Limits, reasoning, format and the other options of a chat request.

use super::Scope;
use crate::canon::{Format, Limits, Reasoning, Request};
use crate::dialect::request_values;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::json::{Shape, schema};
use crate::text::{Json, Text};

/// Names of the output limit, in order of precedence.
const LIMITS: [&str; 3] = ["max_completion_tokens", "max_tokens", "max_output_tokens"];

/// Sampling fields and the shape of their values; relays get them unchanged.
const SAMPLING: [(&str, Shape, &str); 10] = [
    ("temperature", Shape::Number, "a number"),
    ("top_p", Shape::Number, "a number"),
    ("top_k", Shape::Number, "a number"),
    ("min_p", Shape::Number, "a number"),
    ("seed", Shape::Number, "an integer"),
    ("presence_penalty", Shape::Number, "a number"),
    ("frequency_penalty", Shape::Number, "a number"),
    ("logprobs", Shape::Bool, "a boolean"),
    ("top_logprobs", Shape::Number, "an integer"),
    ("logit_bias", Shape::Object, "an object"),
];

/// The sampling fields.
fn sampling(fields: &mut Fields<'_>) -> ReadResult<Vec<(&'static str, Json)>> {
    let mut sampling = Vec::new();
    for (name, shape, expected) in SAMPLING {
        sampling.extend(fields.read(name, |node| node.shaped(shape, expected))?.map(|value| (name, value)));
    }
    Ok(sampling)
}

/// Refuses options that the gateway's replies cannot honour.
pub(super) fn refuse(fields: &mut Fields<'_>) -> ReadResult<()> {
    let n = fields.read("n", node::positive)?;
    if n.is_some_and(|n| n > 1) {
        return Err(fields.unsupported("n", "only one choice is supported."));
    }
    fields.read("audio", |node| Err::<(), _>(node.unsupported("audio output is not supported.")))?;
    fields.read("modalities", modalities)?;
    Ok(())
}

fn modalities(node: Node<'_>) -> ReadResult<()> {
    let refuse = |node: Node<'_>| match node.string()?.as_str() {
        "audio" => Err(node.unsupported("audio output is not supported.")),
        _ => Ok(()),
    };
    node.each(16, refuse).map(|_| ())
}

/// The fields that chat completions and legacy completions share.
pub(in super::super) struct Common {
    pub(in super::super) limits: Limits,
    pub(in super::super) sampling: Vec<(&'static str, Json)>,
    /// The client's cache key, else its user.
    pub(in super::super) key: Option<Text>,
}

impl Common {
    pub(in super::super) fn read(fields: &mut Fields<'_>) -> ReadResult<Self> {
        let (limits, sampling) = (limits(fields)?, sampling(fields)?);
        let user = fields.read("user", node::text)?;
        let key = fields.read("prompt_cache_key", node::text)?;
        Ok(Self { limits, sampling, key: key.or(user).filter(|key| !key.is_empty()) })
    }
}

impl Scope {
    pub(super) fn options(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let Common { limits, sampling, key } = Common::read(fields)?;
        (request.limits, request.sampling, request.cache_key) = (limits, sampling, key);
        request.reasoning = self.reasoning(fields)?;
        request.format = fields.read("response_format", |node| self.format(node))?.flatten();
        request.verbosity = fields.read("verbosity", node::string)?;
        fields.read("text", |node| self.text_options(node, request))?;
        request.tier = fields.read("service_tier", node::string)?;
        Ok(())
    }

    fn reasoning(&mut self, fields: &mut Fields<'_>) -> ReadResult<Reasoning> {
        let effort = fields.read("reasoning_effort", node::string)?;
        let mut reasoning = fields.read("reasoning", |node| self.reasoning_object(node))?.unwrap_or_default();
        reasoning.effort = effort.or(reasoning.effort);
        if reasoning.effort.as_deref() != Some("none") {
            // Chat has no field for the summary, and without a summary no reasoning text would come.
            reasoning.summary.get_or_insert_with(|| "auto".to_owned());
        }
        Ok(reasoning)
    }

    /// The responses object `{effort, summary}`; other servers add `enabled`.
    fn reasoning_object(&mut self, node: Node<'_>) -> ReadResult<Reasoning> {
        let mut fields = node.object()?;
        let enabled = fields.read("enabled", node::boolean)?;
        let effort = fields.read("effort", node::string)?;
        let off = (enabled == Some(false)).then(|| "none".to_owned());
        let summary = fields.read("summary", node::string)?;
        self.notes.unread("reasoning", fields);
        Ok(Reasoning { effort: off.or(effort), summary })
    }

    /// The responses object `text`, which comes with `input`.
    fn text_options(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<()> {
        let mut fields = node.object()?;
        let verbosity = fields.read("verbosity", node::string)?;
        let format = fields.read("format", |node| self.format(node))?.flatten();
        request.verbosity = request.verbosity.take().or(verbosity);
        request.format = request.format.take().or(format);
        self.notes.unread("text", fields);
        Ok(())
    }

    /// `response_format`, nested as in chat or flat as in responses; `None` is plain text.
    fn format(&mut self, node: Node<'_>) -> ReadResult<Option<Format>> {
        let mut fields = node.object()?;
        match fields.need("type", node::string)?.as_str() {
            "text" => Ok(None),
            "json_object" => Ok(Some(Format::JsonObject)),
            "json_schema" if fields.has("json_schema") => {
                fields.need("json_schema", |node| self.schema(node)).map(Some)
            }
            "json_schema" if fields.has("schema") => self.schema(node).map(Some),
            "json_schema" => Err(fields.missing("json_schema")),
            other => Err(fields.unknown("type", other)),
        }
    }

    fn schema(&mut self, node: Node<'_>) -> ReadResult<Format> {
        let mut fields = node.object()?;
        fields.take("type");
        let format = Format::JsonSchema {
            name: fields.need("name", schema_name)?,
            description: fields.read("description", node::text)?,
            schema: fields.need("schema", schema::read)?,
            strict: fields.read("strict", node::boolean)?,
        };
        self.notes.unread("response_format", fields);
        Ok(format)
    }
}

fn schema_name(node: Node<'_>) -> ReadResult<Text> {
    let name = node.filled()?;
    if request_values::is_format_name(&name) {
        return Ok(name);
    }
    Err(node.bad("expected 1 to 64 characters of 'A-Z', 'a-z', '0-9', '_' and '-'."))
}

fn limits(fields: &mut Fields<'_>) -> ReadResult<Limits> {
    let mut limits = Limits::default();
    for name in LIMITS {
        let limit = fields.read(name, node::positive)?;
        limits.max_tokens = limits.max_tokens.or(limit);
    }
    limits.stop = fields.read("stop", request_values::stop_or_stops)?.unwrap_or_default();
    Ok(limits)
}
