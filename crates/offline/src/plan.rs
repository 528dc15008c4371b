//! The planned answer to one request, with its faults.
//!
//! A plan is plain data and deserialises from JSON. `faults` has ready-made plans; `shape` and `wire` execute plans.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::api::Api;
use crate::plan::wire::Termination;

pub(crate) mod api;
mod build;
pub(crate) mod replay;
pub(crate) mod shape;
pub(crate) mod wire;

/// The endpoints that a rule can name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// A model request: `POST /backend-api/codex/responses`, or a `response.create` of a socket.
    #[default]
    Responses,
    /// `GET /backend-api/codex/responses`: the upgrade to a WebSocket.
    Socket,
    /// `GET /backend-api/codex/models`.
    Models,
    /// `POST /backend-api/codex/images/generations` and `/edits`.
    Images,
    /// `POST /backend-api/codex/responses/compact`.
    Compact,
    /// `POST /backend-api/codex/alpha/search`.
    Search,
    /// `GET /backend-api/wham/accounts/check`.
    AccountsCheck,
    /// `GET /backend-api/wham/usage`.
    Usage,
    /// `GET /backend-api/wham/rate-limit-reset-credits` and `POST` to its `/consume`.
    Credits,
    /// `GET /backend-api/wham/profiles/me`.
    Profile,
    /// Background requests of the official client: settings, messages, plugins, analytics.
    Noise,
    /// `GET /feed/repos/openai/codex/releases/latest` and `GET /feed/appcast.xml`: the published client versions.
    Feed,
    /// `GET /echo`: the client's address.
    Echo,
    /// `GET /oauth/authorize`.
    Authorize,
    /// `POST /oauth/token`, every grant.
    Token,
    /// `POST /oauth/revoke`.
    Revoke,
    /// `POST /api/accounts/deviceauth/usercode`.
    DeviceCode,
    /// `POST /api/accounts/deviceauth/token`.
    DeviceToken,
    /// The page where the user enters a device code.
    DevicePage,
    /// `POST /relay/chat/v1/chat/completions`.
    ChatRelay,
    /// `POST /relay/responses/v1/responses`.
    ResponsesRelay,
    /// `POST /relay/messages/v1/messages`.
    MessagesRelay,
    /// `POST /relay/gemini/v1beta/models/M:generateContent` and `:streamGenerateContent`; `v1` too.
    GeminiRelay,
    /// Model lists of relays, and single models.
    RelayModels,
    /// `count_tokens` and `:countTokens` of relays.
    RelayCount,
    /// Embeddings, audio and images of relays.
    RelayMedia,
    /// `POST /hook/NAME`: the owner's webhook.
    Hook,
    /// `POST /ntfy/TOPIC`: the owner's ntfy topic.
    Ntfy,
    /// A path without a route.
    Other,
}

impl Endpoint {
    /// The API of the endpoint; `Backend` unless a relay's model answers.
    pub(crate) fn api(self) -> Api {
        match self {
            Self::ChatRelay => Api::Chat,
            Self::ResponsesRelay => Api::Responses,
            Self::MessagesRelay => Api::Messages,
            Self::GeminiRelay => Api::Gemini,
            _ => Api::Backend,
        }
    }

    /// Whether a model answers this endpoint.
    pub(crate) fn is_turn(self) -> bool {
        matches!(
            self,
            Self::Responses | Self::ChatRelay | Self::ResponsesRelay | Self::MessagesRelay | Self::GeminiRelay
        )
    }
}

/// One planned answer. The default plan changes nothing.
#[must_use]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Waits in order, after the request is read and its effects are done, before the status line.
    pub before_headers: Vec<Wait>,
    /// Informational (1xx) responses sent before the final one.
    pub interim: Vec<Interim>,
    /// Replaces the status.
    pub status: Option<u16>,
    /// Headers to add. A name here replaces the backend's values of that name; repeated names stay repeated.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub body: Body,
    /// For a plan with a body: the endpoint's effects still happen (a refresh token rotates) before this answer is sent.
    pub act: bool,
    /// Changes to the payload while it is sent.
    pub shape: Shape,
    /// The fault of the idle connection after the answer.
    pub idle: Option<Idle>,
}

/// The payload of a planned answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The backend's own answer.
    #[default]
    Auto,
    /// A JSON document.
    Json(Value),
    /// Any text; `text/plain` unless a header sets another type.
    Text(String),
    /// Any bytes; `text/event-stream` unless a header sets another type.
    Bytes(Blob),
    /// An event stream of these events; this crate adds the framing.
    Events(Vec<Value>),
    /// The recorded stream of this file name, found in `Options::replay`. A `*.sse` file is sent unchanged; any other file
    /// has one JSON event per line.
    Replay(String),
    /// Raw bytes on the connection instead of an HTTP answer, each piece after a delay in milliseconds. The connection is closed
    /// after the last piece.
    Wire(Vec<(u64, Blob)>),
}

