//! Events to Anthropic's stream events. Frames of a messages upstream pass as they came.
//!
//! Content blocks of this protocol are sequential, so one item is written at a time: an upstream's events of another item
//! wait until the first item is finished. A text delta costs three copies into the output and no allocation.

mod blocks;
mod items;
mod searches;
mod track;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::blocks::Blocks;
use self::searches::Searches;
use self::track::Tracks;
use super::encode::StopSignals;
use super::wire::Kind as Wired;
use super::{encode, error};
use crate::canon::{Event, Finish, Head, Open, Usage, What};
use crate::dialect::{Dialect, KEEPALIVE, ReplySetting};
use crate::failure::Failure;
use crate::framing::sse;
use crate::json;
use crate::json::emit::{self, ObjectWriter};
use crate::text::{Json, Text};

/// Keepalive for a waiting client; the official SDKs skip it at any position.
const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";
/// The last frame of a reply that ended well.
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// Events to messages bytes.
#[derive(Debug)]
pub struct Writer {
    setting: ReplySetting,
    opened: bool,
    blocks: Blocks,
    tracks: Tracks,
    searches: Searches,
    usage: Option<Usage>,
    stop: Option<Text>,
    stop_signals: StopSignals,
    /// Whether the call that is being written is for a tool that takes free text.
    custom: bool,
    /// Whether the upstream's own frame had the reason for the reply's end.
    ended: bool,
}

impl Writer {
    pub(in crate::dialect) fn new(setting: ReplySetting) -> Self {
        Self {
            searches: Searches::new(&setting.id),
            setting,
            opened: false,
            blocks: Blocks::default(),
            tracks: Tracks::default(),
            usage: None,
            stop: None,
            stop_signals: StopSignals::default(),
            custom: false,
            ended: false,
        }
    }

    pub(in crate::dialect) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        match event.passed_in(Dialect::Messages) {
            Some(frame) => self.pass(&event.what, frame, out),
            None => self.write_event(&event.what, out),
        }
    }

    pub(in crate::dialect) fn heartbeat(&self, out: &mut BytesMut) {
        out.put_slice(if self.opened { PING } else { KEEPALIVE });
    }

    fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::Open(open) => self.open(Some(open), out),
            What::Delta { at, part, channel, data } => self.delta((*at, *part, *channel), data, out),
            // The contents of the other items are known when they end.
            What::ItemOpen { at, head: Head::Message { .. } | Head::Reasoning | Head::Call { .. } }
            | What::Annotation { at, .. }
            | What::ItemDone { at, .. } => self.item(*at, what, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::Stopped(sequence) => self.stop = Some(sequence.clone()),
            What::End { finish, .. } => self.finish(*finish, out),
            What::Fail(failure) => self.fail(failure, out),
            What::ItemOpen { .. }
            | What::Limits(_)
            | What::Metadata(_)
            | What::Piece { .. }
            | What::Note(_)
            | What::Other => {}
        }
    }

    /// `message_start`, and the ping that follows it.
    fn open(&mut self, open: Option<&Open>, out: &mut BytesMut) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        let setting = &self.setting;
        frame("message_start", out, |writer| {
            writer.object("message", |writer| {
                writer.text("id", &setting.shown_id(open.map(|open| &open.id)));
                writer.string("type", "message");
                writer.string("role", "assistant");
                writer.text("model", &setting.shown_model(open.and_then(|open| open.model.as_ref())));
                writer.literal("content", "[]");
                writer.literal("stop_reason", "null");
                writer.literal("stop_sequence", "null");
                writer.object("usage", |writer| encode::usage(writer, &Usage::default(), 0));
            });
        });
        out.put_slice(PING);
    }

    fn finish(&mut self, finish: Finish, out: &mut BytesMut) {
        self.open(None, out);
        self.flush(out);
        if !self.ended {
            let reason = encode::reason(finish, StopSignals { stopped: self.stop.is_some(), ..self.stop_signals });
            let (stop, usage) = (self.stop.take(), self.usage.unwrap_or_default());
            let searches = self.searches.count();
            frame("message_delta", out, |writer| {
                writer.object("delta", |writer| {
                    writer.string("stop_reason", reason);
                    writer.nullable("stop_sequence", stop.as_ref(), ObjectWriter::text);
                });
                writer.object("usage", |writer| encode::usage(writer, &usage, searches));
            });
        }
        out.put_slice(STOP);
    }

    /// The `error` event. The open block is ended first, so that clients keep the part of the block that they have.
    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.blocks.close(out);
        out.put_slice(b"event: error\ndata: ");
        error::event(out, failure);
        out.put_slice(b"\n\n");
    }

    /// An event whose frame passes unchanged: the writer's state must follow the frame's contents.
    fn pass(&mut self, what: &What, frame: &Bytes, out: &mut BytesMut) {
        match what {
            What::Delta { at, part, channel, .. } => {
                self.tracks.begin(*at);
                self.tracks.note_part(*part, *channel);
                if frame.starts_with(b"event:") {
                    return self.emit(frame, out);
                }
            }
            What::ItemOpen { at, head } => {
                self.stop_signals.calls |= matches!(head, Head::Call { .. });
                self.tracks.begin(*at);
            }
            What::ItemDone { at, .. } => self.tracks.done(*at),
            What::Usage(usage) => self.usage = Some(*usage),
            What::Stopped(sequence) => self.stop = Some(sequence.clone()),
            What::Open(_) => self.opened = true,
            What::End { finish, .. } if frame.is_empty() || !self.ended => return self.finish(*finish, out),
            What::End { .. } => self.blocks.close(out),
            _ => {}
        }
        if let Some(parsed) = sse::parse(frame.clone()) {
            self.follow(&parsed, out);
        }
        self.emit(frame, out);
    }

    /// Tracks the blocks that the upstream's frames begin and end, and adds missing event names, because the official SDKs ignore
    /// events without a name.
    fn follow(&mut self, frame: &sse::Frame, out: &mut BytesMut) {
        let json = json::valid(&frame.data).then(|| Json::from_valid(frame.data.clone()));
        let Some(name) = json.as_ref().and_then(|json| json.text("type")) else { return };
        if frame.event().is_empty() && self.opened {
            out.put_slice(b"event: ");
            out.put_slice(name.plain().as_bytes());
            out.put_slice(b"\n");
        }
        match (Wired::of(name.plain().as_bytes()), json) {
            (Wired::BlockStart, Some(json)) => self.blocks.adopt(&json),
            (Wired::BlockStop, _) => self.blocks.release(),
            (Wired::Delta, Some(json)) => {
                self.ended |= json.get("delta").is_some_and(|delta| delta.text("stop_reason").is_some());
            }
            _ => {}
        }
    }

    /// Passes a frame unchanged; drops frames before `message_start`, which SDKs expect first.
    fn emit(&self, frame: &Bytes, out: &mut BytesMut) {
        if self.opened {
            out.put_slice(frame);
        }
    }
}

/// Writes one event.
fn frame(name: &str, out: &mut BytesMut, members: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    emit::object(out, |writer| {
        writer.string("type", name);
        members(writer);
    });
    out.put_slice(b"\n\n");
}
