//! The state of one reply: the open content blocks and items, and their contents so far.
//!
//! Consecutive text blocks are the parts of one message; every other block is an item of its own.

use bytes::BytesMut;

use super::block::{self, Block, Input, UsageCounter};
use crate::canon::{CallKind, Channel, Finish, Head, Open, Usage, What};
use crate::dialect::messages::encode;
use crate::dialect::messages::wire::{Kind, Piece};
use crate::dialect::sink::EventSink;
use crate::fold::ItemDraft;
use crate::text::{Json, Text};

/// The state of a reply that is being read.
#[derive(Debug, Default)]
pub(in crate::dialect) struct MessagesAnswer {
    opened: bool,
    /// The next output index.
    next: u32,
    /// Open content blocks by the upstream's index.
    blocks: Vec<(u32, Block)>,
    message: Option<OpenMessage>,
    /// Searches without results so far.
    searches: Vec<Searched>,
    usage_counter: UsageCounter,
    calls: bool,
    finish: Option<Finish>,
    stop: Option<Text>,
}

/// The open message.
#[derive(Debug)]
struct OpenMessage {
    at: u32,
    /// The number of parts.
    parts: u32,
    draft: ItemDraft,
}

#[derive(Debug)]
struct Searched {
    at: u32,
    id: Text,
    query: Text,
}

impl MessagesAnswer {
    /// Whether the server sent the reason for the reply's end.
    pub(super) fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// Reads one event other than a usual delta.
    pub(super) fn read(&mut self, kind: Kind, json: &Json, sink: &mut EventSink<'_>) {
        match kind {
            Kind::Start => self.start(&json.get("message").unwrap_or_else(|| json.clone()), sink),
            Kind::BlockStart => {
                if let (index, Some(block)) = (index(json), json.get("content_block")) {
                    self.begin(index, &block, sink);
                }
            }
            Kind::BlockDelta => {
                if let (index, Some(delta)) = (index(json), json.get("delta")) {
                    self.odd_delta(index, &delta, sink);
                }
            }
            Kind::BlockStop => self.finish_block(index(json), sink),
            Kind::Delta => self.ending(&json.get("delta").unwrap_or_else(|| json.clone()), json, sink),
            Kind::Stop | Kind::Error | Kind::Other => {}
        }
    }

    /// Reads a message that came as one body.
    pub(super) fn whole(&mut self, message: &Json, sink: &mut EventSink<'_>) {
        self.start(message, sink);
        let content = message.get("content");
        for (index, block) in (0..).zip(content.iter().flat_map(Json::elements)) {
            self.begin(index, &block, sink);
            self.finish_block(index, sink);
        }
        self.ending(message, message, sink);
        self.end(sink);
    }

    /// The end of the reply.
    pub(super) fn end(&mut self, sink: &mut EventSink<'_>) {
        self.ensure(sink);
        // The last event carries the frame: items that the upstream left open end before that event.
        sink.covered(|sink| {
            self.close_items(sink);
            if let Some(sequence) = self.stop.take() {
                sink.aside(What::Stopped(sequence));
            }
        });
        let finish = match self.finish {
            None | Some(Finish::Stop) if self.calls => Finish::ToolCalls,
            finish => finish.unwrap_or(Finish::Stop),
        };
        let end = What::End { finish, response: None };
        // Without a reason the upstream's frames alone are not a complete message.
        if self.finish.is_some() { sink.push(end) } else { sink.push_ours(end) }
    }

    /// The counts of a reply that was cut before its final counts: the input count of its first event. No one counted the output.
    pub(super) fn counts_so_far(&self) -> Option<Usage> {
        let usage = self.usage_counter.usage().filter(|_| self.finish.is_none())?;
        Some(Usage { output: 0, reasoning: 0, estimated: true, ..usage })
    }

    fn start(&mut self, message: &Json, sink: &mut EventSink<'_>) {
        if let Some(usage) = message.get("usage") {
            self.usage_counter.update(&usage);
        }
        if !std::mem::replace(&mut self.opened, true) {
            let model = message.text("model").filter(|model| !model.is_empty());
            sink.push(What::Open(Open { id: message.text("id").unwrap_or_default(), model, created: 0 }));
        }
    }

    /// Opens the reply if the server sent no opening event.
    fn ensure(&mut self, sink: &mut EventSink<'_>) {
        if !std::mem::replace(&mut self.opened, true) {
            sink.push_ours(What::Open(Open { id: Text::default(), model: None, created: 0 }));
        }
    }

