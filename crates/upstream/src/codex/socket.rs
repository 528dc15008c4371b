//! The model call over a WebSocket: `GET {base}/codex/responses` with an upgrade, then one `response.create` a turn.
//!
//! A socket serves one conversation of one account, one turn at a time. Between two turns it lies on a [`shelf`] with what the
//! other end remembers, so that the next turn sends only what is new. What the other end has forgotten is sent anew, once,
//! over a new socket; a chain or a turn state never goes to another account.
//!
//! Source: spec of the official client 0.169.0 on the wire, section 4, November 2026.

mod hail;
mod reply;
pub(crate) mod shelf;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::{self, Refusal, Said, Turn, wrap};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

use self::hail::Hailed;
pub(crate) use self::reply::Reply;
use self::reply::Watch;
use self::shelf::{Key, Socket};
use super::{Answer, Leg, hint, passed};
use crate::fault::root;
use crate::profile::Slot;
use crate::{Body, Fault, FaultKind, Sent, Upstream};

/// Marks the shape of a lite request, which over HTTP a header does.
const LITE: &str = "ws_request_header_x_openai_internal_codex_responses_lite";
/// When the official client began the turn, milliseconds.
const STARTED: &str = "x-codex-ws-stream-request-start-ms";

/// What a call over a socket needs to know beside the call.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Tells conversations apart.
    pub conversation: u128,
    /// Whether the model is to answer; `false` only opens the socket and lets the other end read the request.
    pub generate: bool,
    /// Whether a socket is the only way; else a POST stands in where none can be had.
    pub only: bool,
    /// The time of day.
    pub now: Millis,
}

/// How soon after a turn went out over a socket that had waited the loss of that socket still means that it was dead before.
const STALE: Duration = Duration::from_secs(5);
/// Bytes that may come before the reply begins.
const PREAMBLE: usize = pool::limits::STREAM_BUFFER;

/// Why a call did not come to an answer over a socket.
pub(super) enum Detour {
    /// It may go out as a POST, with what reached the other end so far: nothing, or a turn that it closed the socket on.
    Post(Sent, String),
    /// It failed.
    Fault(Fault),
}

/// What a socket said to a turn.
enum Heard {
    Answer(Box<Answer>),
    /// It is of no use any more, and has not begun to answer.
    Stale(Stale),
}

/// Why a socket is of no use.
struct Stale {
    why: String,
    /// Whether the other end said so itself; else the connection was lost, and nobody knows what became of the turn.
    told: bool,
}

/// The first message that is about the turn itself, with what came before it.
struct First {
    held: BytesMut,
    headers: HeaderMap,
    message: Bytes,
    said: Said,
}

impl Upstream {
    /// One turn: over the conversation's own socket if there is one, else over a new one.
    pub(super) async fn talk(&self, leg: &Leg<'_>, talk: Talk) -> Result<Answer, Detour> {
        let unfit = || Detour::Post(Sent::No, "the body has no list of items".into());
        let turn = Turn::read(leg.body.clone()).ok_or_else(unfit)?;
        let key = Key { account: leg.account.id.clone(), conversation: talk.conversation, hint: hint(&leg.call) };
        let waited = self.shelf().take(&key, &self.way);
        // Whatever becomes of it, a turn is sent at most twice.
        let twice = waited.is_some();
        if let Some(socket) = waited {
            match self.say(socket, (&turn, talk), leg).await.map_err(Detour::Fault)? {
                Heard::Answer(answer) => return Ok(*answer),
                Heard::Stale(stale) => tracing::debug!(account = %key.account, why = stale.why, "a socket went stale"),
            }
        }
        let socket = match self.hail(leg, key, talk.now).await? {
            Hailed::Open(socket) => *socket,
            Hailed::Refused(answer) => return Ok(*answer),
        };
        let heard = self.say(socket, (&turn, talk), leg).await;
        // Whoever wants no prewarm may want turns.
        if talk.generate && !matches!(heard, Ok(Heard::Answer(_))) {
            self.shelf().failed(&leg.account.id, talk.now);
        }
        match heard.map_err(Detour::Fault)? {
            Heard::Answer(answer) => Ok(*answer),
            Heard::Stale(Stale { why, told: true }) if !twice => Err(Detour::Post(Sent::Maybe, why)),
            Heard::Stale(Stale { why, .. }) => Err(Detour::Fault(Fault::new(Sent::Maybe, FaultKind::Cut, why))),
        }
    }

    /// Sends the turn and waits until the other end answers it.
    async fn say(&self, mut socket: Socket, (turn, talk): (&Turn, Talk), leg: &Leg<'_>) -> Result<Heard, Fault> {
        let limit = self.config().timeouts.headers;
        let chain = socket.chain.take().and_then(|chain| Some((turn.known(&chain)?, chain)));
        let after = chain.as_ref().map(|(known, chain)| (chain, *known));
        let frame = turn.frame(after, talk.generate, &self.metadata(leg, talk.now));
        socket.sent = socket.sent.max(frame.len());
        let text = Utf8Bytes::try_from(frame).expect("invariant: JSON is UTF-8");
        let sending = timeout(limit, socket.stream.send(Message::Text(text))).await;
        if let Err(error) = sending.map_err(|_| Fault::late(limit))? {
            return Ok(Heard::Stale(Stale { why: lost(&error), told: false }));
        }
        let first = match first(&mut socket, limit).await? {
            Ok(first) => first,
            Err(stale) => return Ok(Heard::Stale(stale)),
        };
        if first.said == Said::Error {
            return Ok(refused(first, chain.is_some()));
        }
        self.shelf().works(&leg.account.id);
        let First { held, headers, message, said } = first;
        let watch = Watch::new(turn.clone().record(), self.shelf().clone());
        let body = Body::socket(Reply::new(socket, watch, held, (&message, said)));
        Ok(Heard::Answer(Box::new(Answer { status: 200, headers, body })))
    }

