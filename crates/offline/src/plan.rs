//! The planned answer to one request, with its faults.
//!
//! Plain data that also reads from JSON; `faults` holds ready-made plans, `shape` and `wire` carry them out.

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
    /// `GET /backend-api/wham/rate-limit-reset-credits` and its `/consume`.
    Credits,
    /// `GET /backend-api/wham/profiles/me`.
    Profile,
    /// Background requests of the official client: settings, messages, plugins, analytics.
    Noise,
    /// `GET /feed/repos/openai/codex/releases/latest` and `GET /feed/appcast.xml`: the published versions.
    Feed,
    /// `GET /echo`: which address asks.
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
    /// The page where a person enters a device code.
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
    /// `POST /hook/NAME`: an owner's webhook.
    Hook,
    /// `POST /ntfy/TOPIC`: an owner's ntfy topic.
    Ntfy,
    /// A path without a route.
    Other,
}

impl Endpoint {
    /// The API whose model answers here.
    pub(crate) fn api(self) -> Api {
        match self {
            Self::ChatRelay => Api::Chat,
            Self::ResponsesRelay => Api::Responses,
            Self::MessagesRelay => Api::Messages,
            Self::GeminiRelay => Api::Gemini,
            _ => Api::Backend,
        }
    }

    /// An endpoint that a model answers.
    pub(crate) fn is_turn(self) -> bool {
        matches!(
            self,
            Self::Responses | Self::ChatRelay | Self::ResponsesRelay | Self::MessagesRelay | Self::GeminiRelay
        )
    }
}

/// One planned answer. The default one changes nothing.
#[must_use]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Passed in order after the request was read and acted on, before the status line.
    pub before_headers: Vec<Wait>,
    /// Informational (1xx) heads sent before the real one.
    pub interim: Vec<Interim>,
    /// Replaces the status.
    pub status: Option<u16>,
    /// Added to the headers; a name given here replaces the backend's own values, repeated names stay repeated.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub body: Body,
    /// With a body of its own: the endpoint still acts (a refresh token rotates) before this answer is given.
    pub act: bool,
    /// What happens to the payload on its way.
    pub shape: Shape,
    /// What happens to the connection once the answer is out.
    pub idle: Option<Idle>,
}

/// The payload of a planned answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// What the backend answers by itself.
    #[default]
    Auto,
    /// A JSON document.
    Json(Value),
    /// Any text; `text/plain` unless a header says otherwise.
    Text(String),
    /// Any bytes, as an event stream unless a header says otherwise.
    Bytes(Blob),
    /// An event stream of these events, framed by us.
    Events(Vec<Value>),
    /// The recorded stream of this file name, found in `Options::replay`; `*.sse` is sent as it is, any other
    /// file holds one JSON event per line.
    Replay(String),
    /// Bytes for the socket instead of an HTTP answer, each piece after so many milliseconds; the connection is closed
    /// after them.
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
    /// Until `Running::release` is called with this name; passes at once when it already was.
    Gate(String),
    /// Until the client leaves.
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

/// One informational answer, for example 103 with a `link`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Interim {
    /// 100 to 199.
    pub status: u16,
    /// Sent with it.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
}

/// Changes to a stream. Events are counted from 0; `after: 0` means before the first one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shape {
    /// Tokens (text deltas) per second; as fast as the socket takes them without it.
    pub pace: Option<f64>,
    /// Silences.
    pub pauses: Vec<Pause>,
    /// Frames put between those of the answer, as raw text.
    pub extra: Vec<Extra>,
    /// Adds a text delta event of this many bytes in all after the second event; `u64::MAX` is endless.
    pub huge: Option<u64>,
    /// Where the stream ends before its time.
    pub stop: Option<Stop>,
    /// Events sent after the last one.
    pub tail: Vec<Value>,
    /// Keeps the answer open after everything was sent.
    pub hold: Option<Wait>,
    /// Line ends; LF by default.
    pub newline: Option<Newline>,
    /// Begins with a byte order mark.
    pub bom: bool,
    /// Cuts the bytes into writes of their own.
    pub split: Option<Split>,
    /// Pause between the writes of `split`, milliseconds.
    pub drip: u64,
    /// `Content-Encoding`s applied in this order, flushed after every event.
    pub compress: Vec<Coding>,
    /// Odd frames; on a socket only.
    pub quirks: Vec<Quirk>,
}

/// A fault in the frames of a socket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quirk {
    /// Events sent before it.
    pub after: u32,
    /// What.
    pub what: QuirkKind,
}

/// The kinds of faults in the frames of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuirkKind {
    /// So many pings at once.
    Pings(u32),
    /// The next message comes in frames of so many bytes.
    Fragments(usize),
    /// The next message is masked, which a server must not do.
    Masked,
    /// The next message is binary.
    Binary,
}

/// A silence inside a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pause {
    /// Events sent before it.
    pub after: u32,
    /// How long.
    pub wait: Wait,
}

/// A frame that the answer would not have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extra {
    /// Events sent before it.
    pub after: u32,
    /// Raw text, with its own line ends; a comment is `: text\n\n`.
    pub frame: String,
}

/// An early end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stop {
    /// Where.
    pub at: StopPosition,
    /// How.
    pub how: Termination,
}

/// A position in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopPosition {
    /// After this many events.
    Event(u32),
    /// After this many bytes of the (uncompressed) body; on a socket as `wire`.
    Byte(u64),
    /// After this many bytes on the connection, status line and headers included; 0 is "nothing at all". On a socket the
    /// bytes are counted from the turn's first.
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

/// Where writes are cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Every this many bytes.
    Every(usize),
    /// Pieces of these lengths, the rest in one.
    Sizes(Vec<usize>),
    /// Each event in a write of its own.
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
    /// Its name in `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Deflate => "deflate",
        }
    }
}

/// How a kept-alive connection ends after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Closed at once, without `connection: close` having said so.
    Close,
    /// Reset when the next request's first byte arrives: a stale pooled socket.
    ResetNext,
}

impl Shape {
    /// Nothing is changed: the answer may go out as it is.
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
