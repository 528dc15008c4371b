//! Events to responses bytes. A frame of this dialect passes as it came; everything else is written out as the full, legal
//! series of Responses events. Both kinds may mix in one reply, as a cut by [`crate::trim`] does.

mod items;
mod pieces;
mod terminal;

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};

use super::encode::Facts;
use super::wire::{data_of, is_message, type_of, type_of_head};
use crate::canon::{Event, Open, Usage, What};
use crate::dialect::{Dialect, KEEPALIVE, ReplySetting};
use crate::framing::Framing;
use crate::json::emit::{self, ObjectWriter};
use crate::json::readable;
use crate::text::{self, Json};
use items::Items;
use pieces::Pieces;

/// Events to responses bytes.
#[derive(Debug)]
pub struct Writer {
    facts: Facts,
    codex: bool,
    framing: Framing,
    opened: bool,
    /// The number of the next event.
    sequence: u64,
    items: Items,
    usage: Option<Usage>,
    /// The large frame that is passing in pieces.
    pieces: Option<Pieces>,
    /// The response object that the client saw last, for a response that is stored.
    response: Option<Json>,
}

impl Writer {
    pub(crate) fn new(setting: ReplySetting) -> Self {
        let (codex, framing) = (setting.codex, setting.framing);
        Self {
            facts: Facts::new(setting),
            codex,
            framing,
            opened: false,
            sequence: 0,
            items: Items::default(),
            usage: None,
            pieces: None,
            response: None,
        }
    }

    /// The response object that the client saw last, if [`ReplySetting::stored`] asks for it.
    pub fn response(&self) -> Option<&Json> {
        self.response.as_ref()
    }

    /// Drops the text and items buffered for the terminal event. Pieces still pass, but only a failure may end the reply after this.
    /// `false` when the buffers were dropped before.
    pub(crate) fn forget(&mut self) -> bool {
        self.items.forget()
    }

    /// Appends `event` in this dialect.
    pub(crate) fn push(&mut self, event: &Event, out: &mut BytesMut) {
        let raw = event.carrier.passed_in(Dialect::Responses).map(|frame| &frame[..]);
        match &event.what {
            What::Open(open) => self.open(open, raw, out),
            What::Usage(usage) => self.usage = Some(*usage),
            What::End { finish, response } => self.finish(*finish, response.as_ref(), raw, out),
            What::Fail(failure) => self.fail(failure, raw, out),
            // The official SDKs insist on `response.created` as the first event.
            _ if !self.opened => {}
            What::Piece { last } => self.piece(*last, raw, out),
            // Limits and catalogue of one account: a Codex client already got those of all accounts before its reply.
            What::Limits(_) => {}
            What::Metadata(_) if raw.is_some_and(is_private) => {}
            What::Metadata(_) => self.private(raw, out),
            What::Other if raw.is_some_and(is_private) => self.private(raw, out),
            What::Other if self.facts.stored().reads() && raw.is_some_and(is_begun) => {
                self.pass_object(raw, false, out);
            }
            What::Other => self.pass(raw, out),
            what => {
                let written = self.items.note(what, raw);
                match raw.filter(|_| written) {
                    Some(raw) => self.pass(Some(raw), out),
                    None => self.write_event(what, out),
                }
            }
        }
    }

    /// Appends a keepalive for an idle client: data once the reply is open, because Codex ignores comments.
    pub(crate) fn heartbeat(&self, out: &mut BytesMut) {
        match (self.opened, self.framing) {
            _ if self.pieces.is_some() => {}
            (false, Framing::ServerSentEvents) => out.put_slice(KEEPALIVE),
            (false, Framing::Lines) => out.put_slice(b"\n"),
            (true, Framing::ServerSentEvents) => out.put_slice(b"data: {\"type\":\"keepalive\"}\n\n"),
            (true, Framing::Lines) => out.put_slice(b"{\"type\":\"keepalive\"}\n"),
        }
    }

    fn open(&mut self, open: &Open, raw: Option<&[u8]>, out: &mut BytesMut) {
        if self.opened {
            return self.pass(raw, out);
        }
        let raw = raw.filter(|raw| !raw.is_empty());
        self.facts.open(open, raw.is_some());
        self.opened = true;
        match raw {
            Some(_) => self.pass_object(raw, false, out),
            None => self.begin(out),
        }
    }

