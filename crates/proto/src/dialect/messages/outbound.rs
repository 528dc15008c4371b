//! Canonical request to a messages body, for relays that speak this dialect.

mod blocks;
mod history;
mod messages;
mod patch;
mod thinking;
mod tools;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use self::messages::Messages;
use super::takes_stop;
use crate::canon::{Format, Request};
use crate::dialect::{Dialect, RelayTarget, Target};
use crate::failure::{Failure, Kind};
use crate::json::emit::{self, ObjectWriter};
use crate::json::schema;
use crate::notes::{Notes, sanitized};
use crate::text::Text;

/// The `max_tokens` when neither the client nor the model's facts set one: every model in use supports this many.
const MAX_TOKENS: u64 = 8192;

/// Writes a messages request: the client's own body patched where it spoke this dialect, else from the canonical form.
pub(super) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    let relay = match target {
        Target::Relay(relay) => {
            let max_output = relay.max_output.into_iter().chain(relay.ceiling).min();
            RelayTarget { max_output, ..relay.clone() }
        }
        Target::Codex(codex) => {
            RelayTarget { model: codex.model.clone(), effort: codex.effort.clone(), ..RelayTarget::default() }
        }
    };
    let own = request.own_body(Dialect::Messages);
    match own {
        Some(raw) => Ok(patch::body(raw, request, &relay)),
        None => fresh(request, &relay),
    }
}

fn fresh(request: &Request, relay: &RelayTarget) -> Result<(Bytes, Notes), Failure> {
    let mut notes = Notes::default();
    let messages = Messages::of(request, relay, &mut notes)?;
    if messages.is_empty() {
        let message = "nothing in this conversation can be sent to an upstream that speaks Messages";
        return Err(Failure::new(Kind::Invalid, message).at("input").code("invalid_value"));
    }
    let plan = thinking::Plan::of(request, relay, messages.is_thoughtless(), &mut notes);
    let mut out = BytesMut::with_capacity(4096);
    emit::object(&mut out, |writer| {
        writer.string("model", &relay.model);
        writer.number("max_tokens", plan.max_tokens);
        messages.write(writer, request, &mut notes)?;
        tools::write(writer, request, &mut notes);
        if let Some(thinking) = plan.thinking() {
            writer.json("thinking", &thinking);
        }
        output(writer, request, &plan, &mut notes)?;
        options(writer, request, &plan, &mut notes);
        dropped(request, &mut notes);
        writer.literal("stream", "true");
        Ok::<(), Failure>(())
    })?;
    Ok((out.freeze(), notes))
}

/// `output_config`: effort and format.
fn output(
    writer: &mut ObjectWriter<'_>,
    request: &Request,
    plan: &thinking::Plan,
    notes: &mut Notes,
) -> Result<(), Failure> {
    let schema = match &request.format {
        Some(Format::JsonSchema { schema, .. }) => Some(schema),
        Some(Format::Other(_)) => {
            let message = "this output format cannot be sent to an upstream that speaks Messages";
            return Err(Failure::new(Kind::Invalid, message).at("text.format"));
        }
        Some(Format::JsonObject) => {
            notes.add("dropped response_format json_object");
            None
        }
        None => None,
    };
    if schema.is_none() && plan.effort.is_none() {
        return Ok(());
    }
    writer.object("output_config", |writer| {
        writer.optional("effort", plan.effort, ObjectWriter::string);
        if let Some(schema) = schema {
            writer.object("format", |writer| {
                writer.string("type", "json_schema");
                writer.json("schema", &schema::closed(schema));
            });
        }
    });
    Ok(())
}

fn options(writer: &mut ObjectWriter<'_>, request: &Request, plan: &thinking::Plan, notes: &mut Notes) {
    for (name, value) in &request.sampling {
        match *name {
            "temperature" | "top_p" | "top_k" if plan.thinks => notes.add(format!("dropped {name} beside thinking")),
            "temperature" if value.parse::<f64>().is_ok_and(|heat| heat > 1.0) => {
                notes.add("lowered temperature to 1");
                writer.literal(name, "1");
            }
            // Newer models refuse a request with both.
            "top_p" if request.sampling.iter().any(|(other, _)| *other == "temperature") => {
                notes.add("dropped top_p beside temperature");
            }
            "temperature" | "top_p" | "top_k" => writer.json(name, value),
            _ => notes.add(format!("dropped {name}")),
        }
    }
    let stops: Vec<_> = request.limits.stop.iter().filter(|stop| takes_stop(stop)).collect();
    if !stops.is_empty() {
        writer.array("stop_sequences", stops, |out, stop| emit::escape(out, stop));
    }
    match request.tier.as_deref() {
        None => {}
        Some("auto" | "priority" | "fast") => writer.string("service_tier", "auto"),
        Some("default" | "standard_only") => writer.string("service_tier", "standard_only"),
        Some(tier) => notes.add(format!("dropped service_tier {}", sanitized(tier))),
    }
}

/// Notes the fields that this dialect has no place for.
fn dropped(request: &Request, notes: &mut Notes) {
    if request.verbosity.is_some() {
        notes.add("dropped verbosity");
    }
    if request.previous.is_some() {
        notes.add("dropped previous_response_id");
    }
    if request.cache_key.is_some() {
        notes.add("dropped prompt_cache_key");
    }
    for (name, _) in &request.rest {
        notes.dropped_field("", name);
    }
}

/// An id in the characters that Anthropic takes; the ids of calls and of their results change the same way.
fn id(text: &Text) -> Text {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    if text.is_empty() {
        return Text::from("_");
    }
    if text.escaped().iter().all(legal) {
        return text.clone();
    }
    let bytes: Vec<u8> = text.escaped().iter().map(|byte| if legal(byte) { *byte } else { b'_' }).collect();
    Text::from_escaped(Bytes::from(bytes))
}

fn refused(what: &str) -> Failure {
    Failure::new(Kind::Invalid, format!("{what} cannot be sent to an upstream that speaks Messages"))
        .code("unsupported_value")
}
