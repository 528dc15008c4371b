//! The response object and its items, which streams and whole bodies share.

use bytes::BytesMut;

use super::item;
use super::stored::Stored;
use crate::canon::{CallKind, Finish, Item, ItemKind, Open, Part, Usage};
use crate::dialect::{ReplySetting, openai_error};
use crate::failure::{Failure, Kind};
use crate::json::Shape;
use crate::json::emit::{self, ObjectWriter};
use crate::json::patch::set;
use crate::text::{Json, Text};

/// The fields that every response object of one reply shares.
#[derive(Debug)]
pub(super) struct Facts {
    setting: ReplySetting,
    id: Text,
    model: Text,
    created: u64,
}

impl Facts {
    pub(super) fn new(setting: ReplySetting) -> Self {
        let id = if setting.id.starts_with("resp_") { setting.id.clone() } else { format!("resp_{}", setting.id) };
        Self { id: Text::from_plain(&id), model: Text::from_plain(&setting.model), created: setting.created, setting }
    }

    /// The storage fields of the response.
    pub(super) fn stored(&self) -> &Stored {
        &self.setting.stored
    }

    /// Takes over the upstream's values. Ids of other dialects have another form, so our id stays; `passes` is whether the client
    /// sees the upstream's own opening frame.
    pub(super) fn open(&mut self, open: &Open, passes: bool) {
        if open.id.as_str().starts_with("resp_") || passes && !open.id.is_empty() {
            self.id = open.id.detached();
        }
        if let Some(model) = open.model.as_ref().filter(|model| !model.is_empty()) {
            self.model = model.detached();
        }
        if open.created > 0 {
            self.created = open.created;
        }
    }

    /// The generated id of the item at an output index, for an item without an id of its own.
    pub(super) fn item_id(&self, kind: &ItemKind, at: u32) -> Text {
        let prefix = match kind {
            ItemKind::Message { .. } => "msg",
            ItemKind::Reasoning { .. } => "rs",
            ItemKind::Call { kind: CallKind::Function, .. } => "fc",
            ItemKind::Call { kind: CallKind::Custom, .. } => "ctc",
            ItemKind::Search { .. } => "ws",
            ItemKind::Image { .. } => "ig",
            ItemKind::Output { .. } | ItemKind::Other { .. } => "item",
        };
        let base = self.setting.id.strip_prefix("resp_").unwrap_or(&self.setting.id);
        Text::from_plain(&format!("{prefix}_{base}_{at}"))
    }

    /// Writes a field of the request; `usual` is the API's default for a request without the field.
    fn repeat(&self, writer: &mut ObjectWriter<'_>, name: &str, usual: &str) {
        match self.setting.echo.get(name) {
            Some(value) => writer.json(name, value),
            None => writer.literal(name, usual),
        }
    }

