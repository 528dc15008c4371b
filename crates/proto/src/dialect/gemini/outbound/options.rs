//! `generationConfig`, and notes about options without a field in it.

use super::super::MOST_STOPS;
use super::Facts;
use crate::canon::{Format, Request};
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::json::schema;
use crate::notes::{Notes, sanitized};
use crate::quirks::GeminiThinking;
use crate::text::Json;

/// Canonical sampling fields and Gemini's names for them.
const SAMPLING: [(&str, &str); 8] = [
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
    ("logprobs", "responseLogprobs"),
    ("top_logprobs", "logprobs"),
];

/// Writes the options.
pub(super) fn write(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    facts: &Facts<'_>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let mut failed = Ok(());
    let config = emit::json(|writer| failed = config(writer, request, facts, notes));
    failed?;
    if config.fields().next().is_some() {
        writer.json("generationConfig", &config);
    }
    let dropped = [
        ("verbosity", request.verbosity.is_some()),
        ("service_tier", request.tier.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("previous_response_id", request.previous.is_some()),
    ];
    dropped.into_iter().filter(|(_, set)| *set).for_each(|(name, _)| notes.add(format!("dropped {name}")));
    request.rest.iter().for_each(|(name, _)| notes.add(format!("dropped {}", sanitized(name))));
    Ok(())
}

fn config(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    facts: &Facts<'_>,
    notes: &mut Notes,
) -> Result<(), Failure> {
    writer.optional("maxOutputTokens", request.limits.max_tokens, ObjectWriter::number);
    let stops = &request.limits.stop;
    if stops.len() > MOST_STOPS {
        notes.add("stop applied by the gateway");
    } else if !stops.is_empty() {
        writer.array("stopSequences", stops, |out, stop| emit::escape(out, stop));
    }
    for (name, value) in &request.sampling {
        match SAMPLING.iter().find(|(known, _)| known == name) {
            Some((_, own)) => writer.json(own, value),
            None => notes.add(format!("dropped {name}")),
        }
    }
    if let Some(format) = &request.format {
        self::format(writer, format)?;
    }
    thinking(writer, request, facts, notes);
    Ok(())
}

fn format(writer: &mut ObjectWriter<'_>, format: &Format) -> Result<(), Failure> {
    match format {
        Format::JsonObject => writer.string("responseMimeType", "application/json"),
        Format::JsonSchema { schema, .. } => {
            writer.string("responseMimeType", "application/json");
            match schema::to_gemini(schema) {
                Some(own) => writer.json("responseSchema", &own),
                None => writer.json("responseJsonSchema", schema),
            }
        }
        Format::Other(_) => {
            let message = "this output format cannot be sent to an upstream that speaks Gemini";
            return Err(Failure::new(Kind::Invalid, message).at("text.format"));
        }
    }
    Ok(())
}

fn thinking(writer: &mut ObjectWriter<'_>, request: &Request, facts: &Facts<'_>, notes: &mut Notes) {
    let shown = request.reasoning.summary.is_some();
    if facts.thinking == GeminiThinking::Unknown {
        if facts.effort.is_some() {
            notes.add("dropped reasoning effort");
        }
        return;
    }
    let config = emit::json(|writer| {
        if let Some((name, value)) = facts.effort.and_then(|effort| self::effort(facts.thinking, effort, notes)) {
            writer.json(name, &value);
        }
        if shown {
            writer.literal("includeThoughts", "true");
        }
    });
    if config.fields().next().is_some() {
        writer.json("thinkingConfig", &config);
    }
}

/// The field for the thinking effort, with a value of the model's family; where the family has no value for the effort, the next higher
/// one.
pub(super) fn effort(thinking: GeminiThinking, effort: &str, notes: &mut Notes) -> Option<(&'static str, Json)> {
    match thinking {
        GeminiThinking::Unknown => None,
        GeminiThinking::Budget { none, least, most } => {
            let budget = match effort {
                "none" if none > 0 => {
                    notes.add(format!("effort none changed to {none} tokens"));
                    none
                }
                "none" => 0,
                "minimal" => least,
                "low" => 1_024,
                "medium" => 8_192,
                "high" => 16_000,
                _ => 32_000,
            };
            Some(("thinkingBudget", Json::of(&budget.min(most))))
        }
        GeminiThinking::Level(levels) => {
            let level = level(effort, levels);
            if level != effort {
                notes.add(format!("effort {} changed to {level}", sanitized(effort)));
            }
            Some(("thinkingLevel", Json::of(&level)))
        }
    }
}

/// The lowest of `levels` for an effort; `levels` are in ascending order, and no level turns thinking off.
fn level(effort: &str, levels: &[&'static str]) -> &'static str {
    let rank = |word: &str| match word {
        "none" | "minimal" => 0,
        "low" => 1,
        "medium" => 2,
        _ => 3,
    };
    levels.iter().copied().find(|level| rank(level) >= rank(effort)).unwrap_or("high")
}
