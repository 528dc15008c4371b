//! Canonical request to a Gemini body, for relays that speak it. The model is named in the path, not here.

mod contents;
mod options;
mod patch;
mod tools;

use bytes::{Bytes, BytesMut};

use crate::canon::Request;
use crate::dialect::{Dialect, Target};
use crate::failure::Failure;
use crate::json::pen;
use crate::notes::Notes;

/// What is known of the model.
#[derive(Clone, Copy, Debug)]
struct Facts<'t> {
    family: Family,
    /// Effort from the request, else from the model's suffix.
    effort: Option<&'t str>,
    /// Leave out all opaque state.
    without_replay: bool,
}

/// What kind of thinking a model knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    /// None that we know of.
    Plain,
    /// A budget of at most so many tokens (2.5).
    Budget(u64),
    /// Levels, and signatures that it insists on (3 and later).
    Level,
}

/// Writes a Gemini request: the client's own body patched where it spoke Gemini, else from the canonical form.
pub(super) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    let (model, effort, without_replay) = match target {
        Target::Codex(codex) => (&codex.model, &codex.effort, codex.without_replay),
        Target::Relay(relay) => (&relay.model, &relay.effort, relay.without_replay),
    };
    let effort = request.reasoning.effort.as_ref().or(effort.as_ref()).map(String::as_str);
    let facts = Facts { family: family(model), effort, without_replay };
    let own = request.raw.as_ref().filter(|_| request.origin == Some(Dialect::Gemini));
    if let Some(raw) = own {
        return Ok((patch::body(raw, &facts), Notes::default()));
    }
    let mut notes = Notes::default();
    let mut out = BytesMut::with_capacity(4096);
    pen::object(&mut out, |pen| {
        contents::write(pen, request, &facts, &mut notes)?;
        tools::write(pen, request, &facts, &mut notes);
        options::write(pen, request, &facts, &mut notes)
    })?;
    Ok((out.freeze(), notes))
}

fn family(model: &str) -> Family {
    let name = model.rsplit('/').next().unwrap_or(model);
    let Some(version) = name.strip_prefix("gemini-") else { return Family::Plain };
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    match version[..digits].parse::<u32>() {
        Ok(3..) => Family::Level,
        // 2.5 Pro takes somewhat more, no other model does.
        Ok(2) if version.starts_with("2.5") => Family::Budget(if version.contains("pro") { 32_768 } else { 24_576 }),
        Err(_) if version.ends_with("-latest") => Family::Level,
        _ => Family::Plain,
    }
}

/// A client's word for use in a note.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).take(60).collect()
}
