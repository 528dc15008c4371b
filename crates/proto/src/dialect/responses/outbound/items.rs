//! Items on their way to an upstream.

use bytes::{BufMut, BytesMut};

use super::item::{self, Side};
use crate::canon::{CallKind, Item, ItemKind, Part, Role};
use crate::dialect::{CodexTarget, RelayTarget, Wire};
use crate::json::emit::{self, ObjectWriter};
use crate::notes::Notes;
use crate::state::State;
use crate::text::{Json, Text};

/// Prefix of the output of a failed tool.
const FAILED: &str = "Error: ";

/// The items for the Codex backend.
pub(super) fn codex(items: &[Item], target: &CodexTarget, notes: &mut Notes) -> Vec<Json> {
    let mut list = Vec::with_capacity(items.len() + 2);
    for item in items {
        if target.without_replay && item::is_replay(item) {
            notes.add("dropped reasoning state of another account");
            continue;
        }
        if matches!(&item.kind, ItemKind::Reasoning { encrypted: None, .. }) {
            // The backend stores no items, so an id alone refers to nothing.
            notes.add("dropped reasoning without its state");
            continue;
        }
        let Some(mut json) = one(item, notes) else { continue };
        if matches!(&item.kind, ItemKind::Message { role: Role::System, .. }) {
            json = item::as_developer(&json);
        }
        if target.lite && matches!(&item.kind, ItemKind::Message { .. } | ItemKind::Output { .. }) {
            json = item::without_detail(&json, notes);
        }
        list.push(json);
    }
    list
}

/// The items for a relay.
pub(super) fn relay(items: &[Item], target: &RelayTarget, notes: &mut Notes) -> Vec<Json> {
    let mut list = Vec::with_capacity(items.len());
    for item in items {
        if target.without_replay && item::is_replay(item) {
            notes.add("dropped reasoning state of another upstream");
        } else {
            list.extend(one(item, notes));
        }
    }
    list
}

/// One item: as it came, or newly written; `None` when this dialect has no form for it.
pub(super) fn one(item: &Item, notes: &mut Notes) -> Option<Json> {
    if foreign(&item.kind) {
        notes.add("dropped reasoning state of another protocol");
        return None;
    }
    if let Some(raw) = &item.raw {
        return Some(raw.clone());
    }
    if let Some(why) = unsayable(&item.kind) {
        notes.add(why);
        return None;
    }
    Some(emit::json(|writer| fresh(writer, &item.kind, notes)))
}

/// Whether the item is state that an upstream of another protocol made.
fn foreign(kind: &ItemKind) -> bool {
    let ItemKind::Reasoning { encrypted: Some(state), .. } = kind else { return false };
    State::open(state.as_str()).is_some_and(|state| state.wire != Wire::Responses)
}

fn unsayable(kind: &ItemKind) -> Option<&'static str> {
    match kind {
        ItemKind::Reasoning { encrypted: None, .. } => Some("dropped reasoning without its state"),
        ItemKind::Search { .. } => Some("dropped web search item"),
        ItemKind::Other { .. } => Some("dropped item of unknown type"),
        _ => None,
    }
}

fn fresh(writer: &mut ObjectWriter<'_>, kind: &ItemKind, notes: &mut Notes) {
    match kind {
        ItemKind::Message { id, role, parts, phase } => {
            writer.string("type", "message");
            writer.optional_text("id", id.as_ref());
            writer.string("role", role_name(role));
            let side = if *role == Role::Assistant { Side::Output } else { Side::Input };
            write_parts(writer.key("content"), parts, side, notes);
            writer.optional_text("phase", phase.as_ref());
        }
        ItemKind::Reasoning { id, summary, encrypted, .. } => {
            writer.string("type", "reasoning");
            writer.optional_text("id", id.as_ref());
            let write =
                |out: &mut BytesMut, text: &Text| emit::object(out, |writer| item::text(writer, "summary_text", text));
            writer.array("summary", summary, write);
            writer.optional_text("encrypted_content", encrypted.as_ref());
        }
        ItemKind::Call { kind, id, call_id, name, namespace, input } => {
            writer.string("type", if *kind == CallKind::Function { "function_call" } else { "custom_tool_call" });
            writer.optional_text("id", id.as_ref());
            writer.text("call_id", call_id);
            writer.text("name", name);
            writer.optional_text("namespace", namespace.as_ref());
            writer.text(if *kind == CallKind::Function { "arguments" } else { "input" }, input);
        }
        ItemKind::Output { kind, call_id, parts, failed } => {
            writer.string(
                "type",
                if *kind == CallKind::Function { "function_call_output" } else { "custom_tool_call_output" },
            );
            writer.text("call_id", call_id);
            if *failed {
                notes.add("said that a tool failed in words");
            }
            output(writer, parts, *failed, notes);
        }
        ItemKind::Image { id, result, .. } => {
            writer.string("type", "image_generation_call");
            writer.optional_text("id", id.as_ref());
            writer.string("status", "completed");
            writer.text("result", result);
        }
        ItemKind::Search { .. } | ItemKind::Other { .. } => {}
    }
}

fn role_name(role: &Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// A tool output: a string when all parts are text, with a line break between the parts. The dialect has no flag for a failed
/// tool, so a prefix in the text marks the failure.
fn output(writer: &mut ObjectWriter<'_>, parts: &[Part], failed: bool, notes: &mut Notes) {
    let texts: Option<Vec<&Text>> =
        parts.iter().map(|part| if let Part::Text { text, .. } = part { Some(text) } else { None }).collect();
    let out = writer.key("output");
    let Some(texts) = texts else {
        let mark = failed.then(|| Part::from(Text::from(FAILED.trim_end())));
        return write_parts(out, mark.iter().chain(parts), Side::Input, notes);
    };
    out.put_u8(b'"');
    if failed {
        out.put_slice(FAILED.as_bytes());
    }
    for (at, text) in texts.iter().enumerate() {
        out.put_slice(if at > 0 { b"\\n" } else { b"" });
        out.put_slice(text.escaped());
    }
    out.put_u8(b'"');
}

fn write_parts<'p>(out: &mut BytesMut, parts: impl IntoIterator<Item = &'p Part>, side: Side, notes: &mut Notes) {
    let known = parts.into_iter().filter(|part| {
        let other = matches!(part, Part::Other(_));
        if other {
            notes.add("dropped content part of unknown type");
        }
        !other
    });
    emit::array(out, known, |out, part| emit::object(out, |writer| item::write_part(writer, part, side)));
}
