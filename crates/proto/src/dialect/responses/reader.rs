//! Upstream bytes in the responses dialect to events. The reader scans deltas and walks everything else; it builds no trees.
//!
//! Guarantees for writers: an `Open` comes first (rate limits, metadata and opaque frames may precede it), every item is
//! opened before its pieces, and the pieces hold the item's full text, even where the upstream sent only the finished item.
//! Items are matched by `output_index`: some services change the ids of the reply and its items in every event. Events
//! without a frame of their own are marked as covered, so that the writer of this dialect adds nothing for them.

mod delta;
mod progress;
mod template;
mod terminal;

use std::ops::Range;

use bytes::Bytes;

use super::item;
use super::wire::{Kind, head, type_of_head};
use crate::canon::{CallKind, Carrier, Channel, Event, Head, Item, ItemKind, Open, PartKey, RawFrame, What};
use crate::dialect::Dialect;
use crate::dialect::sink::EventSink;
use crate::dialect::stream_reader::{Answer, Progress, StreamReader};
use crate::failure::{self, Failure};
use crate::framing::sse;
use crate::json;
use crate::text::{Json, Text};
use crate::upstream_error;
use progress::ItemProgress;
use template::Template;

/// Frames longer than this pass in pieces where their type allows it.
const SPILL_OVER: usize = 256 << 10;

/// Upstream responses bytes to events.
pub(in crate::dialect) type Reader = StreamReader<ResponsesAnswer>;

/// The part of a reply that was read so far.
#[derive(Debug, Default)]
pub(in crate::dialect) struct ResponsesAnswer {
    /// Whether every frame is buffered until it is complete; otherwise large frames may pass in pieces.
    pub(in crate::dialect) whole_frames: bool,
    template: Template,
    items: ItemProgress,
    /// Whether the reply is open; only rate limits, metadata and opaque frames come before that.
    opened: bool,
}

impl Answer for ResponsesAnswer {
    const DIALECT: Dialect = Dialect::Responses;
    const CUT: &str = "The upstream's stream ended before the reply was complete.";
    const TOO_LARGE: &str = "The upstream sent an event that is too large.";

    fn decoder(&self, limit: usize) -> sse::Decoder {
        let may = |head: &[u8]| type_of_head(head).is_some_and(|name| Kind::of(name).is_opaque());
        let decoder = sse::Decoder::new(limit);
        if self.whole_frames { decoder } else { decoder.spilling(sse::Spill { over: SPILL_OVER, may }) }
    }

    #[inline]
    fn frame(&mut self, frame: sse::Frame, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        if frame.extent != sse::Extent::Whole {
            let what = What::Piece { last: frame.extent == sse::Extent::Last };
            out.push(Event { what, carrier: passed(frame.raw) });
            return Ok(Progress::More);
        }
        let (raw, event, data) = frame.into_parts();
        self.data(data, event, raw, out)
    }

    fn message(&mut self, message: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        self.data(message.clone(), 0..0, message, out)
    }

    /// A reply that came as one body: a response object or an error.
    fn body(&mut self, body: Bytes, out: &mut Vec<Event>) -> Result<Progress, Failure> {
        if !json::valid(&body) {
            return Ok(Progress::More);
        }
        let body = Json::from_valid(json::line(body));
        if body.text("status").is_some() {
            self.terminal(Kind::Completed, &body, Carrier::Ours, out)
        } else {
            Err(error(&body))
        }
    }

    fn is_complete(&self, _whole: bool) -> bool {
        false
    }

    fn close(&mut self, _sink: &mut EventSink<'_>) {}
}

impl ResponsesAnswer {
    /// The data of an event; its name lies at `event` in `raw`.
    fn data(
        &mut self,
        data: Bytes,
        event: Range<usize>,
        raw: Bytes,
        out: &mut Vec<Event>,
    ) -> Result<Progress, Failure> {
        if let Some((channel, span)) = self.template.find(&data) {
            self.delta(channel, span.cut(data), passed(raw), out);
            return Ok(Progress::More);
        }
        let head = head(&data);
        let kind = Kind::of(head.map_or_else(|| raw.get(event).unwrap_or_default(), |(name, _)| name));
        if let (Kind::Delta(channel), Some((_, after))) = (kind, head)
            && let Some(scanned) = delta::scan(&data, after, channel)
        {
            self.template.learn(&data, channel, &scanned);
            self.delta(channel, scanned.span.cut(data), passed(raw), out);
            return Ok(Progress::More);
        }
        self.slow((kind, head.is_some()), data, passed(raw), out)
    }

    /// Frames other than the usual deltas. `leads` is whether the type is at the head of the data, and not only the name of the event.
    fn slow(
        &mut self,
        (kind, leads): (Kind, bool),
        data: Bytes,
        carrier: Carrier,
        out: &mut Vec<Event>,
    ) -> Result<Progress, Failure> {
        let Some(json) = json::readable(data) else {
            if kind == Kind::Other {
                out.push(Event { what: What::Other, carrier });
                return Ok(Progress::More);
            }
            let garbled = Failure::new(failure::Kind::Upstream, "The upstream sent an event that is not valid JSON.");
            return Err(garbled.code("malformed_event"));
        };
        let kind = if leads { kind } else { later_kind(kind, &json) };
        self.event(kind, &json, carrier, out)
    }