    /// What over HTTP stands in headers; what the profile itself says of the turn stands in the body already.
    fn metadata(&self, leg: &Leg<'_>, now: Millis) -> Vec<(&'static str, String)> {
        let (call, profile) = (&leg.call, self.profile());
        let pairs = [
            ("x-codex-window-id", passed(call, Slot::Window)),
            ("x-codex-turn-metadata", passed(call, Slot::TurnMetadata)),
            ("x-codex-parent-thread-id", passed(call, Slot::ParentThread)),
            ("x-openai-subagent", passed(call, Slot::Subagent)),
            ("x-codex-turn-state", call.turn_state.map(str::to_owned)),
            (LITE, call.lite.then(|| "true".to_owned())),
            (STARTED, profile.turns.then(|| now.0.to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn shelf(&self) -> &shelf::Shelf {
        &self.inner.shelf
    }
}

/// Reads until the other end speaks about the turn; each message is waited for so long.
async fn first(socket: &mut Socket, limit: Duration) -> Result<Result<First, Stale>, Fault> {
    let sent = Instant::now();
    let mut headers = socket.greeting.clone();
    headers.extend(std::mem::take(&mut socket.figures));
    let mut held = BytesMut::new();
    loop {
        let next = timeout(limit, socket.stream.next()).await.map_err(|_| Fault::late(limit))?;
        // Whoever has said something has taken the turn.
        let gone = |why: String, told: bool| {
            if held.is_empty() && (told || sent.elapsed() < STALE) {
                return Ok(Err(Stale { why, told }));
            }
            Err(Fault::new(Sent::Maybe, FaultKind::Cut, why))
        };
        let message = match next {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Close(frame))) => return gone(farewell(frame.as_ref()), true),
            Some(Ok(Message::Binary(_))) => return Err(garbled()),
            Some(Err(error)) if breach(&error) => return Err(Fault::new(Sent::Yes, FaultKind::Cut, lost(&error))),
            Some(Err(error)) => return gone(lost(&error), false),
            None => return gone("the socket was closed".to_owned(), false),
        };
        let said = wrap(&message, &mut held).ok_or_else(garbled)?;
        match said {
            Said::Aside if held.len() > PREAMBLE => return Err(garbled()),
            Said::Aside => collect(&message, &mut headers),
            said => return Ok(Ok(First { held, headers, message, said })),
        }
    }
}

/// Takes over the headers that a message carries.
fn collect(message: &Bytes, headers: &mut HeaderMap) {
    take(socket::refusal(message).map(|said| said.headers).unwrap_or_default(), headers);
}

fn take(pairs: Vec<(String, String)>, headers: &mut HeaderMap) {
    for (name, value) in pairs {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else { continue };
        // What is about an HTTP message's form is not about this one's.
        let form =
            name == header::SET_COOKIE || name == header::TRANSFER_ENCODING || name.as_str().starts_with("content-");
        if !form {
            headers.insert(name, value);
        }
    }
}

/// An `error` message instead of a reply. `chained` is whether the turn relied on what the other end remembers.
fn refused(first: First, chained: bool) -> Heard {
    let First { held, mut headers, message, .. } = first;
    let Some(Refusal { status, code, headers: said }) = socket::refusal(&message) else {
        return Heard::Stale(Stale { why: "the socket refused in words that cannot be read".into(), told: true });
    };
    let code = code.unwrap_or_default();
    if code == "websocket_connection_limit_reached" || chained && code == "previous_response_not_found" {
        return Heard::Stale(Stale { why: code, told: true });
    }
    take(said, &mut headers);
    let answer = match status {
        Some(status) => Answer { status, headers, body: Body::whole(message) },
        // The reader of the stream knows what to make of it.
        None => Answer { status: 200, headers, body: Body::whole(held.freeze()) },
    };
    Heard::Answer(Box::new(answer))
}

fn garbled() -> Fault {
    Fault::new(Sent::Yes, FaultKind::Cut, "the upstream sent a message that is no event")
}

/// Whether the other end broke the protocol, unlike a connection that is gone.
fn breach(error: &tungstenite::Error) -> bool {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::Protocol(error) => !matches!(error, ResetWithoutClosingHandshake),
        Error::Capacity(_) | Error::Utf8(_) => true,
        _ => false,
    }
}

/// What a lost connection is called.
fn lost(error: &tungstenite::Error) -> String {
    format!("the socket broke: {}", root(error))
}

/// What a close message says.
fn farewell(frame: Option<&CloseFrame>) -> String {
    let Some(frame) = frame else { return "the socket was closed".to_owned() };
    let reason: String = frame.reason.chars().filter(|c| !c.is_control()).take(120).collect();
    format!("the socket was closed ({}{}{reason})", u16::from(frame.code), if reason.is_empty() { "" } else { ": " })
}

impl Upstream {
    /// Looks after the sockets that wait for their next turn: answers pings, lets go of those that are closed, old or idle.
    pub fn tend_sockets(&self) {
        self.shelf().tend();
    }

    /// Gives up every socket that waits for its next turn.
    pub fn drop_sockets(&self) {
        self.shelf().redial();
    }

    /// Sockets that wait for their next turn.
    pub fn waiting_sockets(&self) -> usize {
        self.shelf().len()
    }

    /// Whether a socket may be tried for this account now.
    pub(super) fn talks(&self, account: &AccountId, now: Millis) -> bool {
        self.shelf().well(account, now)
    }
}
