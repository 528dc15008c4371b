//! Upstream bytes in the responses dialect to events. Deltas are scanned, everything else is walked; no trees.
//!
//! What it promises to writers: an `Open` comes first (rate limits, metadata and opaque frames may precede it), every item is
//! opened before its pieces and its pieces say all of its text, even where the upstream sent only the finished item. Items are
//! tied by `output_index`: some services give the reply and its items another id in every event. Events
//! that no frame of their own stands for are covered, so that the writer of this dialect adds nothing for them.

mod delta;
mod progress;
mod template;
mod terminal;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::item;
use super::wire::{Kind, head, type_of_head};
use crate::canon::{CallKind, Carrier, Channel, Event, Frame, Head, Item, ItemKind, Open, PartKey, What};
use crate::dialect::Dialect;
use crate::failure::{self, Failure};
use crate::framing;
use crate::framing::{ndjson, sse};
use crate::json;
use crate::text::{Json, Text};
use crate::upstream_error;
use progress::ItemProgress;
use template::Template;

/// Longest event that is read, in bytes.
pub(crate) const MAX_EVENT: usize = 64 << 20;
/// Frames longer than this pass in pieces where their type allows it.
const SPILL_OVER: usize = 256 << 10;

/// Upstream responses bytes to events.
#[derive(Debug)]
pub struct Reader {
    source: Source,
    /// Reused between chunks.
    frames: Vec<sse::Frame>,
    /// Whether large frames may pass in pieces.
    pieces: bool,
    template: Template,
    seen: ItemProgress,
    state: State,
}