    /// Handles the start of a content block, which may already have its full content.
    fn begin(&mut self, index: u32, block: &Json, sink: &mut EventSink<'_>) {
        self.ensure(sink);
        self.finish_block(index, sink);
        let kind = block.text("type").unwrap_or_default();
        let word = |name: &str| block.text(name).unwrap_or_default();
        match kind.plain().as_ref() {
            "text" => self.begin_text(index, block, sink),
            "thinking" => {
                self.begin_thinking(index, sink);
                self.delta(index, Piece::Thinking, word("thinking"), sink);
                self.delta(index, Piece::Signature, word("signature"), sink);
            }
            "redacted_thinking" => {
                let at = self.item(Head::Reasoning, sink);
                self.blocks.push((index, Block::Redacted { at, data: word("data") }));
            }
            "tool_use" => {
                let (call_id, name, input) = (word("id"), word("name"), Input::of(block));
                let (kind, id) = (CallKind::Function, call_id.clone());
                let at = self.item(Head::Call { kind, call_id: id, name: name.clone(), namespace: None }, sink);
                self.calls = true;
                self.blocks.push((index, Block::Call { at, call_id, name, input }));
            }
            "server_tool_use" if word("name").is(encode::SEARCH) => {
                let at = self.item(Head::Search, sink);
                self.blocks.push((index, Block::Search { at, id: word("id"), input: Input::of(block) }));
            }
            encode::RESULTS => {
                self.results(block, sink);
                self.blocks.push((index, Block::Opaque));
            }
            _ => self.blocks.push((index, Block::Opaque)),
        }
    }

    fn begin_text(&mut self, index: u32, block: &Json, sink: &mut EventSink<'_>) {
        self.message(sink);
        let citations = block.get("citations").iter().flat_map(Json::elements).collect();
        self.blocks.push((index, Block::Text { key: None, citations }));
        self.delta(index, Piece::Text, block.text("text").unwrap_or_default(), sink);
    }

    fn begin_thinking(&mut self, index: u32, sink: &mut EventSink<'_>) {
        let at = self.item(Head::Reasoning, sink);
        self.blocks
            .push((index, Block::Thinking { at, thought: Box::new(ItemDraft::brief()), signature: BytesMut::new() }));
    }

    /// Opens an item other than a message.
    fn item(&mut self, head: Head, sink: &mut EventSink<'_>) -> u32 {
        self.close_message(sink);
        let at = self.take_index();
        sink.push(What::ItemOpen { at, head });
        at
    }

    /// A piece of the block at `index`.
    pub(super) fn delta(&mut self, index: u32, piece: Piece, text: Text, sink: &mut EventSink<'_>) {
        if text.is_empty() {
            return;
        }
        let Some(position) = self.find(index, piece, sink) else { return };
        match (&mut self.blocks[position].1, piece) {
            (Block::Text { .. }, Piece::Text) => self.text(position, text, sink),
            (Block::Thinking { at, thought, .. }, Piece::Thinking) => {
                thought.delta(0, Channel::Summary, &text);
                sink.push(What::Delta { at: *at, part: 0, channel: Channel::Summary, data: text });
            }
            (Block::Thinking { signature, .. }, Piece::Signature) => signature.extend_from_slice(text.escaped()),
            (Block::Call { at, input, .. }, Piece::Input) => {
                input.add(&text);
                sink.push(What::Delta { at: *at, part: 0, channel: Channel::Arguments, data: text });
            }
            (Block::Search { input, .. }, Piece::Input) => input.add(&text),
            _ => {}
        }
    }

    /// The position of an open block; text and thoughts may begin without a start event.
    fn find(&mut self, index: u32, piece: Piece, sink: &mut EventSink<'_>) -> Option<usize> {
        let position = |blocks: &[(u32, Block)]| blocks.iter().rposition(|(open, _)| *open == index);
        if let Some(found) = position(&self.blocks) {
            return Some(found);
        }
        self.ensure(sink);
        match piece {
            Piece::Text => self.blocks.push((index, Block::Text { key: None, citations: Vec::new() })),
            Piece::Thinking => self.begin_thinking(index, sink),
            Piece::Input | Piece::Signature => return None,
        }
        position(&self.blocks)
    }

    /// A piece of the text block at `position` in the list.
    fn text(&mut self, position: usize, text: Text, sink: &mut EventSink<'_>) {
        self.message(sink);
        let (Some(message), Block::Text { key, .. }) = (&mut self.message, &mut self.blocks[position].1) else {
            return;
        };
        let (at, part) = match *key {
            Some((at, part)) if at == message.at => (at, part),
            _ => (message.at, message.part()),
        };
        *key = Some((at, part));
        message.draft.delta(part, Channel::Text, &text);
        sink.push(What::Delta { at, part, channel: Channel::Text, data: text });
    }

