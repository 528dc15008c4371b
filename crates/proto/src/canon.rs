//! The canonical model: what every dialect is read into and written from.
//!
//! A request is Responses-shaped items; a reply is a short list of semantic events. Texts and JSON values are slices of
//! the buffer that they came in (see [`crate::text`]). `raw` fields carry the original bytes so that a writer of the same
//! dialect can re-emit them; whoever edits a value sets its `raw` to `None`.

use bytes::Bytes;

use crate::failure::Failure;
use crate::protocol::Dialect;
use crate::text::{Json, Text};

/// One request, whatever protocol it came in.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Model name as the client wrote it; `None` when it named none.
    pub model: Option<String>,
    /// Top-level system text (`instructions`); system messages inside the history stay items.
    pub instructions: Option<Text>,
    /// The conversation, oldest first.
    pub items: Vec<Item>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool may or must be called; `None` when the client did not say.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls in one turn are allowed; `None` when the client did not say.
    pub parallel: Option<bool>,
    /// Reasoning wishes.
    pub reasoning: Reasoning,
    /// Output format; `None` is plain text.
    pub format: Option<Format>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// Length and stop limits; applied by [`crate::trim`] where the upstream has no such field.
    pub limits: Limits,
    /// Sampling fields by their OpenAI names (`temperature`, `top_p`, `seed`, ...), values as they came. Relays get them; the
    /// Codex backend rejects them, so its writer drops them with a note.
    pub sampling: Vec<(&'static str, Json)>,
    /// The client's cache or conversation key.
    pub cache_key: Option<Text>,
    /// Service tier as the client wrote it.
    pub tier: Option<String>,
    /// `previous_response_id`. Upstreams are asked with the whole conversation: whoever keeps responses takes it out.
    pub previous: Option<String>,
    /// Whether the response is to be kept for later requests (responses dialect); `None` when the client did not say.
    pub store: Option<bool>,
    /// How the client wants its reply.
    pub reply: ReplyOptions,
    /// Unknown top-level fields in their order.
    pub rest: Vec<(String, Json)>,
    /// The body as it came, in the dialect `origin`; a writer of the same dialect patches it field by field.
    pub raw: Option<Bytes>,
    /// The dialect that read the request; `None` when it was built by hand.
    pub origin: Option<Dialect>,
}

/// How the client wants its reply; read from the request, obeyed by the writer of the same dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own, and all of them may be combined")]
pub struct ReplyOptions {
    /// Whether to stream.
    pub stream: bool,
    /// Chat's `stream_options.include_usage`.
    pub include_usage: bool,
    /// Whether the client used chat's legacy `functions`, and so expects `function_call` back.
    pub legacy_functions: bool,
    /// Gemini's streaming form without `alt=sse`: one JSON array.
    pub array: bool,
    /// Whether the client finds an error in a Gemini frame. Others only see one that stands between the frames, as Google sends it.
    pub framed_errors: bool,
    /// Whether the client reads the pictures of an Ollama message as objects with a `value`, where all others read strings.
    pub image_objects: bool,
    /// The answer to a bare prompt: Ollama's `/api/generate`, with `response` and `context` instead of `message`, and OpenAI's
    /// `/v1/completions`.
    pub generate: bool,
    /// Responses' `generate: false`: the conversation is announced, and nothing is to be generated yet.
    pub prewarm: bool,
    /// How much of the reasoning the client asked for.
    pub thinking: Thinking,
    /// Whether the answer may come in another shape than the one that the client asked for.
    pub envelope: SchemaEnvelope,
}

/// Whether an answer may come in another shape than the one that the client asked for, because an upstream knows no other; see
/// [`Request::format`]. Writers and whole bodies turn it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaEnvelope {
    /// It comes as asked for.
    #[default]
    None,
    /// Tuples come as objects, and what is no object inside one.
    Json,
    /// The same, and the answer is one string, which the client wants without its quotes (Gemini's `text/x.enum`).
    BareString,
}

/// How much of the reasoning a client wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// Its text and its opaque state.
    #[default]
    Shown,
    /// Its opaque state without the text (Anthropic `display: omitted`).
    Sealed,
    /// Nothing: the client did not turn thinking on, and may take the first block for the answer.
    Hidden,
}

/// Reasoning wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, `ultra`; unknown values are kept.
    pub effort: Option<String>,
    /// `auto`, `concise`, `detailed`.
    pub summary: Option<String>,
}

