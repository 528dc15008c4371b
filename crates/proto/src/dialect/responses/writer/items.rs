//! The items of a reply: which of them the client saw begin, and the events of the items that we write ourselves.

use bytes::BytesMut;

use super::super::encode::{render_item, write_part};
use super::super::item;
use super::super::wire::{data_of, part_index_field, piece_field};
use super::{Writer, owned_json};
use crate::canon::{CallKind, Channel, Head, Item, ItemKind, Part, What};
use crate::fold::ItemDraft;
use crate::json::emit::ObjectWriter;
use crate::text::{Json, Text};

/// The items so far.
#[derive(Debug, Default)]
pub(super) struct Items {
    open: Vec<OpenItem>,
    /// Finished items by output index.
    done: Vec<(u32, Json)>,
    /// Whether text and finished items are no longer buffered.
    forgets: bool,
}

/// An item that is not finished.
#[derive(Debug)]
struct OpenItem {
    at: u32,
    head: Head,
    id: Text,
    origin: Origin,
    /// Parts that the client saw begin.
    parts: Vec<(u32, Channel)>,
    /// The text so far, for items that we write ourselves.
    draft: ItemDraft,
    annotations: u64,
}

/// The source of the events that open an item for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The upstream's frames, which also begin and end its parts.
    Upstream,
    /// None yet: the upstream sends only the finished item.
    Silent,
    /// Our own events.
    Us,
}

impl Items {
    /// Notes the event; returns whether the frame `raw` may be passed instead of writing the event.
    pub(super) fn note(&mut self, what: &What, raw: Option<&[u8]>) -> bool {
        let Some(raw) = raw else { return false };
        match what {
            What::ItemOpen { at, head } => self.begin(*at, head, raw),
            What::ItemDone { at, item } => {
                self.open.retain(|live| live.at != *at);
                if let Some(json) = &item.raw {
                    self.finish(*at, owned_json(json));
                }
            }
            What::Delta { at, part, channel, .. } => {
                if let Some(live) = self.find(*at) {
                    if live.origin == Origin::Us {
                        return false;
                    }
                    if live.origin == Origin::Upstream && live.parts.last() != Some(&(*part, *channel)) {
                        live.saw(*part, *channel);
                    }
                }
            }
            _ => {}
        }
        true
    }

    fn begin(&mut self, at: u32, head: &Head, raw: &[u8]) {
        let origin = if raw.is_empty() { Origin::Silent } else { Origin::Upstream };
        let id = if raw.is_empty() { Text::default() } else { id_of(raw) };
        self.add(OpenItem::new(at, head, id, origin));
    }

    /// Mostly one item is open at a time, and `Vec`'s usual room for four would be a good part of a stream's memory.
    fn add(&mut self, live: OpenItem) {
        if self.open.is_empty() {
            self.open.reserve_exact(1);
        }
        self.open.push(live);
    }

    fn finish(&mut self, at: u32, json: Json) {
        if self.forgets {
            return;
        }
        let index = self.done.partition_point(|(done, _)| *done < at);
        match self.done.get_mut(index).filter(|done| done.0 == at) {
            Some(done) => done.1 = json,
            None => self.done.insert(index, (at, json)),
        }
    }

    /// Drops the text so far and the finished items, and stops buffering them; `false` when it did so before.
    pub(super) fn forget(&mut self) -> bool {
        self.done = Vec::new();
        self.open.iter_mut().for_each(|live| live.draft = ItemDraft::default());
        !std::mem::replace(&mut self.forgets, true)
    }

    /// The finished items in their order.
    pub(super) fn output(&self) -> Vec<Json> {
        self.done.iter().map(|(_, json)| json.clone()).collect()
    }

    fn find(&mut self, at: u32) -> Option<&mut OpenItem> {
        self.open.iter_mut().rev().find(|live| live.at == at)
    }
}

impl OpenItem {
    fn new(at: u32, head: &Head, id: Text, origin: Origin) -> Self {
        Self { at, head: owned_head(head), id, origin, parts: Vec::new(), draft: ItemDraft::default(), annotations: 0 }
    }

    /// Notes that the client saw a part begin; `false` when the part was noted before.
    fn saw(&mut self, part: u32, channel: Channel) -> bool {
        let new = !self.parts.contains(&(part, channel));
        if new {
            self.parts.push((part, channel));
        }
        new
    }
}

