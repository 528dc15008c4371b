//! Turns a canonical request into a chat body, for relays that speak chat.

mod messages;
mod patch;
mod tools;

use bytes::{Bytes, BytesMut};

use super::MOST_STOPS;
use crate::canon::{Format, Request};
use crate::dialect::{Dialect, RelayTarget, Target, output_format};
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::notes::Notes;
use crate::quirks;

/// Fields that other dialects put in `rest` and that chat has under the same name.
const SHARED: [&str; 6] =
    ["metadata", "store", "safety_identifier", "prompt_cache_retention", "prediction", "repetition_penalty"];

/// Fields that OpenAI's own API does not have.
const FOREIGN: [&str; 3] = ["top_k", "min_p", "repetition_penalty"];

/// Writes a chat request: patches the client's own body if the client speaks chat, else writes the canonical form.
pub(super) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    let relay = match target {
        Target::Codex(codex) => {
            RelayTarget { model: codex.model.clone(), effort: codex.effort.clone(), ..RelayTarget::default() }
        }
        Target::Relay(relay) => relay.clone(),
    };
    let effort = request.reasoning.effort.as_ref().or(relay.effort.as_ref()).map(String::as_str);
    let own = request.own_body(Dialect::Chat);
    if let Some(raw) = own {
        return Ok((patch::body(raw, &relay.model, effort), Notes::default()));
    }
    let mut notes = Notes::default();
    let mut out = BytesMut::with_capacity(4096);
    emit::object(&mut out, |writer| {
        writer.string("model", &relay.model);
        messages::write(writer, request, !relay.strict && quirks::takes_thoughts(&relay.model), &mut notes)?;
        tools::write(writer, request, &mut notes);
        options(writer, request, &relay, &mut notes)?;
        writer.optional("reasoning_effort", effort, ObjectWriter::string);
        rest(writer, request, relay.strict, &mut notes);
        writer.literal("stream", "true");
        writer.literal("stream_options", r#"{"include_usage":true}"#);
        Ok::<(), Failure>(())
    })?;
    Ok((out.freeze(), notes))
}

fn options(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    relay: &RelayTarget,
    notes: &mut Notes,
) -> Result<(), Failure> {
    if let Some(format) = &request.format {
        response_format(writer, request, format, notes)?;
    }
    writer.optional("verbosity", request.verbosity.as_deref(), ObjectWriter::string);
    writer.optional(quirks::output_limit(&relay.model), request.limits.max_tokens, ObjectWriter::number);
    let stops = &request.limits.stop;
    if stops.len() > MOST_STOPS {
        notes.add("stop applied by the gateway");
    } else if !stops.is_empty() {
        writer.array("stop", stops, |out, stop| emit::escape(out, stop));
    }
    sampling(writer, request, relay.strict, notes);
    writer.optional("service_tier", request.tier.as_deref(), ObjectWriter::string);
    writer.optional_text("prompt_cache_key", request.cache_key.as_ref());
    // Every chat server does `auto` by default.
    if request.reasoning.summary.as_deref().is_some_and(|summary| summary != "auto") {
        notes.add("dropped reasoning.summary");
    }
    if request.previous.is_some() {
        notes.add("dropped previous_response_id");
    }
    Ok(())
}

fn sampling(writer: &mut ObjectWriter<'_>, request: &Request, strict: bool, notes: &mut Notes) {
    for (name, value) in &request.sampling {
        if strict && FOREIGN.contains(name) {
            notes.add(format!("dropped {name}"));
        } else {
            writer.json(name, value);
        }
    }
}

fn response_format(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    format: &Format,
    notes: &mut Notes,
) -> Result<(), Failure> {
    match format {
        Format::JsonObject => writer.literal("response_format", r#"{"type":"json_object"}"#),
        Format::JsonSchema { name, description, schema, strict } => writer.object("response_format", |writer| {
            writer.string("type", "json_schema");
            writer.object("json_schema", |writer| {
                let shape = output_format::format(request, schema, *strict, notes);
                writer.text("name", name);
                writer.optional_text("description", description.as_ref());
                writer.json("schema", &shape.schema);
                if let Some(strict) = shape.strict {
                    writer.literal("strict", if strict { "true" } else { "false" });
                }
            });
        }),
        Format::Other(_) => {
            let message = "this output format cannot be sent to an upstream that speaks Chat Completions";
            return Err(Failure::new(Kind::Invalid, message).at("text.format"));
        }
    }
    Ok(())
}

fn rest(writer: &mut ObjectWriter<'_>, request: &Request, strict: bool, notes: &mut Notes) {
    for (name, value) in &request.rest {
        if SHARED.contains(&name.as_str()) && !(strict && FOREIGN.contains(&name.as_str())) {
            writer.json(name, value);
        } else {
            notes.dropped_field("", name);
        }
    }
}
