//! Canonical request to a Gemini body, for relays that speak it. The model is named in the path, not here.

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
    /// A budget of tokens (2.5).
    Budget {
        /// What stands for no thinking.
        none: u64,
        /// The least thinking.
        least: u64,
        /// The most.
        most: u64,
    },
    /// These levels, lowest first, and signatures that it insists on (3 and later).
    Level(&'static [&'static str]),
}

/// Writes a Gemini request: the client's own body patched where it spoke Gemini, else from the canonical form.
pub(super) fn write(request: &Request, target: &Target) -> Result<(Bytes, Notes), Failure> {
    let (model, effort, without_replay) = match target {
        Target::Codex(codex) => (&codex.model, &codex.effort, codex.without_replay),
        Target::Relay(relay) => (&relay.model, &relay.effort, relay.without_replay),
    };
    let effort = request.reasoning.effort.as_ref().or(effort.as_ref()).map(String::as_str);
    let facts = Facts { family: family(model), effort, without_replay };
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

fn family(model: &str) -> Family {
    let name = model.rsplit('/').next().unwrap_or(model);
    let Some(version) = name.strip_prefix("gemini-") else { return Family::Plain };
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    let pro = version.contains("pro");
    match version[..digits].parse::<u32>() {
        Ok(3) if pro && !version.starts_with("3.") => Family::Level(&["low", "high"]),
        Ok(3..) if pro => Family::Level(&["low", "medium", "high"]),
        Ok(3..) => Family::Level(&["minimal", "low", "medium", "high"]),
        // 2.5 Pro takes somewhat more than the others, and cannot stop thinking.
        Ok(2) if version.starts_with("2.5") && pro => Family::Budget { none: 128, least: 128, most: 32_768 },
        Ok(2) if version.starts_with("2.5") => {
            let least = if version.contains("lite") { 512 } else { 128 };
            Family::Budget { none: 0, least, most: 24_576 }
        }
        Err(_) if version.ends_with("-latest") && pro => Family::Level(&["low", "medium", "high"]),
        Err(_) if version.ends_with("-latest") => Family::Level(&["minimal", "low", "medium", "high"]),
        _ => Family::Plain,
    }
}