impl Writer {
    /// Writes frames of our own for an event.
    pub(super) fn write_event(&mut self, what: &What, out: &mut BytesMut) {
        match what {
            What::ItemOpen { at, head } => {
                let id = self.facts.item_id(&ItemKind::begun(head), *at);
                self.items.add(OpenItem::new(*at, head, id, Origin::Us));
                self.added(*at, out);
            }
            What::Delta { at, part, channel, data } => self.delta((*at, *part, *channel), data, out),
            What::Annotation { at, part, data } => self.annotation(*at, *part, data, out),
            What::ItemDone { at, item } => self.done(*at, item, out),
            _ => {}
        }
    }

    /// Ends the items that we began and that are still open.
    pub(super) fn close_items(&mut self, out: &mut BytesMut) {
        let open: Vec<u32> =
            self.items.open.iter().filter(|live| live.origin == Origin::Us).map(|live| live.at).collect();
        for at in open {
            let item = self.items.find(at).and_then(|live| std::mem::take(&mut live.draft).item());
            if let Some(item) = item {
                self.done(at, &item, out);
            }
        }
    }

    /// The index of the item at `at`; opens the item for the client if needed.
    fn live(&mut self, at: u32, channel: Channel, out: &mut BytesMut) -> usize {
        let found = self.items.open.iter().rposition(|live| live.at == at);
        let index = found.unwrap_or_else(|| {
            let head = Head::of_channel(channel).unwrap_or(Head::Other);
            let id = self.facts.item_id(&ItemKind::begun(&head), at);
            self.items.add(OpenItem::new(at, &head, id, Origin::Silent));
            self.items.open.len() - 1
        });
        if self.items.open[index].origin == Origin::Silent {
            let live = &mut self.items.open[index];
            live.origin = Origin::Us;
            live.draft.open(&live.head);
            if live.id.is_empty() {
                live.id = self.facts.item_id(&ItemKind::begun(&live.head), at);
            }
            self.added(at, out);
        }
        index
    }

    fn added(&mut self, at: u32, out: &mut BytesMut) {
        let Some(live) = self.items.find(at) else { return };
        live.draft.open(&live.head);
        if live.head == Head::Other {
            return;
        }
        let item = render_item(&ItemKind::begun(&live.head), &live.id, "in_progress");
        self.frame("response.output_item.added", out, |writer| {
            writer.number("output_index", at.into());
            writer.json("item", &item);
        });
    }

    fn delta(&mut self, (at, part, channel): (u32, u32, Channel), data: &Text, out: &mut BytesMut) {
        let index = self.live(at, channel, out);
        self.begin_part(index, part, channel, out);
        let live = &mut self.items.open[index];
        if live.origin == Origin::Us && !self.items.forgets {
            live.draft.delta(part, channel, data);
        }
        let (name, ..) = names(channel, &live.head);
        self.part_frame(name, (index, part, channel), out, |writer| {
            writer.text(piece_field(channel), data);
            if channel == Channel::Text {
                writer.literal("logprobs", "[]");
            }
        });
    }

    /// Writes an event about a part of the item at `index` in the list.
    fn part_frame(
        &mut self,
        name: &str,
        (index, part, channel): (usize, u32, Channel),
        out: &mut BytesMut,
        members: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let live = &self.items.open[index];
        let (at, id) = (live.at, live.id.clone());
        self.frame(name, out, |writer| {
            writer.text("item_id", &id);
            writer.number("output_index", at.into());
            if channel != Channel::Arguments {
                writer.number(part_index_field(channel), part.into());
            }
            members(writer);
        });
    }

    /// Opens a part that the client has not seen begin. The upstream's frames open the parts of its own items.
    fn begin_part(&mut self, index: usize, part: u32, channel: Channel, out: &mut BytesMut) {
        let live = &mut self.items.open[index];
        if !live.saw(part, channel) || live.origin == Origin::Upstream {
            return;
        }
        self.part_event(index, (part, channel), "added", &Text::default(), out);
    }

    fn annotation(&mut self, at: u32, part: u32, data: &Json, out: &mut BytesMut) {
        let index = self.live(at, Channel::Text, out);
        self.begin_part(index, part, Channel::Text, out);
        let live = &mut self.items.open[index];
        if live.origin == Origin::Us && !self.items.forgets {
            live.draft.annotation(part, data);
        }
        let number = live.annotations;
        live.annotations += 1;
        self.part_frame("response.output_text.annotation.added", (index, part, Channel::Text), out, |writer| {
            writer.number("annotation_index", number);
            writer.json("annotation", data);
        });
    }