    /// A delta in an unusual shape, or with a citation.
    fn odd_delta(&mut self, index: u32, delta: &Json, sink: &mut EventSink<'_>) {
        let kind = delta.text("type").unwrap_or_default();
        let known = Piece::ALL.into_iter().find(|piece| kind.is(piece.name()));
        if let Some(piece) = known {
            return self.delta(index, piece, delta.text(piece.field()).unwrap_or_default(), sink);
        }
        let block = self.blocks.iter_mut().rev().find(|(open, _)| *open == index);
        if let (Some((_, Block::Text { citations, .. })), Some(citation)) = (block, delta.get("citation")) {
            citations.push(citation);
        }
    }

    fn finish_block(&mut self, index: u32, sink: &mut EventSink<'_>) {
        let Some(position) = self.blocks.iter().rposition(|(open, _)| *open == index) else { return };
        match self.blocks.remove(position).1 {
            Block::Text { key, citations } => self.cite(key, &citations, sink),
            Block::Thinking { at, thought, signature } => {
                let text = thought.text(0, Channel::Summary);
                sink.push(What::ItemDone { at, item: block::thought(text, signature) });
            }
            Block::Redacted { at, data } => sink.push(What::ItemDone { at, item: block::redacted(&data) }),
            Block::Call { at, call_id, name, input } => {
                let (input, is_unsent) = input.take();
                if is_unsent {
                    let data = input.clone();
                    sink.aside(What::Delta { at, part: 0, channel: Channel::Arguments, data });
                }
                sink.push(What::ItemDone { at, item: block::call(call_id, name, input) });
            }
            Block::Search { at, id, input } => self.searches.push(Searched { at, id, query: input.query() }),
            Block::Opaque => {}
        }
    }

    /// Citations of a finished text block; they cover the whole block.
    fn cite(&mut self, key: Option<(u32, u32)>, citations: &[Json], sink: &mut EventSink<'_>) {
        let (Some(message), Some((at, part))) = (&mut self.message, key) else { return };
        if citations.is_empty() || at != message.at {
            return;
        }
        let length = message.draft.text_length(part, Channel::Text);
        for data in citations.iter().filter_map(|citation| encode::flat_citation(citation, length)) {
            message.draft.annotation(part, &data);
            sink.aside(What::Annotation { at, part, data });
        }
    }

    /// The results of a search, which finish the search.
    fn results(&mut self, block: &Json, sink: &mut EventSink<'_>) {
        let id = block.text("tool_use_id").unwrap_or_default();
        let Some(position) = self.searches.iter().position(|searched| searched.id == id) else { return };
        let content = block.get("content");
        let sources: Vec<Text> =
            content.iter().flat_map(Json::elements).filter_map(|result| result.text("url")).collect();
        let Searched { at, id, query } = self.searches.remove(position);
        sink.push(What::ItemDone { at, item: block::search(id, &query, &sources) });
    }

    /// The reason for the reply's end, and its token counts.
    fn ending(&mut self, delta: &Json, json: &Json, sink: &mut EventSink<'_>) {
        if let Some(reason) = delta.text("stop_reason") {
            self.finish = Some(encode::finish(&reason));
            self.stop = delta.text("stop_sequence").filter(|_| reason.is("stop_sequence"));
            self.ensure(sink);
            self.close_items(sink);
        }
        if let Some(usage) = json.get("usage") {
            self.usage_counter.update(&usage);
        }
        if let Some(usage) = self.usage_counter.usage() {
            sink.push(What::Usage(usage));
        }
    }

    fn close_items(&mut self, sink: &mut EventSink<'_>) {
        while let Some(index) = self.blocks.first().map(|(index, _)| *index) {
            self.finish_block(index, sink);
        }
        self.close_message(sink);
        for Searched { at, id, query } in self.searches.drain(..) {
            sink.aside(What::ItemDone { at, item: block::search(id, &query, &[]) });
        }
    }

    fn close_message(&mut self, sink: &mut EventSink<'_>) {
        let Some(message) = self.message.take() else { return };
        let item = message.draft.item().expect("invariant: the draft was opened as a message");
        sink.aside(What::ItemDone { at: message.at, item });
    }

    /// Opens a message if none is open.
    fn message(&mut self, sink: &mut EventSink<'_>) {
        if self.message.is_some() {
            return;
        }
        let at = self.take_index();
        let head = Head::Message { phase: None };
        let draft = ItemDraft::begun(&head);
        sink.aside(What::ItemOpen { at, head });
        self.message = Some(OpenMessage { at, parts: 0, draft });
    }

    fn take_index(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }
}

impl OpenMessage {
    fn part(&mut self) -> u32 {
        self.parts += 1;
        self.parts - 1
    }
}

/// The index of an event's block.
fn index(json: &Json) -> u32 {
    json.get("index").and_then(|index| index.as_u64()).and_then(|index| index.try_into().ok()).unwrap_or(0)
}
