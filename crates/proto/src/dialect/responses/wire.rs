//! Names on the wire: event types, and the fields that say where a piece belongs.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::canon::Channel;
use crate::framing::sse;
use crate::json::{self, Scan};

/// The meaning of an event type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `response.created`.
    Created,
    /// `response.in_progress`, `response.queued`: the same object again.
    Begun,
    /// `response.output_item.added`.
    ItemAdded,
    /// `response.output_item.done`.
    ItemDone,
    /// A piece of an item.
    Delta(Channel),
    /// `response.output_text.annotation.added`.
    Annotation,
    /// `response.completed`, `response.done`.
    Completed,
    /// `response.incomplete`.
    Incomplete,
    /// `response.cancelled`.
    Cancelled,
    /// `response.failed`.
    Failed,
    /// `error`.
    Error,
    /// `codex.rate_limits`.
    Limits,
    /// `codex.response.metadata`, `response.metadata`.
    Metadata,
    /// Everything else.
    Other,
}

impl Kind {
    /// The meaning of an event type.
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"response.output_text.delta" => Self::Delta(Channel::Text),
            b"response.function_call_arguments.delta" | b"response.custom_tool_call_input.delta" => {
                Self::Delta(Channel::Arguments)
            }
            b"response.reasoning_summary_text.delta" => Self::Delta(Channel::Summary),
            b"response.reasoning_text.delta" => Self::Delta(Channel::Reasoning),
            b"response.refusal.delta" => Self::Delta(Channel::Refusal),
            b"response.image_generation_call.partial_image" => Self::Delta(Channel::Image),
            b"response.output_item.added" => Self::ItemAdded,
            b"response.output_item.done" => Self::ItemDone,
            b"response.output_text.annotation.added" => Self::Annotation,
            b"response.created" => Self::Created,
            b"response.in_progress" | b"response.queued" => Self::Begun,
            b"response.completed" | b"response.done" => Self::Completed,
            b"response.incomplete" => Self::Incomplete,
            b"response.cancelled" => Self::Cancelled,
            b"response.failed" => Self::Failed,
            b"error" => Self::Error,
            b"codex.rate_limits" => Self::Limits,
            b"codex.response.metadata" | b"response.metadata" => Self::Metadata,
            _ => Self::Other,
        }
    }

    /// Whether frames of this type hold nothing that other dialects or a fold need, so that they may pass in pieces.
    pub(super) fn is_opaque(self) -> bool {
        matches!(self, Self::Other | Self::Delta(Channel::Image))
    }
}

/// The field that holds the piece of a delta in `channel`.
pub(super) fn piece_field(channel: Channel) -> &'static str {
    if channel == Channel::Image { "partial_image_b64" } else { "delta" }
}

/// The field that holds the part index of a delta in `channel`.
pub(super) fn part_index_field(channel: Channel) -> &'static str {
    match channel {
        Channel::Summary => "summary_index",
        Channel::Image => "partial_image_index",
        _ => "content_index",
    }
}

/// The `type` at the head of `data`, where every known writer puts it; `None` when it is elsewhere. `data` may be incomplete.
pub(super) fn type_of(data: &[u8]) -> Option<&[u8]> {
    head(data).map(|(name, _)| name)
}

/// The `type` at the head of `data`, with the position after it.
pub(super) fn head(data: &[u8]) -> Option<(&[u8], usize)> {
    let mut scan = Scan::new(data);
    // Without white space, as every known service writes it.
    if scan.pass(br#"{"type":"#).is_none() {
        scan.expect(b'{').ok()?;
        let key = scan.string(false).ok()?;
        scan.expect(b':').ok()?;
        if &data[key.start..key.end] != b"type" {
            return None;
        }
    }
    let name = scan.string(false).ok()?;
    (!name.escaped).then(|| (&data[name.start..name.end], name.end + 1))
}

/// Whether a frame is the JSON of a message and not a server-sent event. Server-sent events end with a blank line, and mostly begin
/// with the name of a known field.
pub(super) fn is_message(frame: &[u8]) -> bool {
    frame.starts_with(b"{") && !frame.ends_with(b"\n") && !frame.ends_with(b"\r")
}

/// The JSON in a frame, on one line; `None` for a frame without JSON.
pub(super) fn data_of(frame: &[u8]) -> Option<Bytes> {
    if is_message(frame) {
        return Some(Bytes::copy_from_slice(frame));
    }
    sse::parse(Bytes::copy_from_slice(frame)).map(|frame| json::line(frame.data))
}

/// The type of a frame that is still arriving: from its data line, else from its `event` line.
pub(super) fn type_of_head(head: &[u8]) -> Option<&[u8]> {
    // The type is near the front; the rest of a large frame must not be searched with every chunk.
    const FRONT: usize = 4096;
    if is_message(head) {
        return type_of(head);
    }
    let head = &head[..head.len().min(FRONT)];
    let mut event = None;
    for line in head.split(|&byte| byte == b'\n' || byte == b'\r').take(8) {
        if let Some(data) = line.strip_prefix(b"data:") {
            return type_of(data).or(event);
        }
        if let Some(name) = line.strip_prefix(b"event:") {
            event = Some(name.trim_ascii());
        }
    }
    None
}
