//! Requests for relays that speak the public Responses API.

use bytes::Bytes;

use super::body::{self, Body};
use super::client_body::ClientBody;
use super::{items, tool};
use crate::canon::Request;
use crate::dialect::responses::LEAST_OUTPUT;
use crate::dialect::{Dialect, RelayTarget};
use crate::notes::{Notes, sanitized};
use crate::text::{Json, Text};

/// Fields that are read but not passed on: spellings of other APIs, the fields of a WebSocket message, and
/// `previous_response_id`, which names a response of ours whose items are already in `input`.
const OURS: [&str; 6] = ["max_completion_tokens", "max_tokens", "stop", "type", "generate", "previous_response_id"];

/// Writes the body. Every field that the client sent in this dialect stays, except those that we normalise or set.
pub(super) fn write(request: &Request, target: &RelayTarget) -> (Bytes, Notes) {
    let own = ClientBody::of(request);
    let own = own.as_ref();
    let mut notes = Notes::default();
    let mut body = Body::default();
    body.set("model", Json::of(&target.model));
    body.set("stream", Json::of(&true));
    body.set("input", input(request, target, own, &mut notes));
    body.set("tools", tools(request, own));
    body.set("tool_choice", request.tool_choice.as_ref().map(tool::choice_json));
    let effort = request.reasoning.effort.as_deref().or(target.effort.as_deref());
    // Chat and Ollama clients cannot send reasoning state back, and get to see thoughts without asking: models that do not think
    // refuse all of these fields.
    let mute = matches!(request.origin, Some(Dialect::Chat | Dialect::Ollama));
    let reasoning = body::reasoning(request, own, effort).filter(|_| !mute || effort.is_some());
    // Nothing is stored for clients of other protocols: only the client itself can send the reasoning back.
    if own.is_none() && !mute && reasoning.is_some() {
        body.set("include", Json::from_valid(Bytes::from_static(br#"["reasoning.encrypted_content"]"#)));
    }
    body.set("reasoning", reasoning);
    body.set("text", body::text(request, own, &mut notes));
    let least = if own.is_none() { LEAST_OUTPUT } else { 0 };
    body.set("max_output_tokens", request.limits.max_tokens.map(|limit| Json::of(&limit.max(least))));
    if !request.limits.stop.is_empty() {
        notes.add("stop applied by the gateway");
    }
    if own.is_none() {
        fresh(&mut body, request, &mut notes);
    }
    (body.render(own, |key| !OURS.contains(&key)), notes)
}

fn input(request: &Request, target: &RelayTarget, own: Option<&ClientBody>, notes: &mut Notes) -> Option<Json> {
    let list = || body::list(own, "input", &items::relay(&request.items, target, notes));
    // A client of this protocol may name a prompt instead of an input. Instead of an input it may also name the response that it continues;
    // a relay does not get that name, and wants an input.
    let may_omit_input = |own: &ClientBody| own.get("previous_response_id").is_none();
    (!request.items.is_empty() || !own.is_some_and(may_omit_input)).then(list)
}

fn tools(request: &Request, own: Option<&ClientBody>) -> Option<Json> {
    let tools = body::tools(&request.tools);
    (!tools.is_empty()).then(|| body::list(own, "tools", &tools))
}

/// Sets the fields of a request of another dialect; a body of this dialect already has them.
fn fresh(body: &mut Body, request: &Request, notes: &mut Notes) {
    body.set("instructions", request.instructions.as_ref().map(Text::quoted));
    body.set("parallel_tool_calls", request.parallel.map(|parallel| Json::of(&parallel)));
    for (name, value) in &request.sampling {
        // The public API has no other fields of this kind and refuses them.
        if matches!(*name, "temperature" | "top_p" | "top_logprobs") {
            body.set(name, value.clone());
        } else {
            notes.add(format!("dropped {name}"));
        }
    }
    for (name, _) in &request.rest {
        notes.add(format!("dropped {}", sanitized(name)));
    }
    body.set("service_tier", request.tier.as_ref().map(Json::of));
    body.set("prompt_cache_key", request.cache_key.as_ref().map(Text::quoted));
    body.set("store", Json::of(&false));
}