    /// Writes the opening events.
    fn begin(&mut self, out: &mut BytesMut) {
        self.opened = true;
        for name in ["response.created", "response.in_progress"] {
            let response = self.facts.response("in_progress", |_| ());
            self.frame(name, out, |writer| writer.json("response", &response));
            self.response = self.facts.stored().keep(&response);
        }
    }

    /// Writes an upstream frame as it is.
    fn pass(&mut self, raw: Option<&[u8]>, out: &mut BytesMut) {
        if let Some(raw) = raw.filter(|raw| !raw.is_empty()) {
            self.sequence += 1;
            self.put(raw, out);
        }
    }

    /// Appends an upstream frame in the client's framing.
    fn put(&self, raw: &[u8], out: &mut BytesMut) {
        match (self.framing, is_message(raw)) {
            (Framing::ServerSentEvents, false) => out.put_slice(raw),
            (Framing::ServerSentEvents, true) => {
                let name = type_of(raw).map(Cow::Borrowed).or_else(|| later_type(raw).map(Cow::Owned));
                self.event(&name.unwrap_or_default(), out, |out| out.put_slice(raw));
            }
            (Framing::Lines, _) => {
                let data = if is_message(raw) {
                    Some(Cow::Borrowed(raw))
                } else {
                    data_of(raw).map(|data| Cow::Owned(data.to_vec()))
                };
                if let Some(data) = data {
                    self.event(b"", out, |out| out.put_slice(&data));
                }
            }
        }
    }

    /// Appends an event with the data that `data` writes; an empty `name` is left out.
    fn event(&self, name: &[u8], out: &mut BytesMut, data: impl FnOnce(&mut BytesMut)) {
        if self.framing == Framing::Lines {
            data(out);
            return out.put_slice(b"\n");
        }
        if name.is_empty() {
            out.put_slice(b"data: ");
        } else {
            out.put_slice(b"event: ");
            out.put_slice(name);
            out.put_slice(b"\ndata: ");
        }
        data(out);
        out.put_slice(b"\n\n");
    }

    /// Writes an upstream frame that only Codex clients understand; such frames have no sequence number.
    fn private(&self, raw: Option<&[u8]>, out: &mut BytesMut) {
        if let Some(raw) = raw.filter(|raw| self.codex && !raw.is_empty()) {
            self.put(raw, out);
        }
    }

    fn piece(&mut self, last: bool, raw: Option<&[u8]>, out: &mut BytesMut) {
        let Some(raw) = raw else { return };
        out.put_slice(raw);
        self.pieces.get_or_insert_default().feed(raw);
        if last {
            self.pieces = None;
            self.sequence += 1;
        }
    }

    /// Writes one frame of ours.
    fn frame(&mut self, name: &str, out: &mut BytesMut, members: impl FnOnce(&mut ObjectWriter<'_>)) {
        let number = self.sequence;
        self.sequence += 1;
        self.event(name.as_bytes(), out, |out| {
            emit::object(out, |writer| {
                writer.string("type", name);
                writer.number("sequence_number", number);
                members(writer);
            });
        });
    }
}

/// The type of a message whose `type` is not at the head.
fn later_type(message: &[u8]) -> Option<Vec<u8>> {
    let json = readable(Bytes::copy_from_slice(message))?;
    Some(json.text("type")?.plain().into_owned().into_bytes())
}

/// Whether a frame repeats the opening response object.
fn is_begun(frame: &[u8]) -> bool {
    type_of_head(frame).is_some_and(|name| matches!(name, b"response.in_progress" | b"response.queued"))
}

/// Whether a frame is of a kind that only Codex clients understand.
fn is_private(frame: &[u8]) -> bool {
    type_of_head(frame).is_some_and(|name| name.starts_with(b"codex.") || name.starts_with(b"responsesapi."))
}

/// The value in a buffer of its own.
fn owned_json(json: &Json) -> Json {
    Json::from_valid(text::owned(json.bytes()))
}
