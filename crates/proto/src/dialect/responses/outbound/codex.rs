//! Requests for the ChatGPT Codex backend: a strict list of fields, in the classic or the lite shape.
//!
//! Source: spec of the official client 0.169.0 on the wire and the backend's error bodies, November 2026.

mod effort;

use std::borrow::Cow;

use bytes::Bytes;

use super::body::{self, Body};
use super::client_body::ClientBody;
use super::{item, items, tool};
use crate::canon::{Limits, Request, Tool, ToolKind};
use crate::dialect::CodexTarget;
use crate::failure::{Failure, Kind};
use crate::json::patch::{Edit, patch};
use crate::json::{Shape, emit};
use crate::notes::{Notes, sanitized};
use crate::text::{Json, Text};

/// The fields that the backend takes; it answers any other with `Unsupported parameter`.
const ALLOWED: [&str; 14] = [
    "model", "instructions", "stream", "service_tier", "input", "tools", "tool_choice", "parallel_tool_calls",
    "reasoning", "store", "include", "prompt_cache_key", "text", "client_metadata",
];
/// Sent to classic models where the first item is not a developer message: the backend answers `Instructions are required`.
const INSTRUCTIONS: &str = "You are a helpful assistant.";
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Writes the body.
pub(super) fn write(request: &Request, target: &CodexTarget) -> Result<(Bytes, Notes), Failure> {
    refuse(request)?;
    let own = ClientBody::of(request);
    let own = own.as_ref();
    let mut notes = Notes::default();
    let shape = Shaped::of(request, target, own, &mut notes);
    let mut body = Body::default();
    body.set("model", Json::of(&target.model));
    body.set("instructions", shape.instructions);
    body.set("stream", Json::of(&true));
    body.set("service_tier", tier(request, target, &mut notes));
    body.set("input", shape.input);
    body.set("tools", shape.tools);
    body.set("tool_choice", shape.tool_choice);
    body.set("parallel_tool_calls", shape.parallel);
    body.set("reasoning", reasoning(request, target, own, &mut notes));
    body.set("store", Json::of(&false));
    body.set("include", include(own));
    body.set("prompt_cache_key", cache_key(request, target));
    body.set("text", body::text(request, own, &mut notes));
    body.set("client_metadata", metadata(target, own));
    dropped(request, &mut notes);
    // No field of the client's own body is left whose position matters: the fields have the official client's order.
    Ok((body.render(None, |_| false), notes))
}

/// Refuses fields whose loss would change the answer's meaning, instead of dropping them.
fn refuse(request: &Request) -> Result<(), Failure> {
    for (name, value) in &request.rest {
        let why = match name.as_str() {
            "conversation" => "conversations are not stored; use 'previous_response_id' or send all of it in 'input'.",
            "prompt" if value.shape() == Shape::Object => "stored prompts belong to a platform account.",
            "background" if value.as_bool() == Some(true) => "the backend answers in the foreground only.",
            _ => continue,
        };
        let failure = Failure::new(Kind::Invalid, format!("'{name}' is not supported here: {why}"));
        return Err(failure.at(name).code("unsupported_parameter"));
    }
    Ok(())
}

/// The fields that differ between the classic and the lite shape.
struct Shaped {
    instructions: Option<Json>,
    input: Json,
    tools: Option<Json>,
    tool_choice: Option<Json>,
    parallel: Option<Json>,
}

impl Shaped {
    fn of(request: &Request, target: &CodexTarget, own: Option<&ClientBody>, notes: &mut Notes) -> Self {
        let mut list = items::codex(&request.items, target, notes);
        let offered = offered(request, target, notes);
        let tools = body::tools(&offered);
        let choice = request.tool_choice.as_ref().map(tool::choice_json);
        let ready = request.items.first().is_some_and(item::is_tool_list);
        if !target.lite {
            let auto = || (!tools.is_empty()).then(|| Json::of("auto"));
            return Self {
                instructions: classic_instructions(request, &list),
                input: body::list(own, "input", &list),
                tool_choice: choice.or_else(auto),
                parallel: request.parallel.or((!tools.is_empty()).then_some(true)).map(|parallel| Json::of(&parallel)),
                tools: (!tools.is_empty()).then(|| body::list(own, "tools", &tools)),
            };
        }
        if request.parallel != Some(false) && !(tools.is_empty() && request.parallel.is_none()) {
            notes.add("parallel_tool_calls set to false");
        }
        let head = usize::from(ready);
        if let Some(instructions) = &request.instructions {
            list.insert(head, item::developer(instructions));
        }
        if !tools.is_empty() {
            list.insert(head, tool_list(&offered, &tools));
        }
        Self {
            instructions: None,
            input: body::list(own, "input", &list),
            tools: None,
            tool_choice: choice.or_else(|| Some(Json::of("auto"))),
            parallel: Some(Json::of(&false)),
        }
    }
}

/// The client's tools and the hosted tools that are added to them.
fn offered<'a>(request: &'a Request, target: &CodexTarget, notes: &mut Notes) -> Cow<'a, [Tool]> {
    if target.tools.is_empty() {
        return Cow::Borrowed(&request.tools);
    }
    notes.add(format!("added {}", target.tools.join(" and ")));
    let hosted = |kind: &&'static str| Tool { kind: ToolKind::Hosted { kind: (*kind).to_owned() }, raw: None };
    Cow::Owned(request.tools.iter().cloned().chain(target.tools.iter().map(hosted)).collect())
}