    /// A response object of ours with this status; `more` sets the fields that differ.
    pub(super) fn response(&self, status: &str, more: impl FnOnce(&mut Facets)) -> Json {
        let mut facets = Facets::default();
        more(&mut facets);
        emit::json(|writer| {
            writer.text("id", &self.id);
            writer.string("object", "response");
            writer.number("created_at", self.created);
            writer.string("status", status);
            writer.literal("background", "false");
            error(writer, facets.failure.as_ref());
            writer.nullable("incomplete_details", facets.incomplete, |writer, key, reason| {
                writer.object(key, |writer| writer.string("reason", reason));
            });
            self.repeat(writer, "instructions", "null");
            self.repeat(writer, "max_output_tokens", "null");
            self.repeat(writer, "metadata", "{}");
            writer.text("model", &self.model);
            writer.list("output", &facets.output);
            self.repeat(writer, "parallel_tool_calls", "true");
            let stored = self.stored();
            writer.nullable("previous_response_id", stored.previous.as_ref(), ObjectWriter::text);
            self.repeat(writer, "reasoning", r#"{"effort":null,"summary":null}"#);
            writer.literal("store", if stored.store == Some(true) { "true" } else { "false" });
            self.repeat(writer, "temperature", "1.0");
            self.repeat(writer, "text", r#"{"format":{"type":"text"}}"#);
            self.repeat(writer, "tool_choice", r#""auto""#);
            self.repeat(writer, "tools", "[]");
            self.repeat(writer, "top_p", "1.0");
            self.repeat(writer, "truncation", r#""disabled""#);
            writer.nullable("usage", facets.usage.as_ref(), |writer, key, usage| {
                writer.object(key, |writer| tokens(writer, usage));
            });
            self.repeat(writer, "user", "null");
        })
    }
}

/// The fields that differ between the response objects of one reply.
#[derive(Debug, Default)]
pub(super) struct Facets {
    pub(super) output: Vec<Json>,
    pub(super) usage: Option<Usage>,
    pub(super) incomplete: Option<&'static str>,
    pub(super) failure: Option<Failure>,
}

/// Status and reason of a finish.
pub(super) fn status(finish: Finish) -> (&'static str, Option<&'static str>) {
    match finish {
        Finish::Stop | Finish::ToolCalls => ("completed", None),
        Finish::Length => ("incomplete", Some("max_output_tokens")),
        Finish::Filter => ("incomplete", Some("content_filter")),
        Finish::Cancelled => ("cancelled", None),
    }
}

/// A terminal object with its output filled in: the Codex backend leaves `output` empty, and the official SDKs read it. The SDKs
/// fail without `output`, so a missing one becomes an empty list.
pub(super) fn with_output(response: &Json, output: &[Json], always: bool) -> Json {
    let own = response.get("output").filter(|output| output.shape() == Shape::Array);
    let empty = own.as_ref().is_none_or(|own| own.elements().next().is_none());
    let stays = own.is_some() && (output.is_empty() || !(empty || always));
    if stays || response.shape() != Shape::Object {
        return response.clone();
    }
    set(response, "output", &emit::list(output))
}

/// A finished output item; `None` for an item that only another dialect can express.
pub(super) fn item_json(item: &Item, facts: &Facts, at: u32) -> Option<Json> {
    if item.raw.is_some() {
        return item.raw.clone();
    }
    let own = match &item.kind {
        ItemKind::Message { id, .. }
        | ItemKind::Reasoning { id, .. }
        | ItemKind::Call { id, .. }
        | ItemKind::Search { id, .. }
        | ItemKind::Image { id, .. } => id.clone(),
        ItemKind::Output { .. } | ItemKind::Other { .. } => return None,
    };
    let id = own.unwrap_or_else(|| facts.item_id(&item.kind, at));
    Some(render_item(&item.kind, &id, "completed"))
}

/// An output item of ours.
pub(super) fn render_item(kind: &ItemKind, id: &Text, status: &str) -> Json {
    emit::json(|writer| {
        writer.text("id", id);
        match kind {
            ItemKind::Message { parts, phase, .. } => {
                writer.string("type", "message");
                writer.string("status", status);
                writer.string("role", "assistant");
                writer.array("content", parts, |out, part| emit::object(out, |writer| write_part(writer, part)));
                writer.optional_text("phase", phase.as_ref());
            }
            ItemKind::Reasoning { summary, text, encrypted, .. } => {
                writer.string("type", "reasoning");
                let write = |kind: &'static str| {
                    move |out: &mut BytesMut, text: &Text| emit::object(out, |writer| item::text(writer, kind, text))
                };
                writer.array("summary", summary, write("summary_text"));
                if !text.is_empty() {
                    writer.array("content", text, write("reasoning_text"));
                }
                writer.optional_text("encrypted_content", encrypted.as_ref());
            }
            ItemKind::Call { kind, call_id, name, namespace, input, .. } => {
                let function = *kind == CallKind::Function;
                writer.string("type", if function { "function_call" } else { "custom_tool_call" });
                writer.string("status", status);
                writer.text(if function { "arguments" } else { "input" }, input);
                writer.text("call_id", call_id);
                writer.text("name", name);
                writer.optional_text("namespace", namespace.as_ref());
            }
            ItemKind::Search { action, .. } => {
                writer.string("type", "web_search_call");
                writer.string("status", status);
                match action {
                    Some(action) => writer.json("action", action),
                    None => writer.literal("action", r#"{"type":"search","query":""}"#),
                }
            }
            ItemKind::Image { result, .. } => {
                writer.string("type", "image_generation_call");
                writer.string("status", if status == "in_progress" { "in_progress" } else { "completed" });
                if result.is_empty() { writer.literal("result", "null") } else { writer.text("result", result) }
            }
            ItemKind::Output { .. } | ItemKind::Other { .. } => writer.string("type", "other"),
        }
    })
}

/// Writes the members of an output part.
pub(super) fn write_part(writer: &mut ObjectWriter<'_>, part: &Part) {
    match part {
        Part::Text { text, annotations } => {
            writer.string("type", "output_text");
            match annotations {
                Some(annotations) => writer.json("annotations", annotations),
                None => writer.literal("annotations", "[]"),
            }
            writer.literal("logprobs", "[]");
            writer.text("text", text);
        }
        Part::Refusal(refusal) => {
            writer.string("type", "refusal");
            writer.text("refusal", refusal);
        }
        Part::Image { .. } | Part::File { .. } | Part::Other(_) => {
            writer.string("type", "output_text");
            writer.literal("annotations", "[]");
            writer.literal("logprobs", "[]");
            writer.string("text", "");
        }
    }
}

fn tokens(writer: &mut ObjectWriter<'_>, usage: &Usage) {
    writer.number("input_tokens", usage.input);
    writer.object("input_tokens_details", |writer| {
        writer.number("cached_tokens", usage.cached);
        writer.number("cache_write_tokens", usage.cache_write);
    });
    writer.number("output_tokens", usage.output);
    writer.object("output_tokens_details", |writer| writer.number("reasoning_tokens", usage.reasoning));
    writer.number("total_tokens", usage.input.saturating_add(usage.output));
}

/// The `error` member. The Codex client decides by the error's code whether to retry, and takes the delay from the text of
/// the message (client 0.169.0, measured).
fn error(writer: &mut ObjectWriter<'_>, failure: Option<&Failure>) {
    let Some(failure) = failure else { return writer.literal("error", "null") };
    let code = match failure.kind {
        Kind::Upstream | Kind::Internal | Kind::Timeout => "server_error",
        _ => openai_error::code(failure).unwrap_or("invalid_prompt"),
    };
    let names_wait = failure.message.contains("try again in");
    writer.object("error", |writer| {
        writer.string("code", code);
        match failure.retry_after.filter(|_| failure.kind == Kind::RateLimited && !names_wait) {
            Some(seconds) => writer.string("message", &format!("{} Please try again in {seconds}s.", failure.message)),
            None => writer.string("message", &failure.message),
        }
    });
}
