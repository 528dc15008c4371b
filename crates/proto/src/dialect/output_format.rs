//! Schemas for OpenAI's upstreams: which of a client's schemas are sent as strict, and in which form.

use crate::canon::{Format, Item, ItemKind, Part, Request, Role, SchemaEnvelope};
use crate::dialect::{Dialect, Wire};
use crate::json::node::{Node, ReadResult};
use crate::json::schema::{self, Form};
use crate::notes::Notes;
use crate::text::{Json, Text};

/// The instruction that JSON mode needs somewhere in the conversation.
const IN_JSON: &str = "Answer in JSON.";

/// A schema in the form that the upstream receives.
#[derive(Debug)]
pub(super) struct WrittenSchema {
    /// The schema.
    pub(super) schema: Json,
    /// Strict mode; `None` when the request does not set it.
    pub(super) strict: Option<bool>,
}

/// Refuses a conversation without content.
pub(super) fn require_content(items: Vec<Item>, node: Node<'_>) -> ReadResult<Vec<Item>> {
    if has_no_content(&items) {
        Err(node.bad("at least one message with something in it is needed."))
    } else {
        Ok(items)
    }
}

/// Reasoning alone does not count as content: there is nothing to answer, and a writer may leave it out.
fn has_no_content(items: &[Item]) -> bool {
    items.iter().all(|item| match &item.kind {
        ItemKind::Reasoning { .. } => true,
        ItemKind::Message { parts, .. } => parts.is_empty(),
        _ => false,
    })
}

/// The request with a message that asks for JSON; `None` where none is needed. OpenAI's upstreams refuse JSON mode when no message mentions
/// JSON, and Anthropic's have no such mode. The client's own body is sent unchanged.
pub(super) fn ask_for_json(request: &Request, wire: Wire, notes: &mut Notes) -> Option<Request> {
    let own = request.own_body(wire.into()).is_some();
    let silent = request.format == Some(Format::JsonObject) && !speaks_of_json(&request.items);
    if own || wire == Wire::Gemini || !silent {
        return None;
    }
    notes.add("asked for JSON in words");
    let parts = vec![Part::from(Text::from_plain(IN_JSON))];
    let kind = ItemKind::message(Role::Developer, parts);
    let mut asking = request.clone();
    asking.items.insert(0, Item::from(kind));
    Some(asking)
}

fn speaks_of_json(items: &[Item]) -> bool {
    let names_json = |text: &Text| text.escaped().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
    let messages = items.iter().filter_map(|item| match &item.kind {
        ItemKind::Message { parts, .. } => Some(parts),
        _ => None,
    });
    messages.flatten().any(|part| matches!(part, Part::Text { text, .. } if names_json(text)))
}

/// Sets `request.envelope` where the answer may come in an envelope.
pub(super) fn note_envelope(request: &mut Request) {
    let Some(Format::JsonSchema { schema, strict, .. }) = &request.format else { return };
    // A responses client gets the upstream's own frames, so the gateway cannot remove an envelope from them.
    let able = matches!(request.origin, Some(origin) if origin != Dialect::Responses);
    if able
        && must_fit_schema(request, *strict)
        && schema::needs_envelope(schema)
        && request.envelope == SchemaEnvelope::None
    {
        request.envelope = SchemaEnvelope::Json;
    }
}

/// The schema of the output format.
pub(super) fn format(request: &Request, schema: &Json, strict: Option<bool>, notes: &mut Notes) -> WrittenSchema {
    let form = if request.envelope == SchemaEnvelope::None { Form::Plain } else { Form::Envelope };
    if !must_fit_schema(request, strict) {
        return WrittenSchema { schema: schema::permissive(schema, form), strict };
    }
    match schema::strict(schema, form) {
        Ok(schema) => WrittenSchema { schema, strict: Some(true) },
        // A client that asks for strict mode by name gets the upstream's own error about the schema.
        Err(_) if names_strict(request) => WrittenSchema { schema: schema.clone(), strict },
        Err(why) => {
            notes.add(format!("output schema not strict: {why}"));
            WrittenSchema { schema: schema::permissive(schema, form), strict: Some(false) }
        }
    }
}

/// The schema of a function's arguments.
pub(super) fn parameters(schema: &Json, strict: Option<bool>) -> Json {
    let made = if strict == Some(true) { schema::strict(schema, Form::Plain).ok() } else { None };
    made.unwrap_or_else(|| schema::parameters(schema))
}

/// Whether the output must fit its schema: the client asks for it, or the client's protocol guarantees it.
fn must_fit_schema(request: &Request, strict: Option<bool>) -> bool {
    strict.unwrap_or_else(|| !names_strict(request))
}

/// Whether the client's protocol has a setting for strict mode.
fn names_strict(request: &Request) -> bool {
    matches!(request.origin, None | Some(Dialect::Responses | Dialect::Chat))
}