fn classic_instructions(request: &Request, list: &[Json]) -> Option<Json> {
    match &request.instructions {
        Some(instructions) => Some(instructions.quoted()),
        None if list.first().is_some_and(item::is_operator) => None,
        None => Some(Json::of(INSTRUCTIONS)),
    }
}

/// The item that carries tools in the lite shape: one namespace with all plain tools, then the client's own namespaces.
fn tool_list(tools: &[Tool], list: &[Json]) -> Json {
    let is_namespace = |tool: &Tool| matches!(&tool.kind, ToolKind::Hosted { kind } if kind == "namespace");
    let (spaces, plain): (Vec<_>, Vec<_>) = tools.iter().zip(list).partition(|(tool, _)| is_namespace(tool));
    let functions = emit::json(|writer| {
        writer.string("type", "namespace");
        writer.string("name", "functions");
        writer.string("description", "");
        writer.array("tools", &plain, |out, (_, json)| out.extend_from_slice(json.bytes()));
    });
    let first = (!plain.is_empty()).then_some(&functions);
    emit::json(|writer| {
        writer.string("type", "additional_tools");
        writer.string("role", "developer");
        let all = first.into_iter().chain(spaces.iter().map(|(_, json)| *json));
        writer.array("tools", all, |out, json| out.extend_from_slice(json.bytes()));
    })
}

fn tier(request: &Request, target: &CodexTarget, notes: &mut Notes) -> Option<Json> {
    let requested = request.tier.as_deref().or(target.tier.as_deref())?;
    match requested {
        "fast" | "priority" if target.priority_tier => return Some(Json::of("priority")),
        "auto" | "default" => {}
        _ => notes.add(format!("dropped service_tier {}", sanitized(requested))),
    }
    None
}

/// The effort in the body.
pub(in crate::dialect::responses) fn effort(request: &Request, target: &CodexTarget) -> Option<String> {
    effort::choose(request, target, &mut Notes::default())
}

fn reasoning(request: &Request, target: &CodexTarget, own: Option<&ClientBody>, notes: &mut Notes) -> Option<Json> {
    let effort = effort::choose(request, target, notes);
    let object = body::reasoning(request, own, effort.as_deref());
    if !target.lite || object.as_ref().is_some_and(|object| object.get("context").is_some()) {
        return object;
    }
    Some(tool::with(object.as_ref(), "context", &Json::of("all_turns")))
}

/// The client's list, with the encrypted reasoning that a conversation without stored responses needs.
fn include(own: Option<&ClientBody>) -> Json {
    let list = own.and_then(|own| own.get("include"));
    let mut elements: Vec<Json> = list.into_iter().flat_map(Json::elements).collect();
    if !elements.iter().any(|element| element.as_text().is_some_and(|text| text.is(ENCRYPTED))) {
        elements.push(Json::of(ENCRYPTED));
    }
    body::list(own, "include", &elements)
}

fn cache_key(request: &Request, target: &CodexTarget) -> Option<Json> {
    match &request.cache_key {
        Some(key) => Some(key.quoted()),
        None => (!target.cache_key.is_empty()).then(|| Json::of(&target.cache_key)),
    }
}

fn metadata(target: &CodexTarget, own: Option<&ClientBody>) -> Option<Json> {
    let client_metadata = own.and_then(|own| own.get("client_metadata"));
    client_metadata.map(strip_connection_fields).or_else(|| {
        let ours = || emit::json(|writer| target.metadata.iter().for_each(|(key, value)| writer.string(key, value)));
        (!target.metadata.is_empty()).then(ours)
    })
}

/// A client's object without the fields that belong only to its connection or its own account: the headers of a message, the turn
/// state (which is wrong as soon as another account serves the request) and the device's attestation.
fn strip_connection_fields(object: &Json) -> Json {
    let passing = |key: &Text| {
        key.as_str().starts_with("ws_request_header_")
            || key.is("x-codex-ws-stream-request-start-ms")
            || key.is("x-codex-turn-state")
            || key.is("x-oai-attestation")
    };
    if object.shape() != Shape::Object {
        return object.clone();
    }
    patch(object, |key, _| if passing(key) { Edit::Drop } else { Edit::Keep }, [])
}

/// Notes every field of the client that the backend does not take.
fn dropped(request: &Request, notes: &mut Notes) {
    let Limits { max_tokens, stop } = &request.limits;
    if max_tokens.is_some() {
        notes.add("max_output_tokens applied by the gateway");
    }
    if !stop.is_empty() {
        notes.add("stop applied by the gateway");
    }
    let limits = ["max_output_tokens", "max_completion_tokens", "max_tokens", "stop"];
    let sampling = request.sampling.iter().map(|(name, _)| *name);
    let rest = request.rest.iter().map(|(name, _)| name.as_str());
    for name in sampling.chain(rest).filter(|name| !ALLOWED.contains(name) && !limits.contains(name)) {
        notes.add(format!("dropped {}", sanitized(name)));
    }
}
