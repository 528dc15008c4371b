//! Content blocks that are still open, and the token counts.

use bytes::BytesMut;

use crate::canon::{CallKind, Item, ItemKind, Usage};
use crate::dialect::messages::{encode, reasoning_state};
use crate::fold::ItemDraft;
use crate::json;
use crate::text::{Json, Text};

/// An open content block.
#[derive(Debug)]
pub(super) enum Block {
    /// A part of the message.
    Text {
        /// Output index of the message and part index, once there is text.
        key: Option<(u32, u32)>,
        /// The citations of the text; they come before it.
        citations: Vec<Json>,
    },
    /// A thought, which is an item of its own.
    Thinking { at: u32, thought: Box<ItemDraft>, signature: BytesMut },
    /// A thought without readable text.
    Redacted { at: u32, data: Text },
    /// A call of a client's tool.
    Call { at: u32, call_id: Text, name: Text, input: Input },
    /// A hosted search.
    Search { at: u32, id: Text, input: Input },
    /// A block that no other dialect can express.
    Opaque,
}

/// The input of a call: in pieces, or complete at the block's start.
#[derive(Debug)]
pub(super) struct Input {
    pieces: BytesMut,
    whole: Option<Json>,
}

impl Input {
    /// The input of this block.
    pub(super) fn of(block: &Json) -> Self {
        let whole = block.get("input").filter(|input| input.fields().next().is_some());
        Self { pieces: BytesMut::new(), whole }
    }

    /// The next piece, escaped.
    pub(super) fn add(&mut self, piece: &Text) {
        self.pieces.extend_from_slice(piece.escaped());
    }

    /// The whole input as escaped JSON text, and whether it came without pieces.
    pub(super) fn take(self) -> (Text, bool) {
        if !self.pieces.is_empty() {
            return (Text::from_escaped(self.pieces.freeze()), false);
        }
        match self.whole {
            Some(whole) => (Text::from_plain(whole.as_str()), true),
            // A tool without parameters; clients parse the arguments.
            None => (Text::from_plain("{}"), true),
        }
    }

    /// The query of a search.
    pub(super) fn query(self) -> Text {
        let (text, _) = self.take();
        let plain = text.plain().into_owned();
        if !json::valid(plain.as_bytes()) {
            return Text::default();
        }
        Json::from_valid(plain.into()).text("query").unwrap_or_default()
    }
}

/// A finished thought.
pub(super) fn thought(text: Text, signature: BytesMut) -> Item {
    let (id, encrypted) = reasoning_state::from_signature(&Text::from_escaped(signature.freeze()));
    let summary = if text.is_empty() { Vec::new() } else { vec![text] };
    Item::from(ItemKind::Reasoning { id, summary, text: Vec::new(), encrypted })
}

/// A finished thought without readable text.
pub(super) fn redacted(data: &Text) -> Item {
    let (id, encrypted) = reasoning_state::from_redacted(data);
    Item::from(ItemKind::Reasoning { id, summary: Vec::new(), text: Vec::new(), encrypted })
}

/// A finished call.
pub(super) fn call(call_id: Text, name: Text, input: Text) -> Item {
    Item::from(ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input })
}

/// A finished search.
pub(super) fn search(id: Text, query: &Text, sources: &[Text]) -> Item {
    Item::from(ItemKind::Search { id: Some(id), action: Some(encode::action(query, sources)) })
}

/// Token counts so far: the first figures come at the start, the final ones at the end.
#[derive(Debug, Default)]
pub(super) struct UsageCounter {
    reported: bool,
    input: u64,
    cached: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

impl UsageCounter {
    /// Takes over the counts of a `usage` object. Some servers later send zeros for counts that they already sent.
    pub(super) fn update(&mut self, usage: &Json) {
        for (key, value) in usage.fields() {
            let counter = match key.as_str() {
                "input_tokens" => &mut self.input,
                "cache_read_input_tokens" => &mut self.cached,
                "cache_creation_input_tokens" => &mut self.cache_write,
                "output_tokens" => &mut self.output,
                "output_tokens_details" => {
                    self.reasoning = value.get("thinking_tokens").and_then(|count| count.as_u64()).unwrap_or(0);
                    continue;
                }
                _ => continue,
            };
            self.reported = true;
            *counter = value.as_u64().filter(|count| *count > 0).unwrap_or(*counter);
        }
    }

    /// The counts in canonical terms; `None` when the upstream gave none.
    pub(super) fn usage(&self) -> Option<Usage> {
        let input = self.input.saturating_add(self.cached).saturating_add(self.cache_write);
        let Self { cached, cache_write, output, reasoning, .. } = *self;
        self.reported.then_some(Usage { input, cached, cache_write, output, reasoning, estimated: false })
    }
}
