//! `generationConfig`.

use super::tools::{gemini_schema, hosted, plain_schema};
use super::{Scope, several};
use crate::canon::{Format, Reasoning, Request, SchemaEnvelope};
use crate::dialect::request_values::{MAX_STOPS, stops};
use crate::json::Shape;
use crate::json::node::{self, Fields, Node, ReadResult};
use crate::text::{Json, Text};

/// Sampling fields: Gemini's name, the canonical name, the shape of the value.
const SAMPLING: [(&str, &str, Shape, &str); 8] = [
    ("temperature", "temperature", Shape::Number, "a number"),
    ("topP", "top_p", Shape::Number, "a number"),
    ("topK", "top_k", Shape::Number, "a number"),
    ("seed", "seed", Shape::Number, "an integer"),
    ("presencePenalty", "presence_penalty", Shape::Number, "a number"),
    ("frequencyPenalty", "frequency_penalty", Shape::Number, "a number"),
    ("responseLogprobs", "logprobs", Shape::Bool, "a boolean"),
    ("logprobs", "top_logprobs", Shape::Number, "an integer"),
];

impl Scope {
    pub(super) fn generation(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<()> {
        let mut fields = node.object()?;
        fields.either("candidateCount", |node| {
            if node.positive()? > 1 { Err(node.unsupported("only one candidate is supported.")) } else { Ok(()) }
        })?;
        request.limits.max_tokens = fields.either("maxOutputTokens", node::positive)?;
        request.limits.stop = fields.either("stopSequences", |node| stops(node, MAX_STOPS))?.unwrap_or_default();
        for (name, canonical, shape, expected) in SAMPLING {
            let value = fields.either(name, |node| node.shaped(shape, expected))?;
            request.sampling.extend(value.map(|value| (canonical, value)));
        }
        fields.either("responseModalities", |node| self.modalities(node, request))?;
        request.reasoning = fields.either("thinkingConfig", |node| self.thinking(node))?.unwrap_or_default();
        self.format(&mut fields, request)?;
        self.leftover("generationConfig", fields);
        Ok(())
    }

    fn modalities(&mut self, node: Node<'_>, request: &mut Request) -> ReadResult<()> {
        for word in several(node, node::string)? {
            match word.to_ascii_uppercase().as_str() {
                "TEXT" | "MODALITY_UNSPECIFIED" => {}
                "IMAGE" => request.tools.push(hosted("image_generation")),
                // A relay may support audio output.
                "AUDIO" => self.keep("generationConfig.responseModalities", node.json()),
                _ => return Err(node.bad("supported are 'TEXT' and 'IMAGE'.")),
            }
        }
        Ok(())
    }

    fn thinking(&mut self, node: Node<'_>) -> ReadResult<Reasoning> {
        let mut fields = node.object()?;
        let budget = fields.either("thinkingBudget", budget)?.flatten();
        let level = fields.either("thinkingLevel", level)?.flatten();
        let shown = fields.either("includeThoughts", node::boolean)?.unwrap_or(false);
        self.leftover("generationConfig.thinkingConfig", fields);
        let effort = level.or(budget).map(str::to_owned);
        Ok(Reasoning { effort, summary: shown.then(|| "auto".to_owned()) })
    }

    fn format(&mut self, fields: &mut Fields<'_>, request: &mut Request) -> ReadResult<()> {
        let kind = fields.either("responseMimeType", node::string)?.unwrap_or_default().to_ascii_lowercase();
        let own = fields.either("responseSchema", gemini_schema)?;
        let plain = fields.either("responseJsonSchema", plain_schema)?;
        let hidden = fields.read("_responseJsonSchema", plain_schema)?;
        let wanted = plain.or(hidden).or(own);
        match (kind.as_str(), wanted) {
            ("" | "text/plain", None) => {}
            ("application/json", None) => request.format = Some(Format::JsonObject),
            ("" | "application/json", Some(schema)) => request.format = Some(structured(schema)),
            ("text/x.enum", Some(schema)) => {
                request.format = Some(structured(schema));
                request.envelope = SchemaEnvelope::BareString;
            }
            ("text/x.enum", None) => return Err(fields.missing("responseSchema")),
            ("text/plain", Some(_)) => self.notes.add("dropped generationConfig.responseSchema"),
            _ => return Err(fields.unknown("responseMimeType", &kind)),
        }
        Ok(())
    }
}

/// The API guarantees that its answer fits the schema.
fn structured(schema: Json) -> Format {
    Format::JsonSchema { name: Text::from_plain("response"), description: None, schema, strict: Some(true) }
}

/// The effort for a number of thinking tokens; -1 leaves it to the model.
fn budget(node: Node<'_>) -> ReadResult<Option<&'static str>> {
    let json = node.shaped(Shape::Number, "an integer")?;
    if json.as_str().trim() == "-1" {
        return Ok(None);
    }
    Ok(Some(match json.as_u64().ok_or_else(|| node.bad("expected -1, 0 or a number of tokens."))? {
        0 => "none",
        // The least that models accept.
        1..=128 => "minimal",
        129..2_000 => "low",
        2_000..8_000 => "medium",
        8_000..20_000 => "high",
        _ => "xhigh",
    }))
}

fn level(node: Node<'_>) -> ReadResult<Option<&'static str>> {
    Ok(Some(match node.string()?.to_ascii_uppercase().as_str() {
        "" | "THINKING_LEVEL_UNSPECIFIED" => return Ok(None),
        "MINIMAL" => "minimal",
        "LOW" => "low",
        "MEDIUM" => "medium",
        "HIGH" => "high",
        _ => return Err(node.bad("supported are 'MINIMAL', 'LOW', 'MEDIUM' and 'HIGH'.")),
    }))
}