/// What form the reply has.
#[derive(Debug)]
enum Source {
    /// Nothing but whitespace came.
    Unknown,
    Stream(sse::Decoder),
    /// The messages of a WebSocket, one a line.
    Lines(ndjson::Decoder),
    /// A JSON body: some relays answer so even when a stream was asked for.
    Body(BytesMut),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but preliminaries so far.
    Before,
    /// The reply began.
    Open,
    /// A terminal event was read; nothing counts any more.
    Done,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            source: Source::Unknown,
            frames: Vec::new(),
            pieces: true,
            template: Template::default(),
            seen: ItemProgress::default(),
            state: State::Before,
        }
    }

    /// Holds every frame until it is whole.
    pub(crate) fn without_pieces(self) -> Self {
        Self { pieces: false, ..self }
    }

    /// Expects one message a line.
    pub(crate) fn read_lines(&mut self) {
        self.source = Source::Lines(ndjson::Decoder::new(MAX_EVENT));
    }

    /// Reads one chunk.
    pub(crate) fn push(&mut self, mut chunk: Bytes, out: &mut Vec<Event>) {
        if self.state == State::Done {
            return;
        }
        if matches!(self.source, Source::Unknown) {
            let Some(begun) = framing::begin(&chunk) else { return };
            chunk = begun;
            self.source = if chunk.starts_with(b"{") {
                Source::Body(BytesMut::new())
            } else {
                Source::Stream(decoder(self.pieces))
            };
        }
        match &mut self.source {
            Source::Stream(decoder) => {
                let mut frames = std::mem::take(&mut self.frames);
                let decoded = decoder.push(chunk, &mut frames);
                for frame in frames.drain(..) {
                    self.frame(frame, out);
                }
                self.frames = frames;
                if decoded.is_err() {
                    self.fail(too_large(), Carrier::Ours, out);
                }
            }
            Source::Lines(decoder) => {
                let mut lines = Vec::new();
                let decoded = decoder.push(chunk, &mut lines);
                for line in lines {
                    self.line(line, out);
                }
                if decoded.is_err() {
                    self.fail(too_large(), Carrier::Ours, out);
                }
            }
            Source::Body(body) if body.len() + chunk.len() > MAX_EVENT => self.fail(too_large(), Carrier::Ours, out),
            Source::Body(body) => body.extend_from_slice(&chunk),
            Source::Unknown => {}
        }
    }

    /// The upstream is done or cut.
    pub(crate) fn end(mut self, out: &mut Vec<Event>) {
        match std::mem::replace(&mut self.source, Source::Unknown) {
            Source::Stream(decoder) => {
                let mut frames = Vec::new();
                decoder.end(&mut frames);
                for frame in frames {
                    self.frame(frame, out);
                }
            }
            Source::Lines(decoder) => {
                let mut lines = Vec::new();
                decoder.end(&mut lines);
                for line in lines {
                    self.line(line, out);
                }
            }
            Source::Body(body) if json::valid(&body) && self.state != State::Done => {
                self.body(&Json::from_valid(json::line(body.freeze())), out);
            }
            Source::Body(_) | Source::Unknown => {}
        }
        let cut = Failure::new(failure::Kind::Upstream, "The upstream's stream ended before the reply was complete.");
        self.fail(cut.code("stream_cut"), Carrier::Ours, out);
    }

    /// A reply that came as one body: a response object or an error.
    fn body(&mut self, body: &Json, out: &mut Vec<Event>) {
        if body.get("status").is_some_and(|status| status.as_text().is_some()) {
            self.terminal(Kind::Completed, body, Carrier::Ours, out);
        } else {
            self.fail(error(body), Carrier::Ours, out);
        }
    }

    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) {
        if self.state == State::Done {
            return;
        }
        if frame.extent != sse::Extent::Whole {
            let what = What::Piece { last: frame.extent == sse::Extent::Last };
            return out.push(Event { what, carrier: passed(frame.raw) });
        }
        let (raw, event, data) = frame.into_parts();
        self.data(data, event, raw, out);
    }

    /// A message of a WebSocket.
    fn line(&mut self, line: Bytes, out: &mut Vec<Event>) {
        if self.state != State::Done {
            self.data(line.clone(), 0..0, line, out);
        }
    }

    /// The data of an event; its name lies at `event` in `raw`.
    fn data(&mut self, data: Bytes, event: Range<usize>, raw: Bytes, out: &mut Vec<Event>) {
        if let Some((channel, found)) = self.template.find(&data) {
            return self.delta(channel, found.cut(data), passed(raw), out);
        }
        let head = head(&data);
        let kind = Kind::of(head.map_or_else(|| raw.get(event).unwrap_or_default(), |(name, _)| name));
        if let (Kind::Delta(channel), Some((_, after))) = (kind, head)
            && let Some(scanned) = delta::scan(&data, after, channel)
        {
            self.template.learn(&data, channel, &scanned);
            return self.delta(channel, scanned.found.cut(data), passed(raw), out);
        }
        self.slow(kind, data, passed(raw), out);
    }

    /// Frames other than the usual deltas.
    fn slow(&mut self, kind: Kind, data: Bytes, carrier: Carrier, out: &mut Vec<Event>) {
        let Some(json) = json::readable(data) else {
            if kind == Kind::Other {
                return out.push(Event { what: What::Other, carrier });
            }
            let garbled = Failure::new(failure::Kind::Upstream, "The upstream sent an event that is not valid JSON.");
            return self.fail(garbled.code("malformed_event"), Carrier::Ours, out);
        };
        // The type may stand elsewhere than at the head of the object.
        let kind = match json.text("type") {
            Some(name) => Kind::of(name.plain().as_bytes()),
            None if kind == Kind::Other && json.get("error").is_some() => Kind::Error,
            None => kind,
        };
        self.event(kind, &json, carrier, out);
    }

    fn event(&mut self, kind: Kind, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        match kind {
            Kind::Created | Kind::Begun => self.open(kind, json, carrier, out),
            Kind::ItemAdded => self.added(json, carrier, out),
            Kind::ItemDone => self.done(json, carrier, out),
            Kind::Delta(channel) => match delta::parse(json, channel) {
                Some(delta) => self.delta(channel, delta, carrier, out),
                None => out.push(Event { what: What::Other, carrier }),
            },
            Kind::Annotation => self.annotation(json, carrier, out),
            Kind::Completed | Kind::Incomplete | Kind::Cancelled | Kind::Failed => {
                self.terminal(kind, json, carrier, out);
            }
            Kind::Error => self.fail(error(json), Carrier::Ours, out),
            Kind::Limits => out.push(Event { what: What::Limits(json.clone()), carrier }),
            Kind::Metadata => out.push(Event { what: What::Metadata(json.clone()), carrier }),
            Kind::Other => out.push(Event { what: What::Other, carrier }),
        }
    }

    fn open(&mut self, kind: Kind, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let Some(response) = json.get("response").filter(|_| self.state == State::Before) else {
            return out.push(Event { what: What::Other, carrier });
        };
        self.state = State::Open;
        let what = What::Open(opening(&response));
        // The official SDKs insist on `response.created`; a frame of another type cannot stand for it.
        out.push(if kind == Kind::Created { Event { what, carrier } } else { silent(what) });
    }

    /// Makes sure that the reply is open, for upstreams that never say so.
    fn opened(&mut self, open: impl FnOnce() -> Open, out: &mut Vec<Event>) {
        if self.state == State::Before {
            self.state = State::Open;
            out.push(Event::new(What::Open(open())));
        }
    }

    fn delta(&mut self, channel: Channel, delta: delta::Delta, carrier: Carrier, out: &mut Vec<Event>) {
        if delta.data.is_empty() {
            return out.push(Event { what: What::Other, carrier });
        }
        self.opened(anonymous, out);
        let at = delta.at.unwrap_or_else(|| self.seen.current());
        let key = PartKey { at, part: delta.part, channel };
        if !self.seen.delta(key) {
            // Without its opening a call has no name; its item will say all of it.
            let Some(head) = head_for(channel) else { return out.push(Event { what: What::Other, carrier }) };
            self.seen.open(at);
            self.seen.delta(key);
            out.push(silent(What::ItemOpen { at, head }));
        }
        out.push(Event { what: What::Delta { at, part: delta.part, channel, data: delta.data }, carrier });
    }

    fn annotation(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let Some(data) = json.get("annotation") else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let (at, part) = (self.at(json), index(json, "content_index").unwrap_or(0));
        self.seen.cite(at, part);
        out.push(Event { what: What::Annotation { at, part, data }, carrier });
    }

    fn added(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let [item, index] = json.get_each(["item", "output_index"]);
        let Some(item) = item else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let at = as_index(index).unwrap_or_else(|| self.seen.next());
        let what = if self.seen.open(at) { What::ItemOpen { at, head: item::head(&item) } } else { What::Other };
        out.push(Event { what, carrier });
    }

    fn done(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let [item, index] = json.get_each(["item", "output_index"]);
        let Some(item) = item else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let at = as_index(index).unwrap_or_else(|| self.seen.current());
        self.item(at, item::reply(&item), carrier, out);
    }

    /// An item is whole; says first whatever of it was not said piece by piece.
    fn item(&mut self, at: u32, item: Item, carrier: Carrier, out: &mut Vec<Event>) {
        if self.seen.open(at) {
            out.push(silent(What::ItemOpen { at, head: Head::of(&item.kind) }));
        }
        for what in item.kind.pieces(at) {
            let said = match what {
                What::Delta { part, channel, .. } => self.seen.has(PartKey { at, part, channel }),
                What::Annotation { part, .. } => self.seen.is_cited(at, part),
                _ => false,
            };
            if !said {
                out.push(silent(what));
            }
        }
        self.seen.done(at, matches!(&item.kind, ItemKind::Call { kind: CallKind::Function | CallKind::Custom, .. }));
        out.push(Event { what: What::ItemDone { at, item }, carrier });
    }

    fn fail(&mut self, failure: Failure, carrier: Carrier, out: &mut Vec<Event>) {
        if self.state != State::Done {
            self.state = State::Done;
            out.push(Event { what: What::Fail(failure), carrier });
        }
    }

    fn at(&self, json: &Json) -> u32 {
        index(json, "output_index").unwrap_or_else(|| self.seen.current())
    }
}