    /// Handles a finished item: ends its parts and the item.
    fn done(&mut self, at: u32, item: &Item, out: &mut BytesMut) {
        if matches!(item.kind, ItemKind::Other { .. } | ItemKind::Output { .. }) && item.raw.is_none() {
            return;
        }
        if self.items.forgets {
            return self.items.open.retain(|live| live.at != at);
        }
        let mut whole = item.clone();
        if let Some(live) = self.items.find(at) {
            live.draft.complete(&mut whole);
        }
        let item = &whole;
        let texts = item.kind.texts();
        if self.items.find(at).is_none() {
            let id = self.facts.item_id(&item.kind, at);
            self.items.add(OpenItem::new(at, &Head::of(&item.kind), id, Origin::Silent));
        }
        let first = texts.first().map_or(Channel::Text, |(channel, ..)| *channel);
        let index = self.live(at, first, out);
        for (channel, part, text) in texts {
            if self.items.open[index].parts.contains(&(part, channel)) {
                self.end_part(index, (part, channel), text, out);
            }
        }
        let live = self.items.open.remove(index);
        let json = item.raw.as_ref().map_or_else(|| render_item(&item.kind, &live.id, "completed"), owned_json);
        self.frame("response.output_item.done", out, |writer| {
            writer.number("output_index", at.into());
            writer.json("item", &json);
        });
        self.items.finish(at, json);
    }

    fn end_part(&mut self, index: usize, (part, channel): (u32, Channel), text: &Text, out: &mut BytesMut) {
        let (_, name, field) = names(channel, &self.items.open[index].head);
        self.part_frame(name, (index, part, channel), out, |writer| {
            writer.text(field, text);
            if channel == Channel::Text {
                writer.literal("logprobs", "[]");
            }
        });
        self.part_event(index, (part, channel), "done", text, out);
    }

    /// `content_part.*` or `reasoning_summary_part.*`; calls and images have no parts.
    fn part_event(
        &mut self,
        index: usize,
        (part, channel): (u32, Channel),
        verb: &str,
        text: &Text,
        out: &mut BytesMut,
    ) {
        let family = match channel {
            Channel::Arguments | Channel::Image => return,
            Channel::Summary => "reasoning_summary_part",
            _ => "content_part",
        };
        self.part_frame(&format!("response.{family}.{verb}"), (index, part, channel), out, |writer| {
            writer.object("part", |writer| match channel {
                Channel::Refusal => write_part(writer, &Part::Refusal(text.clone())),
                Channel::Text => write_part(writer, &Part::from(text.clone())),
                Channel::Summary => item::text(writer, "summary_text", text),
                _ => item::text(writer, "reasoning_text", text),
            });
        });
    }
}

/// The types of the events with a piece and with the whole text of a part, and the field of the whole text.
fn names(channel: Channel, head: &Head) -> (&'static str, &'static str, &'static str) {
    let custom = matches!(head, Head::Call { kind: CallKind::Custom, .. });
    match channel {
        Channel::Text => ("response.output_text.delta", "response.output_text.done", "text"),
        Channel::Refusal => ("response.refusal.delta", "response.refusal.done", "refusal"),
        Channel::Reasoning => ("response.reasoning_text.delta", "response.reasoning_text.done", "text"),
        Channel::Summary => ("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "text"),
        Channel::Arguments if custom => {
            ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input")
        }
        Channel::Arguments => {
            ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments")
        }
        // No event has the whole text of an image.
        Channel::Image => ("response.image_generation_call.partial_image", "response.output_text.done", "text"),
    }
}

/// The head in separate buffers.
fn owned_head(head: &Head) -> Head {
    match head {
        Head::Call { kind, call_id, name, namespace } => Head::Call {
            kind: *kind,
            call_id: call_id.detached(),
            name: name.detached(),
            namespace: namespace.as_ref().map(Text::detached),
        },
        Head::Message { phase } => Head::Message { phase: phase.as_ref().map(Text::detached) },
        other => other.clone(),
    }
}

/// The item id in an `output_item.added` frame.
fn id_of(raw: &[u8]) -> Text {
    let json = data_of(raw).filter(|data| crate::json::valid(data)).map(Json::from_valid);
    let id = json.and_then(|json| json.get("item")).and_then(|item| item.text("id"));
    id.as_ref().map(Text::detached).unwrap_or_default()
}
