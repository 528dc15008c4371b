//! Turns a canonical request into a Gemini body, for relays that speak it. The path names the model, not the body.

mod contents;
mod options;
mod patch;
mod tools;

use bytes::{Bytes, BytesMut};

use crate::canon::Request;
use crate::dialect::{Dialect, Target};
use crate::failure::Failure;
use crate::json::emit;
use crate::notes::Notes;
use crate::quirks::GeminiThinking;

/// Properties of the model and the target.
#[derive(Clone, Copy, Debug)]
struct Facts<'t> {
    thinking: GeminiThinking,
    /// Effort from the request, else from the model's suffix.
    effort: Option<&'t str>,
    /// Leave out all opaque state.
    without_replay: bool,
}

/// Writes a Gemini request: patches the client's own body if the client speaks Gemini, else writes the canonical form.
pub(super) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    let (model, effort, without_replay) = match target {
        Target::Codex(codex) => (&codex.model, &codex.effort, codex.without_replay),
        Target::Relay(relay) => (&relay.model, &relay.effort, relay.without_replay),
    };
    let effort = request.reasoning.effort.as_ref().or(effort.as_ref()).map(String::as_str);
    let facts = Facts { thinking: GeminiThinking::of(model), effort, without_replay };
    let mut notes = Notes::default();
    let own = request.own_body(Dialect::Gemini);
    if let Some(raw) = own {
        let bytes = patch::body(raw, &facts, &mut notes);
        return Ok((bytes, notes));
    }
    let mut out = BytesMut::with_capacity(4096);
    emit::object(&mut out, |writer| {
        contents::write(writer, request, &facts, &mut notes)?;
        tools::write(writer, request, &mut notes);
        options::write(writer, request, &facts, &mut notes)
    })?;
    Ok((out.freeze(), notes))
}