fn decoder(pieces: bool) -> sse::Decoder {
    let may = |head: &[u8]| type_of_head(head).is_some_and(|name| Kind::of(name).is_opaque());
    let decoder = sse::Decoder::new(MAX_EVENT);
    if pieces { decoder.spilling(sse::Spill { over: SPILL_OVER, may }) } else { decoder }
}

fn too_large() -> Failure {
    Failure::new(failure::Kind::Upstream, "The upstream sent an event that is too large.").code("event_too_large")
}

fn passed(raw: Bytes) -> Carrier {
    Carrier::Frame(Frame { dialect: Dialect::Responses, bytes: raw })
}

const COVERED: Carrier = Carrier::Covered(Dialect::Responses);

/// An event that the frame of a later event stands for.
fn silent(what: What) -> Event {
    Event { what, carrier: COVERED }
}

/// What an item must be that has pieces in `channel`.
fn head_for(channel: Channel) -> Option<Head> {
    match channel {
        Channel::Text | Channel::Refusal => Some(Head::Message { phase: None }),
        Channel::Reasoning | Channel::Summary => Some(Head::Reasoning),
        Channel::Image => Some(Head::Image),
        Channel::Arguments => None,
    }
}

fn anonymous() -> Open {
    Open { id: Text::default(), model: None, created: 0 }
}

fn opening(response: &Json) -> Open {
    let mut open = anonymous();
    for (key, value) in response.fields() {
        match key.as_str() {
            "id" => open.id = value.as_text().unwrap_or_default(),
            "model" => open.model = value.as_text(),
            "created_at" => open.created = value.as_u64().unwrap_or(0),
            _ => {}
        }
    }
    open
}

/// The failure of a top-level `error` event: `{"error":{...}}`, a flat object, or only a status.
fn error(json: &Json) -> Failure {
    let mut failure = upstream_error::from_event(json);
    let status = json.get("status").or_else(|| json.get("status_code")).and_then(|status| status.as_u64());
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()) {
        upstream_error::refine(&mut failure, status, upstream_error::Source::Stream);
    }
    failure
}

fn index(json: &Json, name: &str) -> Option<u32> {
    as_index(json.get(name))
}

fn as_index(json: Option<Json>) -> Option<u32> {
    json?.as_u64()?.try_into().ok()
}