/// Output format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Any JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema {
        /// `[A-Za-z0-9_-]{1,64}`.
        name: Text,
        /// What the format is for.
        description: Option<Text>,
        /// The schema as the client wrote it.
        schema: Json,
        /// Strict mode; `None` when the client did not say.
        strict: Option<bool>,
    },
    /// A format of another type, kept as it came.
    Other(Json),
}

/// Length and stop limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Highest number of output tokens. We count what the client sees; relays count reasoning too.
    pub max_tokens: Option<u64>,
    /// Stop sequences, plain text, none of them empty.
    pub stop: Vec<String>,
}

/// One piece of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: ItemKind,
    /// The item as it came in the responses dialect; `None` once edited or when read from another dialect.
    pub raw: Option<Json>,
}

/// What an [`Item`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Text, images and files of one speaker.
    Message {
        /// Upstream item id, if it has one.
        id: Option<Text>,
        /// Who speaks.
        role: Role,
        /// What is said, in order.
        parts: Vec<Part>,
        /// `commentary` or `final_answer` on assistant messages of newer models.
        phase: Option<Text>,
    },
    /// The model's thinking.
    Reasoning {
        /// Upstream item id.
        id: Option<Text>,
        /// Summaries, one a paragraph.
        summary: Vec<Text>,
        /// Raw reasoning texts, where the model shows them.
        text: Vec<Text>,
        /// Opaque state that only the account that made it can read: as the Codex backend and public Responses give it, or in
        /// an envelope that names another protocol ([`crate::state`]).
        encrypted: Option<Text>,
    },
    /// A tool call by the model.
    Call {
        /// Function or custom.
        kind: CallKind,
        /// Upstream item id.
        id: Option<Text>,
        /// Joins the call with its output.
        call_id: Text,
        /// The tool's name.
        name: Text,
        /// The namespace that the tool lies in, where the upstream groups tools.
        namespace: Option<Text>,
        /// JSON text of the arguments, or the free text of a custom tool; escaped as string content.
        input: Text,
    },
    /// A tool's result.
    Output {
        /// The kind of call it answers.
        kind: CallKind,
        /// Joins the output with its call.
        call_id: Text,
        /// The result.
        parts: Vec<Part>,
        /// Whether the tool says that it failed (Anthropic `is_error`).
        failed: bool,
    },
    /// A hosted web search; `raw` or `action` says what was searched.
    Search {
        /// Upstream item id.
        id: Option<Text>,
        /// The `action` object.
        action: Option<Json>,
    },
    /// A generated image.
    Image {
        /// Upstream item id.
        id: Option<Text>,
        /// Base64 bytes; empty until done.
        result: Text,
        /// `png`, `jpeg` or `webp`.
        format: Option<Text>,
        /// The prompt that was finally used.
        prompt: Option<Text>,
    },
    /// Anything else; only `raw` knows more.
    Other {
        /// Its `type`.
        kind: String,
    },
}

/// Function tools take JSON arguments, custom tools free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// JSON arguments.
    Function,
    /// Free text.
    Custom,
}

/// Who speaks in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator's instructions, as old clients call them.
    System,
    /// The operator's instructions.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One part of a message or tool output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: Text,
        /// The `annotations` array (citations), where there is one.
        annotations: Option<Json>,
    },
    /// The model's refusal.
    Refusal(Text),
    /// An image by URL or data URL, or by upstream file id.
    Image {
        /// `https:` or `data:` URL, or a file id.
        source: Source,
        /// `low`, `high`, `auto` or `original`.
        detail: Option<Text>,
    },
    /// A document.
    File {
        /// Where its bytes are.
        source: Source,
        /// File name.
        name: Option<Text>,
    },
    /// Anything else, as it came in its dialect.
    Other(Json),
}

/// Where the bytes of an image or file are. Never fetched by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `https:` or `data:` URL.
    Url(Text),
    /// Upstream file id.
    Id(Text),
}

/// A tool on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// What it is.
    pub kind: ToolKind,
    /// The tool as it came in the responses dialect (flat form); `None` once edited or when read from another dialect.
    pub raw: Option<Json>,
}

