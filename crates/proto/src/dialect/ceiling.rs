//! Lowers an output limit above the upstream's maximum: in the canonical request, and in the client's own body, which a writer of the same
//! dialect passes on.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{Dialect, Target, Wire};
use crate::canon::Request;
use crate::json::Shape;
use crate::json::patch::{Edit, patch};
use crate::text::{Json, Text};

/// The names of the limit in the dialects that have it at the top level of the body.
const LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
/// Gemini's limit, and the object that contains it.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];
const OUTPUT: [&str; 2] = ["maxOutputTokens", "max_output_tokens"];

/// The request with its limit lowered to the upstream's maximum, and the note to add; `None` when the limit is low enough already, and for
/// Messages, whose writer keeps other figures below the limit too.
pub(super) fn lower(request: &Request, wire: Wire, target: &Target) -> Option<(Request, String)> {
    let Target::Relay(relay) = target else { return None };
    let most = relay.ceiling.filter(|_| wire != Wire::Messages)?;
    request.limits.max_tokens.filter(|requested| *requested > most)?;
    let mut lowered = request.clone();
    lowered.limits.max_tokens = Some(most);
    lowered.raw = request.raw.as_ref().map(|raw| body(raw, request.origin, most));
    Some((lowered, format!("lowered max_tokens to {most}")))
}

/// The client's own body with a lower limit.
fn body(raw: &Bytes, origin: Option<Dialect>, most: u64) -> Bytes {
    let body = Json::from_valid(raw.clone());
    let least = |names: &'static [&'static str]| {
        move |key: &Text, value: &Json| {
            let over = names.contains(&key.as_str()) && value.as_u64().is_some_and(|requested| requested > most);
            if over { Edit::Set(Json::of(&most)) } else { Edit::Keep }
        }
    };
    let lowered = if origin == Some(Dialect::Gemini) {
        let edit = |key: &Text, value: &Json| {
            let config = CONFIG.contains(&key.as_str()) && value.shape() == Shape::Object;
            if config { Edit::Set(patch(value, least(&OUTPUT), [])) } else { Edit::Keep }
        };
        patch(&body, edit, [])
    } else {
        patch(&body, least(&LIMITS), [])
    };
    lowered.bytes().clone()
}