/// Bytes; base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Bytes);

impl<T: Into<Bytes>> From<T> for Blob {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        BASE64_STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
    }
}

/// A pause of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Milliseconds of the runtime's clock.
    Millis(u64),
    /// Until `Running::release` is called with this name; no wait if the call came earlier.
    Gate(String),
    /// Until the client disconnects.
    Forever,
}

impl From<Duration> for Wait {
    fn from(time: Duration) -> Self {
        Self::Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

impl From<&str> for Wait {
    fn from(gate: &str) -> Self {
        Self::Gate(gate.to_owned())
    }
}

/// One informational response, for example 103 with a `link`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interim {
    /// 100 to 199.
    pub status: u16,
    /// The response's headers.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// Changes to a stream. Events are counted from 0; `after: 0` means before the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Tokens (text deltas) per second; unlimited when absent.
    pub pace: Option<f64>,
    /// Silences inside the stream.
    pub pauses: Vec<Pause>,
    /// Raw frames inserted between the answer's frames.
    pub extra: Vec<Extra>,
    /// Inserts a text delta event of this many bytes in total after the second event; `u64::MAX` is endless.
    pub huge: Option<u64>,
    /// The early end of the stream.
    pub stop: Option<Stop>,
    /// Events sent after the last one.
    pub tail: Vec<Value>,
    /// Keeps the answer open after the last byte.
    pub hold: Option<Wait>,
    /// Line ends; LF by default.
    pub newline: Option<Newline>,
    /// Starts the stream with a byte order mark.
    pub bom: bool,
    /// Splits the bytes into separate writes.
    pub split: Option<Split>,
    /// Pause between the writes of `split`, milliseconds.
    pub drip: u64,
    /// `Content-Encoding`s applied in this order, flushed after every event.
    pub compress: Vec<Coding>,
    /// Faults in the frames; on a socket only.
    pub quirks: Vec<Quirk>,
}

/// A fault in the frames of a socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quirk {
    /// The number of events before the fault.
    pub after: u32,
    /// The fault.
    pub what: QuirkKind,
}

/// The kinds of faults in the frames of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuirkKind {
    /// This many pings at once.
    Pings(u32),
    /// The next message is split into frames of this many bytes.
    Fragments(usize),
    /// The next message is masked, which a server must not do.
    Masked,
    /// The next message is binary.
    Binary,
}

/// A silence inside a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// The number of events before the pause.
    pub after: u32,
    /// The length of the pause.
    pub wait: Wait,
}

/// A frame that is not part of the answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extra {
    /// The number of events before the frame.
    pub after: u32,
    /// Raw text, with its own line ends; a comment is `: text\n\n`.
    pub frame: String,
}

/// An early end of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// The position of the end.
    pub at: StopPosition,
    /// The kind of the end.
    pub how: Termination,
}

/// A position in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPosition {
    /// After this many events.
    Event(u32),
    /// After this many bytes of the uncompressed body; on a socket the same as `wire`.
    Byte(u64),
    /// After this many bytes on the connection, status line and headers included; 0 sends nothing. On a socket the count starts with
    /// the turn's first byte.
    Wire(u64),
}

/// Line ends of an event stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Newline {
    /// `\r\n`.
    CrLf,
    /// `\r`.
    Cr,
}

/// The boundaries of writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Every this many bytes.
    Every(usize),
    /// Pieces of these lengths; the rest is one piece.
    Sizes(Vec<usize>),
    /// One write per event.
    Events,
}

/// A `Content-Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// `gzip`.
    Gzip,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
    /// `deflate` (zlib).
    Deflate,
}

impl Coding {
    /// The coding's name in `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }
}

/// The fault of a keep-alive connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Closed at once, without a `connection: close` header.
    Close,
    /// Reset when the next request's first byte arrives: a stale pooled socket.
    ResetNext,
}

impl Shape {
    /// Whether the shape changes nothing, so that the answer can be sent unchanged.
    pub(crate) fn plain(&self) -> bool {
        self.pace.is_none()
            && self.pauses.is_empty()
            && self.extra.is_empty()
            && self.huge.is_none()
            && self.stop.is_none()
            && self.tail.is_empty()
            && self.hold.is_none()
            && self.newline.is_none()
            && !self.bom
            && self.split.is_none()
            && self.compress.is_empty()
            && self.quirks.is_empty()
    }
}