    fn event(&mut self, kind: Kind, json: &Json, carrier: Carrier, out: &mut Vec<Event>) -> Result<Progress, Failure> {
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
                return self.terminal(kind, json, carrier, out);
            }
            Kind::Error => return Err(error(json)),
            Kind::Limits => out.push(Event { what: What::Limits(json.clone()), carrier }),
            Kind::Metadata => out.push(Event { what: What::Metadata(json.clone()), carrier }),
            Kind::Other => out.push(Event { what: What::Other, carrier }),
        }
        Ok(Progress::More)
    }

    fn open(&mut self, kind: Kind, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let Some(response) = (!self.opened).then(|| json.get("response")).flatten() else {
            return out.push(Event { what: What::Other, carrier });
        };
        self.opened = true;
        let what = What::Open(opening(&response));
        // The official SDKs insist on `response.created`; a frame of another type cannot replace it.
        out.push(if kind == Kind::Created { Event { what, carrier } } else { silent(what) });
    }

    /// Opens the reply if the upstream sent no opening event.
    fn opened(&mut self, open: impl FnOnce() -> Open, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.opened, true) {
            out.push(Event::new(What::Open(open())));
        }
    }

    fn delta(&mut self, channel: Channel, delta: delta::Delta, carrier: Carrier, out: &mut Vec<Event>) {
        if delta.data.is_empty() {
            return out.push(Event { what: What::Other, carrier });
        }
        self.opened(anonymous, out);
        let at = delta.at.unwrap_or_else(|| self.items.current());
        let key = PartKey { at, part: delta.part, channel };
        if !self.items.delta(key) {
            // A call without an opening event has no name; the finished item will hold the whole call.
            let Some(head) = Head::of_channel(channel) else { return out.push(Event { what: What::Other, carrier }) };
            self.items.open(at);
            self.items.delta(key);
            out.push(silent(What::ItemOpen { at, head }));
        }
        out.push(Event { what: What::Delta { at, part: delta.part, channel, data: delta.data }, carrier });
    }

    fn annotation(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let Some(data) = json.get("annotation") else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let (at, part) = (self.at(json), index(json, "content_index").unwrap_or(0));
        self.items.cite(at, part);
        out.push(Event { what: What::Annotation { at, part, data }, carrier });
    }

    fn added(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let [item, index] = json.get_each(["item", "output_index"]);
        let Some(item) = item else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let at = as_index(index).unwrap_or_else(|| self.items.next());
        let what = if self.items.open(at) { What::ItemOpen { at, head: item::head(&item) } } else { What::Other };
        out.push(Event { what, carrier });
    }

    fn done(&mut self, json: &Json, carrier: Carrier, out: &mut Vec<Event>) {
        let [item, index] = json.get_each(["item", "output_index"]);
        let Some(item) = item else { return out.push(Event { what: What::Other, carrier }) };
        self.opened(anonymous, out);
        let at = as_index(index).unwrap_or_else(|| self.items.current());
        self.item(at, item::reply(&item), carrier, out);
    }

    /// Handles a finished item; first emits the pieces that had no events of their own.
    fn item(&mut self, at: u32, item: Item, carrier: Carrier, out: &mut Vec<Event>) {
        if self.items.open(at) {
            out.push(silent(What::ItemOpen { at, head: Head::of(&item.kind) }));
        }
        for what in item.kind.pieces(at) {
            let is_sent = match what {
                What::Delta { part, channel, .. } => self.items.has(PartKey { at, part, channel }),
                What::Annotation { part, .. } => self.items.is_cited(at, part),
                _ => false,
            };
            if !is_sent {
                out.push(silent(what));
            }
        }
        self.items.done(at, matches!(&item.kind, ItemKind::Call { kind: CallKind::Function | CallKind::Custom, .. }));
        out.push(Event { what: What::ItemDone { at, item }, carrier });
    }

    fn at(&self, json: &Json) -> u32 {
        index(json, "output_index").unwrap_or_else(|| self.items.current())
    }
}

/// The kind of an event whose type is not at the head of its data: by the type further back, else by the event's name, which has `named`.
fn later_kind(named: Kind, json: &Json) -> Kind {
    match json.text("type") {
        Some(name) => Kind::of(name.plain().as_bytes()),
        None if named == Kind::Other && json.get("error").is_some() => Kind::Error,
        None => named,
    }
}

fn passed(raw: Bytes) -> Carrier {
    Carrier::Frame(RawFrame { dialect: Dialect::Responses, bytes: raw })
}

const COVERED: Carrier = Carrier::Covered(Dialect::Responses);

/// An event that the frame of a later event covers.
fn silent(what: What) -> Event {
    Event { what, carrier: COVERED }
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
