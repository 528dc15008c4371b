//! The canonical model: every dialect is read into it and written from it.
//!
//! A request is Responses-shaped items; a reply is a short list of semantic events. Texts and JSON values are slices of the buffer that
//! they came in (see [`crate::text`]). `raw` fields carry the original bytes so that a writer of the same dialect can re-emit them; code
//! that edits a value sets the value's `raw` to `None`.

mod event;

use bytes::Bytes;

pub use self::event::{Carrier, Channel, Event, Finish, Head, Open, PartKey, RawFrame, Usage, What};
use crate::protocol::Dialect;
use crate::text::{Json, Text};

/// One request, in any protocol.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Model name as the client wrote it; `None` when the request has none.
    pub model: Option<String>,
    /// Top-level system text (`instructions`); system messages inside the history stay items.
    pub instructions: Option<Text>,
    /// The conversation, oldest first.
    pub items: Vec<Item>,
    /// Tools on offer.
    pub tools: Vec<Tool>,
    /// Which tool may or must be called; `None` when the request has no such field.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several calls in one turn are allowed; `None` when the request has no such field.
    pub parallel: Option<bool>,
    /// Reasoning settings.
    pub reasoning: Reasoning,
    /// Output format; `None` is plain text.
    pub format: Option<Format>,
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// Length and stop limits; the gateway applies them where the upstream has no such field.
    pub limits: Limits,
    /// Sampling fields by their OpenAI names (`temperature`, `top_p`, `seed`, ...), values as they came. Relays get them; the Codex backend
    /// rejects them, so its writer drops them with a note.
    pub sampling: Vec<(&'static str, Json)>,
    /// The client's cache or conversation key.
    pub cache_key: Option<Text>,
    /// Service tier as the client wrote it.
    pub tier: Option<String>,
    /// `previous_response_id`. Upstreams get the whole conversation, so the code that stores responses removes this field.
    pub previous: Option<String>,
    /// Whether the response is stored for later requests (responses dialect); `None` when the request has no such field.
    pub store: Option<bool>,
    /// How the client wants its reply.
    pub reply: ReplyOptions,
    /// Whether the answer may have another shape than the client asked for.
    pub envelope: SchemaEnvelope,
    /// Unknown top-level fields in their order.
    pub rest: Vec<(String, Json)>,
    /// The body as it came, in the dialect `origin`; a writer of the same dialect patches it field by field.
    pub raw: Option<Bytes>,
    /// The dialect that read the request; `None` when it was built by hand.
    pub origin: Option<Dialect>,
}

impl Request {
    /// The client's own body, if it came in `dialect`. The writer of that dialect passes the body on.
    pub(crate) fn own_body(&self, dialect: Dialect) -> Option<&Bytes> {
        self.raw.as_ref().filter(|_| self.origin == Some(dialect))
    }
}

/// The client's options for its reply; read from the request, applied by the writer of the same dialect.
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
    /// Whether the client finds an error inside a Gemini frame. Other clients only see an error between the frames, as Google sends it.
    pub framed_errors: bool,
    /// Whether the client reads the images of an Ollama message as objects with a `value`; all other clients read strings.
    pub image_objects: bool,
    /// The answer to a bare prompt: Ollama's `/api/generate`, with `response` and `context` instead of `message`, and OpenAI's
    /// `/v1/completions`.
    pub generate: bool,
    /// Responses' `generate: false`: the request announces the conversation, and no reply is generated yet.
    pub prewarm: bool,
    /// How much of the reasoning the client asked for.
    pub thinking: Thinking,
}

/// Whether an answer may have another shape than the client asked for, because an upstream supports no other; see [`Request::format`].
/// Writers and whole bodies convert the answer back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SchemaEnvelope {
    /// The answer has the requested shape.
    #[default]
    None,
    /// Tuples come as objects, and a value that is not an object comes inside one.
    Json,
    /// As `Json`, and the answer is one string, which the client wants without its quotes (Gemini's `text/x.enum`).
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

/// Reasoning settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`, `ultra`; unknown values are allowed.
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
        /// The format's description.
        description: Option<Text>,
        /// The schema as the client wrote it.
        schema: Json,
        /// Strict mode; `None` when the request has no such field.
        strict: Option<bool>,
    },
    /// A format of another type, as it came.
    Other(Json),
}

