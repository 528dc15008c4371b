//! The model call over a WebSocket: `GET {base}/codex/responses` with an upgrade, then one `response.create` a turn.
//!
//! A socket serves one conversation of one account, one turn at a time. Between two turns it lies on a [`Shelf`] with what the
//! other end remembers, so that the next turn sends only what is new. A chain or a turn state never goes to another account.
//!
//! One call puts a turn on the wire at most once. A POST stands in only where no socket could be had, before the turn went out.
//! A turn over a socket that had waited and was dead, or had forgotten the chain, fails as [`FaultKind::Stale`]: the retry table
//! (`pool::attempt`) may send it once more, and counts it. Any other loss or close may have cost the person's quota, and is final.
//!
//! Source: spec of the official client 0.169.0 on the wire, section 4, November 2026.

mod connect;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::{self, Refusal, Said, Turn, wrap};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use wire_body::offload;

use self::connect::Hailed;
use super::{Leg, hint, passed};
use crate::Upstream;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::Slot;
use crate::response::{Answer, Body};
use crate::websocket::pool::{Key, Shelf, Socket};
use crate::websocket::reply::{Reply, Watch};
use crate::websocket::{farewell, lost};

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

/// How soon after a turn went out over a socket that had waited its loss or close still means that it was dead before.
const STALE: Duration = Duration::from_secs(5);
/// Bytes that may come before the reply begins.
const PREAMBLE: usize = pool::limits::STREAM_BUFFER;

/// Why a call did not come to an answer over a socket.
pub(super) enum Detour {
    /// No socket could be had, and nothing of the turn was sent: a POST may stand in.
    Post(String),
    /// It failed.
    Fault(Fault),
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
        let unfit = || Detour::Post("the body has no list of items".into());
        let body = leg.body.clone();
        let turn = offload(body.len(), move || Turn::read(body)).await.ok_or_else(unfit)?;
        let key = Key { account: leg.account.id.clone(), conversation: talk.conversation, hint: hint(&leg.call) };
        if let Some(socket) = self.shelf().take(&key, &self.way) {
            return self.say(socket, (&turn, talk), leg).await.map_err(Detour::Fault);
        }
        let socket = match self.hail(leg, key, talk.now).await? {
            Hailed::Open(socket) => *socket,
            Hailed::Refused(answer) => return Ok(*answer),
        };
        let answer = self.say(socket, (&turn, talk), leg).await;
        // Whoever wants no prewarm may want turns.
        if talk.generate && answer.is_err() {
            self.shelf().failed(&leg.account.id, talk.now);
        }
        answer.map_err(Detour::Fault)
    }

    /// Sends the turn and waits until the other end answers it.
    async fn say(&self, mut socket: Socket, (turn, talk): (&Turn, Talk), leg: &Leg<'_>) -> Result<Answer, Fault> {
        let limit = self.config().timeouts.headers;
        let chain = socket.chain.take().and_then(|chain| Some((turn.known(&chain)?, chain)));
        let after = chain.as_ref().map(|(known, chain)| (chain, *known));
        let frame = turn.frame(after, talk.generate, &self.metadata(leg, talk.now));
        socket.sent = socket.sent.max(frame.len());
        let text = Utf8Bytes::try_from(frame).expect("invariant: JSON is UTF-8");
        let sent = Instant::now();
        let sending = timeout(limit, socket.stream.send(Message::Text(text))).await;
        sending.map_err(|_| Fault::late(limit))?.map_err(|error| gone(&socket, sent, lost(&error)))?;
        let first = first(&mut socket, sent, limit).await?;
        if first.said == Said::Error {
            return refused(first, chain.is_some());
        }
        self.shelf().works(&leg.account.id);
        let First { held, headers, message, said } = first;
        let watch = Watch::new(turn.clone().record(), self.shelf().clone());
        let body = Body::from_source(Reply::new(socket, watch, held, (&message, said)));
        Ok(Answer { status: 200, headers, body })
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

    fn shelf(&self) -> &Shelf {
        &self.inner.shelf
    }
}

/// Reads until the other end speaks about the turn. Each message is waited for so long; pings are none and do not prolong the wait, as
/// nothing on the connection prolongs the wait for the headers of an HTTP answer.
async fn first(socket: &mut Socket, sent: Instant, limit: Duration) -> Result<First, Fault> {
    let mut headers = socket.greeting.clone();
    headers.extend(std::mem::take(&mut socket.figures));
    let (mut held, mut until) = (BytesMut::new(), Instant::now() + limit);
    loop {
        let next = timeout_at(until, socket.stream.next()).await.map_err(|_| Fault::late(limit))?;
        let message = match next {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(garbled()),
            Some(Err(error)) if breach(&error) => return Err(Fault::new(Sent::Yes, FaultKind::Cut, lost(&error))),
            end => return Err(if held.is_empty() { gone(socket, sent, ended(end)) } else { unfinished(&ended(end)) }),
        };
        until = Instant::now() + limit;
        let said = wrap(&message, &mut held).ok_or_else(garbled)?;
        match said {
            Said::Aside if held.len() > PREAMBLE => return Err(garbled()),
            Said::Aside => collect(&message, &mut headers),
            said => return Ok(First { held, headers, message, said }),
        }
    }
}

/// How a socket ended that gives no more messages.
fn ended(end: Option<Result<Message, tungstenite::Error>>) -> String {
    match end {
        Some(Ok(Message::Close(frame))) => farewell(frame.as_ref()),
        Some(Err(error)) => lost(&error),
        _ => "the socket was closed".to_owned(),
    }
}

/// The socket ended before the other end had said anything about the turn that went out at `sent`.
fn gone(socket: &Socket, sent: Instant, why: String) -> Fault {
    if socket.waited && sent.elapsed() < STALE {
        return Fault::new(Sent::Maybe, FaultKind::Stale, why);
    }
    unfinished(&why)
}

/// The socket ended, and the other end may have worked on the turn.
fn unfinished(why: &str) -> Fault {
    let message = format!("{why}; the request may have been processed, so it was not sent again");
    Fault::new(Sent::Maybe, FaultKind::Cut, message)
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
fn refused(first: First, chained: bool) -> Result<Answer, Fault> {
    let First { held, mut headers, message, .. } = first;
    let Some(Refusal { status, code, headers: said }) = socket::refusal(&message) else {
        return Err(Fault::new(Sent::Yes, FaultKind::Cut, "the upstream refused in words that cannot be read"));
    };
    let code = code.unwrap_or_default();
    if code == "websocket_connection_limit_reached" || chained && code == "previous_response_not_found" {
        return Err(Fault::new(Sent::Yes, FaultKind::Stale, code));
    }
    take(said, &mut headers);
    Ok(match status {
        Some(status) => Answer { status, headers, body: Body::whole(message) },
        // The reader of the stream knows what to make of it.
        None => Answer { status: 200, headers, body: Body::whole(held.freeze()) },
    })
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
