//! The events of a reply.

use bytes::Bytes;

use super::{CallKind, Item, ItemKind, Part, Role};
use crate::failure::Failure;
use crate::protocol::Dialect;
use crate::text::{Json, Text};

/// One step of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// The upstream frame that the event came from.
    pub carrier: Carrier,
}

impl Event {
    /// An event that the gateway makes.
    pub fn new(what: What) -> Self {
        Self { what, carrier: Carrier::Ours }
    }

    /// The bytes that a writer of `dialect` passes on; see [`Carrier::passed_in`]. A failure is written in the gateway's own words, which
    /// hold no secrets.
    pub(crate) fn passed_in(&self, dialect: Dialect) -> Option<&Bytes> {
        self.carrier.passed_in(dialect).filter(|_| !matches!(self.what, What::Fail(_)))
    }
}

/// The upstream frame of an event. Of the events of one frame exactly one carries the frame; the others are covered. An edited event
/// becomes the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// No frame: a writer of any dialect writes the event.
    Ours,
    /// Another event carries the frame of this dialect, or the event covers all frames together, as an end without a frame of its own does.
    /// A writer of this dialect writes nothing for the event, except that it completes an end.
    Covered(Dialect),
    /// This frame. The writer of its dialect passes the frame on.
    Frame(RawFrame),
}

impl Carrier {
    /// The frame.
    pub fn frame(&self) -> Option<&RawFrame> {
        if let Self::Frame(frame) = self { Some(frame) } else { None }
    }

    /// The dialect of the upstream; `None` for an event of the gateway's own.
    pub fn dialect(&self) -> Option<Dialect> {
        match self {
            Self::Ours => None,
            Self::Covered(dialect) => Some(*dialect),
            Self::Frame(frame) => Some(frame.dialect),
        }
    }

    /// The bytes that a writer of `dialect` passes on: those of the frame, or no bytes for a covered event. `None` when the writer must
    /// write the event itself.
    pub(crate) fn passed_in(&self, dialect: Dialect) -> Option<&Bytes> {
        static NONE: Bytes = Bytes::new();
        match self {
            Self::Frame(frame) if frame.dialect == dialect => Some(&frame.bytes),
            Self::Covered(covered) if *covered == dialect => Some(&NONE),
            _ => None,
        }
    }
}

/// One upstream frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The protocol of the frame.
    pub dialect: Dialect,
    /// The frame's bytes, complete with its line ends and the blank line that closes it; for a WebSocket, the JSON of the message.
    pub bytes: Bytes,
}

/// The content of an [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The reply begins.
    Open(Open),
    /// An item begins at output index `at`.
    ItemOpen {
        /// Output index.
        at: u32,
        /// How the item begins.
        head: Head,
    },
    /// A piece of the item at `at`. The pieces of a part together are its whole text: where an upstream sends only the finished item, its
    /// reader makes the pieces.
    Delta {
        /// Output index.
        at: u32,
        /// Part index inside the item (content, summary or annotation index); 0 where there is one part.
        part: u32,
        /// The channel of the piece.
        channel: Channel,
        /// The piece, never empty on text channels.
        data: Text,
    },
    /// A citation on the text of the item at `at`, as it came. The citations of a part are complete, as its pieces are.
    Annotation {
        /// Output index.
        at: u32,
        /// Content index.
        part: u32,
        /// The annotation object.
        data: Json,
    },
    /// The item at `at` is complete.
    ItemDone {
        /// Output index.
        at: u32,
        /// The item; without its text where that text was long and came in pieces (`fold::BRIEF`).
        item: Item,
    },
    /// Rate-limit state in the stream (`codex.rate_limits`), as it came. Consumed by the engine.
    Limits(Json),
    /// Headers in the stream (`codex.response.metadata`, `response.metadata`), as they came.
    Metadata(Json),
    /// Token counts.
    Usage(Usage),
    /// The reply ends at this stop sequence; comes before its `End`.
    Stopped(Text),
    /// The reply ended well; `response` is the terminal response object where the dialect has one.
    End {
        /// Why it ended.
        finish: Finish,
        /// The terminal object (responses dialect), as it came.
        response: Option<Json>,
    },
    /// The reply failed.
    Fail(Failure),
    /// A piece of a frame that is too large to hold, without meaning in other dialects; the event's frame holds only that piece.
    Piece {
        /// Whether the frame ends with this piece.
        last: bool,
    },
    /// A field or value that the reader dropped or approximated, in the form of [`crate::Notes::add`]. No client sees the note; the engine
    /// logs it.
    Note(String),
    /// An event without meaning in other dialects; it passes with its frame only.
    Other,
}

/// How a reply begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The upstream's id of the reply.
    pub id: Text,
    /// The model that answers, as the upstream names it.
    pub model: Option<Text>,
    /// Unix seconds, 0 when the upstream sent none.
    pub created: u64,
}

