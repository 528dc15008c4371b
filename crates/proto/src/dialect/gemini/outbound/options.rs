//! `generationConfig`, and what has no place there.

use super::{Facts, Family, word};
use crate::canon::{Format, Request};
use crate::failure::{Failure, Kind};
use crate::json::pen::{self, Pen};
use crate::json::schema;
use crate::notes::Notes;

/// Most stop sequences that Gemini takes.
const MOST_STOPS: usize = 5;
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
pub(super) fn write(pen: &mut Pen<'_>, request: &Request, facts: &Facts<'_>, notes: &mut Notes) -> Result<(), Failure> {
    let mut failed = Ok(());
    let config = pen::json(|pen| failed = config(pen, request, facts, notes));
    failed?;
    if config.fields().next().is_some() {
        pen.json("generationConfig", &config);
    }
    let dropped = [
        ("verbosity", request.verbosity.is_some()),
        ("service_tier", request.tier.is_some()),
        ("prompt_cache_key", request.cache_key.is_some()),
        ("previous_response_id", request.previous.is_some()),
    ];
    dropped.into_iter().filter(|(_, set)| *set).for_each(|(name, _)| notes.add(format!("dropped {name}")));
    request.rest.iter().for_each(|(name, _)| notes.add(format!("dropped {}", word(name))));
    Ok(())
}

fn config(pen: &mut Pen<'_>, request: &Request, facts: &Facts<'_>, notes: &mut Notes) -> Result<(), Failure> {
    if let Some(limit) = request.limits.max_tokens {
        pen.number("maxOutputTokens", limit);
    }
    let stops = &request.limits.stop;
    if stops.len() > MOST_STOPS {
        notes.add("stop applied by the gateway");
    } else if !stops.is_empty() {
        pen.array("stopSequences", stops, |out, stop| pen::escape(out, stop));
    }
    for (name, value) in &request.sampling {
        match SAMPLING.iter().find(|(known, _)| known == name) {
            Some((_, own)) => pen.json(own, value),
            None => notes.add(format!("dropped {name}")),
        }
    }
    if let Some(format) = &request.format {
        self::format(pen, format)?;
    }
    thinking(pen, request, facts, notes);
    Ok(())
}

fn format(pen: &mut Pen<'_>, format: &Format) -> Result<(), Failure> {
    match format {
        Format::JsonObject => pen.plain("responseMimeType", "application/json"),
        Format::JsonSchema { schema, .. } => {
            pen.plain("responseMimeType", "application/json");
            match schema::to_gemini(schema) {
                Some(own) => pen.json("responseSchema", &own),
                None => pen.json("responseJsonSchema", schema),
            }
        }
        Format::Other(_) => {
            let message = "this output format cannot be sent to an upstream that speaks Gemini";
            return Err(Failure::new(Kind::Invalid, message).at("text.format"));
        }
    }
    Ok(())
}

fn thinking(pen: &mut Pen<'_>, request: &Request, facts: &Facts<'_>, notes: &mut Notes) {
    let shown = request.reasoning.summary.is_some();
    if facts.family == Family::Plain {
        if facts.effort.is_some() {
            notes.add("dropped reasoning effort");
        }
        return;
    }
    let config = pen::json(|pen| {
        match (facts.family, facts.effort) {
            (Family::Level, Some(effort)) => pen.plain("thinkingLevel", level(effort)),
            (Family::Budget(most), Some(effort)) => pen.number("thinkingBudget", budget(effort).min(most)),
            _ => {}
        }
        if shown {
            pen.word("includeThoughts", "true");
        }
    });
    if config.fields().next().is_some() {
        pen.json("thinkingConfig", &config);
    }
}

/// The level nearest to an effort; there is none for no thinking at all.
pub(super) fn level(effort: &str) -> &'static str {
    match effort {
        "none" | "minimal" => "minimal",
        "low" => "low",
        "medium" => "medium",
        _ => "high",
    }
}

/// Thinking tokens for an effort.
pub(super) fn budget(effort: &str) -> u64 {
    match effort {
        "none" => 0,
        "minimal" | "low" => 1_024,
        "medium" => 8_192,
        "high" => 16_000,
        _ => 32_000,
    }
}