/// What a [`Tool`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// A function with a JSON schema.
    Function {
        /// 1 to 128 characters.
        name: Text,
        /// What it does.
        description: Option<Text>,
        /// JSON schema of its arguments.
        parameters: Option<Json>,
        /// Strict mode; `None` when the client did not say.
        strict: Option<bool>,
    },
    /// A tool that takes free text.
    Custom {
        /// 1 to 128 characters.
        name: Text,
        /// What it does.
        description: Option<Text>,
        /// `{"type":"text"}` or a grammar.
        format: Option<Json>,
    },
    /// A hosted tool (`web_search`, `image_generation`, ...) or another type; `raw` holds it.
    Hosted {
        /// Its `type`.
        kind: String,
    },
}

/// Which tool may or must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No calls.
    None,
    /// Some call.
    Required,
    /// This function.
    Function(Text),
    /// This custom tool.
    Custom(Text),
    /// Another shape (`allowed_tools`, a hosted tool), as it came in the responses dialect.
    Other(Json),
}

/// One step of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// Which frame of the upstream says so.
    pub carrier: Carrier,
}

impl Event {
    /// An event of the gateway's own.
    pub fn new(what: What) -> Self {
        Self { what, carrier: Carrier::Ours }
    }
}

/// Which frame of the upstream says what an event says. Of the events of one frame exactly one carries it; the others are covered. An
/// event that is edited becomes the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// None: a writer of any dialect writes the event.
    Ours,
    /// A frame of this dialect that another event carries, or all frames together, as with an end that no frame names. A writer of this
    /// dialect writes nothing for the event, but for an end, which it completes.
    Covered(Dialect),
    /// This one. The writer of its dialect passes it on.
    Frame(Frame),
}

impl Carrier {
    /// The frame.
    pub fn frame(&self) -> Option<&Frame> {
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

    /// What a writer of `dialect` passes on: the bytes of a frame, or none of an event that is covered. `None` is an event that it writes
    /// itself.
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
pub struct Frame {
    /// The protocol that the frame speaks.
    pub dialect: Dialect,
    /// The frame's bytes, complete with its line ends and the blank line that closes it; of a WebSocket, the JSON of the message.
    pub bytes: Bytes,
}

/// What an [`Event`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The reply begins.
    Open(Open),
    /// An item begins at output index `at`.
    ItemOpen {
        /// Output index.
        at: u32,
        /// What begins.
        head: Head,
    },
    /// A piece of the item at `at`. All pieces of a part together are its whole text: where an upstream sends only the finished item,
    /// its reader makes the pieces.
    Delta {
        /// Output index.
        at: u32,
        /// Part index inside the item (content, summary or annotation index); 0 where there is one part.
        part: u32,
        /// What the piece belongs to.
        channel: Channel,
        /// The piece, never empty on text channels.
        data: Text,
    },
    /// A citation on the text of the item at `at`, as it came. Citations are complete as pieces are.
    Annotation {
        /// Output index.
        at: u32,
        /// Content index.
        part: u32,
        /// The annotation object.
        data: Json,
    },
    /// The item at `at` is whole.
    ItemDone {
        /// Output index.
        at: u32,
        /// The item; without its text where that was long and came in pieces ([`crate::fold::BRIEF`]).
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
    /// A piece of a frame that is too large to hold, which says nothing to other dialects; its frame holds just the piece.
    Piece {
        /// Whether the frame ends with this piece.
        last: bool,
    },
    /// What the reader dropped or approximated, in the form of [`crate::Notes::add`]. No client sees it; the engine logs it.
    Note(String),
    /// Nothing that another dialect could say; passes with its frame only.
    Other,
}

/// How a reply begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The upstream's id of the reply.
    pub id: Text,
    /// The model that answers, as the upstream names it.
    pub model: Option<Text>,
    /// Unix seconds, 0 when the upstream did not say.
    pub created: u64,
}

/// What begins at an [`What::ItemOpen`].
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
        /// Joins call and output.
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
    /// How such an item begins.
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
}

impl ItemKind {
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

    /// The pieces and citations that say all of an item at output index `at`.
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

/// What a [`What::Delta`] belongs to.
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

/// A part of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartKey {
    /// Output index of the item.
    pub at: u32,
    /// Part index inside the item, as in [`What::Delta`].
    pub part: u32,
    /// What the part holds.
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
    /// Whether we counted or guessed because the upstream gave no figures.
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
    /// Somebody cancelled it.
    Cancelled,
}

impl Finish {
    /// Whether the model said all that it had to say.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Self::Stop | Self::ToolCalls)
    }
}