/// The first data of an item in [`What::ItemOpen`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A message of the assistant.
    Message {
        /// `commentary` or `final_answer`.
        phase: Option<Text>,
    },
    /// Reasoning.
    Reasoning,
    /// A tool call.
    Call {
        /// Function or custom.
        kind: CallKind,
        /// Links the call to its output.
        call_id: Text,
        /// The tool's name.
        name: Text,
        /// Its namespace, if any.
        namespace: Option<Text>,
    },
    /// A hosted search.
    Search,
    /// An image.
    Image,
    /// Anything else.
    Other,
}

impl Head {
    /// The head of an item of this kind.
    pub(crate) fn of(kind: &ItemKind) -> Self {
        match kind {
            ItemKind::Message { phase, .. } => Self::Message { phase: phase.clone() },
            ItemKind::Reasoning { .. } => Self::Reasoning,
            ItemKind::Call { kind, call_id, name, namespace, .. } => {
                Self::Call { kind: *kind, call_id: call_id.clone(), name: name.clone(), namespace: namespace.clone() }
            }
            ItemKind::Search { .. } => Self::Search,
            ItemKind::Image { .. } => Self::Image,
            ItemKind::Output { .. } | ItemKind::Other { .. } => Self::Other,
        }
    }

    /// The head of an item of which only a piece in `channel` is known; `None` for a call, whose name is unknown then.
    pub(crate) fn of_channel(channel: Channel) -> Option<Self> {
        match channel {
            Channel::Text | Channel::Refusal => Some(Self::Message { phase: None }),
            Channel::Reasoning | Channel::Summary => Some(Self::Reasoning),
            Channel::Image => Some(Self::Image),
            Channel::Arguments => None,
        }
    }
}

impl ItemKind {
    /// The item at its beginning.
    pub(crate) fn begun(head: &Head) -> Self {
        match head.clone() {
            Head::Message { phase } => Self::Message { id: None, role: Role::Assistant, parts: Vec::new(), phase },
            Head::Reasoning => Self::Reasoning { id: None, summary: Vec::new(), text: Vec::new(), encrypted: None },
            Head::Call { kind, call_id, name, namespace } => {
                Self::Call { kind, id: None, call_id, name, namespace, input: Text::default() }
            }
            Head::Search => Self::Search { id: None, action: None },
            Head::Image => Self::Image { id: None, result: Text::default(), format: None, prompt: None },
            Head::Other => Self::Other { kind: String::new() },
        }
    }

    /// The texts of an item, with the channel and part index that their deltas have.
    pub(crate) fn texts(&self) -> Vec<(Channel, u32, &Text)> {
        match self {
            Self::Message { parts, .. } => {
                let visible = (0..).zip(parts).filter_map(|(index, part)| match part {
                    Part::Text { text, .. } => Some((Channel::Text, index, text)),
                    Part::Refusal(text) => Some((Channel::Refusal, index, text)),
                    _ => None,
                });
                visible.collect()
            }
            Self::Reasoning { summary, text, .. } => {
                let summary = (0..).zip(summary).map(|(index, text)| (Channel::Summary, index, text));
                summary.chain((0..).zip(text).map(|(index, text)| (Channel::Reasoning, index, text))).collect()
            }
            Self::Call { input, .. } => vec![(Channel::Arguments, 0, input)],
            _ => Vec::new(),
        }
    }

    /// The pieces and citations that together hold the whole content of an item at output index `at`.
    pub(crate) fn pieces(&self, at: u32) -> Vec<What> {
        let mut pieces = Vec::new();
        for (channel, part, text) in self.texts() {
            if !text.is_empty() {
                pieces.push(What::Delta { at, part, channel, data: text.clone() });
            }
            pieces.extend(self.citations(part).map(|data| What::Annotation { at, part, data }));
        }
        pieces
    }

    fn citations(&self, part: u32) -> impl Iterator<Item = Json> {
        let parts = if let Self::Message { parts, .. } = self { parts.as_slice() } else { &[] };
        let part = usize::try_from(part).ok().and_then(|part| parts.get(part));
        let list = if let Some(Part::Text { annotations, .. }) = part { annotations.as_ref() } else { None };
        list.into_iter().flat_map(Json::elements)
    }
}

/// The channel of a [`What::Delta`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Visible text.
    Text,
    /// Visible refusal.
    Refusal,
    /// Raw reasoning.
    Reasoning,
    /// Reasoning summary.
    Summary,
    /// Arguments of a function call or input of a custom one.
    Arguments,
    /// A partial image, base64.
    Image,
}

/// The key of one part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartKey {
    /// Output index of the item.
    pub at: u32,
    /// Part index inside the item, as in [`What::Delta`].
    pub part: u32,
    /// The channel of the part.
    pub channel: Channel,
}

/// Token counts of one reply. `input` includes `cached` and `cache_write`; `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cached: u64,
    /// Input tokens written to a prompt cache.
    pub cache_write: u64,
    /// Output tokens.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Whether the gateway counted or estimated because the upstream gave no figures.
    pub estimated: bool,
}

/// Why a reply ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Stop,
    /// The model waits for tool results.
    ToolCalls,
    /// A length limit.
    Length,
    /// A content filter.
    Filter,
    /// The reply was cancelled.
    Cancelled,
}

impl Finish {
    /// Whether the model finished its reply.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Self::Stop | Self::ToolCalls)
    }
}