/// Length and stop limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Highest number of output tokens. The gateway counts the visible text; relays count reasoning too.
    pub max_tokens: Option<u64>,
    /// Stop sequences, plain text, none of them empty.
    pub stop: Vec<String>,
}

/// One piece of the conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The type of the item, with its data.
    pub kind: ItemKind,
    /// The item as it came in the responses dialect; `None` once edited or when read from another dialect.
    pub raw: Option<Json>,
}

impl From<ItemKind> for Item {
    fn from(kind: ItemKind) -> Self {
        Self { kind, raw: None }
    }
}

/// The type and data of an [`Item`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Text, images and files of one speaker.
    Message {
        /// Upstream item id, if it has one.
        id: Option<Text>,
        /// The speaker.
        role: Role,
        /// The content parts, in order.
        parts: Vec<Part>,
        /// `commentary` or `final_answer` on assistant messages of newer models.
        phase: Option<Text>,
    },
    /// The model's thinking.
    Reasoning {
        /// Upstream item id.
        id: Option<Text>,
        /// Summaries, one per paragraph.
        summary: Vec<Text>,
        /// Raw reasoning texts, where the model shows them.
        text: Vec<Text>,
        /// Opaque state that only the account that made it can read: as the Codex backend and public Responses send it, or in an envelope
        /// that names another protocol ([`crate::state`]).
        encrypted: Option<Text>,
    },
    /// A tool call by the model.
    Call {
        /// Function or custom.
        kind: CallKind,
        /// Upstream item id.
        id: Option<Text>,
        /// Links the call to its output.
        call_id: Text,
        /// The tool's name.
        name: Text,
        /// The tool's namespace, where the upstream groups tools.
        namespace: Option<Text>,
        /// JSON text of the arguments, or the free text of a custom tool; escaped as string content.
        input: Text,
    },
    /// A tool's result.
    Output {
        /// The kind of the call that this output answers.
        kind: CallKind,
        /// Links the output to its call.
        call_id: Text,
        /// The result.
        parts: Vec<Part>,
        /// Whether the tool reports a failure (Anthropic `is_error`).
        failed: bool,
    },
    /// A hosted web search; `raw` or `action` holds the query.
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
        /// The prompt that was used in the end.
        prompt: Option<Text>,
    },
    /// Any other item; its data is in `raw` only.
    Other {
        /// Its `type`.
        kind: String,
    },
}

impl ItemKind {
    /// A message without an upstream's id or phase.
    pub fn message(role: Role, parts: Vec<Part>) -> Self {
        Self::Message { id: None, role, parts, phase: None }
    }
}

/// Function tools take JSON arguments, custom tools free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// JSON arguments.
    Function,
    /// Free text.
    Custom,
}

/// The speaker of a message.
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
        /// The `annotations` array (citations), if any.
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
    /// Any other part, as it came in its dialect.
    Other(Json),
}

impl Part {
    /// The text of a text or refusal.
    pub(crate) fn text(&self) -> Option<&Text> {
        match self {
            Self::Text { text, .. } | Self::Refusal(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is text or a refusal, not an image, file or other part.
    pub(crate) fn is_text(&self) -> bool {
        self.text().is_some()
    }

    /// Whether this is an empty text or refusal.
    pub(crate) fn is_empty(&self) -> bool {
        self.text().is_some_and(Text::is_empty)
    }
}

impl From<Text> for Part {
    fn from(text: Text) -> Self {
        Self::Text { text, annotations: None }
    }
}

/// Where the bytes of an image or file are. The gateway never fetches them.
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
    /// The type of the tool, with its data.
    pub kind: ToolKind,
    /// The tool as it came in the responses dialect (flat form); `None` once edited or when read from another dialect.
    pub raw: Option<Json>,
}

impl From<ToolKind> for Tool {
    fn from(kind: ToolKind) -> Self {
        Self { kind, raw: None }
    }
}

/// The type and data of a [`Tool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// A function with a JSON schema.
    Function {
        /// 1 to 128 characters.
        name: Text,
        /// The function's description.
        description: Option<Text>,
        /// JSON schema of its arguments.
        parameters: Option<Json>,
        /// Strict mode; `None` when the request has no such field.
        strict: Option<bool>,
    },
    /// A tool that takes free text.
    Custom {
        /// 1 to 128 characters.
        name: Text,
        /// The tool's description.
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
