//! The model call over a WebSocket: `GET {base}/codex/responses` with an upgrade, then one `response.create` per turn.
//!
//! A socket serves one conversation of one account, one turn at a time. Between two turns it waits in a [`SocketPool`], with the id
//! of the last response, so that the next turn sends only new items. A chain or a turn state never goes to another account.
//!
//! One call puts a turn on the wire at most once. A POST replaces the socket only if no socket could be opened, before the turn was sent.
//! A turn over a reused socket that was dead, or whose other end had forgotten the chain, fails as [`FaultKind::Stale`]: the retry table
//! (`pool::attempt`) may send it once more, and counts that as an attempt. After any other loss or close the turn may have used quota, so
//! it is not sent again.
//!
//! Source: spec of the official client 0.169.0 on the wire, section 4, November 2026.

mod connect;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::{self, EventClass, Refusal, TurnRequest};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use wire_body::offload;

use self::connect::UpgradeOutcome;
use super::{ModelCall, client_header, routing_hint};
use crate::Upstream;
use crate::fault::{Fault, FaultKind, Sent};
use crate::profile::HeaderField;
use crate::response::{Answer, Body};
use crate::websocket::pool::{Socket, SocketKey, SocketPool};
use crate::websocket::reply::{SocketReply, TurnRecorder};
use crate::websocket::{close_reason, connection_lost};

/// Marks a lite request; over HTTP, a header marks it.
const LITE: &str = "ws_request_header_x_openai_internal_codex_responses_lite";
/// When the official client began the turn, milliseconds.
const STARTED: &str = "x-codex-ws-stream-request-start-ms";

/// Options of a call over a WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Identifies the conversation.
    pub conversation: u128,
    /// Whether the model answers; `false` only opens the socket and sends the request (prewarm).
    pub generate: bool,
    /// Whether only a socket may be used; otherwise a POST replaces a socket that cannot be opened.
    pub required: bool,
    /// The time of day.
    pub now: Millis,
}

/// A reused socket that is lost within this time after a turn was sent counts as dead before the turn.
const STALE: Duration = Duration::from_secs(5);
/// Most bytes before the reply begins.
const PREAMBLE: usize = pool::limits::STREAM_BUFFER;

/// Why a call got no answer over a socket.
pub(super) enum SocketError {
    /// No socket could be opened, and nothing of the turn was sent: a POST may replace it.
    Unavailable(String),
    /// The call failed.
    Fault(Fault),
}

/// The events of a turn up to the first one about the turn itself.
struct FirstEvents {
    /// The first event about the turn is the last one here.
    events: Vec<Bytes>,
    /// The class of the last event.
    class: EventClass,
    headers: HeaderMap,
}

impl Upstream {
    /// One turn: over the conversation's own socket if there is one, else over a new one.
    pub(super) async fn call_over_socket(
        &self,
        call: &ModelCall<'_>,
        options: SocketOptions,
    ) -> Result<Answer, SocketError> {
        let unfit = || SocketError::Unavailable("the body has no list of items".into());
        let body = call.body.clone();
        let turn = offload(body.len(), move || TurnRequest::read(body)).await.ok_or_else(unfit)?;
        let key = SocketKey {
            account: call.account.id.clone(),
            conversation: options.conversation,
            hint: routing_hint(&call.facts),
        };
        if let Some(socket) = self.socket_pool().take(&key, &self.egress) {
            return self.send_turn(socket, (&turn, options), call).await.map_err(SocketError::Fault);
        }
        let socket = match self.connect_socket(call, key, options.now).await? {
            UpgradeOutcome::Open(socket) => *socket,
            UpgradeOutcome::Refused(answer) => return Ok(*answer),
        };
        let answer = self.send_turn(socket, (&turn, options), call).await;
        // A backend that refuses a prewarm may still take turns.
        if options.generate && answer.is_err() {
            self.socket_pool().mark_failed(&call.account.id, options.now);
        }
        answer.map_err(SocketError::Fault)
    }

    /// Sends the turn and waits until the other end answers it.
    async fn send_turn(
        &self,
        mut socket: Socket,
        (turn, options): (&TurnRequest, SocketOptions),
        call: &ModelCall<'_>,
    ) -> Result<Answer, Fault> {
        let limit = self.config().timeouts.headers;
        let chain = socket.chain.take().and_then(|chain| Some((turn.known(&chain)?, chain)));
        let after = chain.as_ref().map(|(known, chain)| (chain, *known));
        let frame = turn.frame(after, options.generate, &self.frame_metadata(call, options.now));
        socket.largest_sent = socket.largest_sent.max(frame.len());
        let text = Utf8Bytes::try_from(frame).expect("invariant: JSON is UTF-8");
        let sent = Instant::now();
        let sending = timeout(limit, socket.stream.send(Message::Text(text))).await;
        sending
            .map_err(|_| Fault::timed_out(limit))?
            .map_err(|error| ended_before_reply(&socket, sent, connection_lost(&error)))?;
        let first = read_first(&mut socket, sent, limit).await?;
        if first.class == EventClass::Error {
            return refusal_answer(first, chain.is_some());
        }
        self.socket_pool().mark_working(&call.account.id);
        let FirstEvents { events, class, headers } = first;
        let watch = TurnRecorder::new(turn.clone().record(), self.socket_pool().clone());
        let body = Body::from_source(SocketReply::new(socket, watch, events, class));
        Ok(Answer { status: 200, headers, body })
    }

    /// The values that a POST has in headers. The profile's own turn metadata is in the body already.
    fn frame_metadata(&self, call: &ModelCall<'_>, now: Millis) -> Vec<(&'static str, String)> {
        let (facts, profile) = (&call.facts, self.profile());
        let pairs = [
            ("x-codex-window-id", client_header(facts, HeaderField::Window)),
            ("x-codex-turn-metadata", client_header(facts, HeaderField::TurnMetadata)),
            ("x-codex-parent-thread-id", client_header(facts, HeaderField::ParentThread)),
            ("x-openai-subagent", client_header(facts, HeaderField::Subagent)),
            ("x-codex-turn-state", facts.turn_state.map(str::to_owned)),
            (LITE, facts.lite.then(|| "true".to_owned())),
            (STARTED, profile.sends_turn_metadata.then(|| now.0.to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn socket_pool(&self) -> &SocketPool {
        &self.inner.sockets
    }
}

/// Reads up to the first message about the turn. `limit` bounds the wait for each message. Pings do not extend the wait, as nothing
/// extends the wait for the headers of an HTTP answer.
async fn read_first(socket: &mut Socket, sent: Instant, limit: Duration) -> Result<FirstEvents, Fault> {
    let mut headers = socket.connection_headers.clone();
    headers.extend(std::mem::take(&mut socket.first_turn_headers));
    let (mut events, mut size, mut until) = (Vec::new(), 0, Instant::now() + limit);
    loop {
        let next = timeout_at(until, socket.stream.next()).await.map_err(|_| Fault::timed_out(limit))?;
        let message = match next {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(not_an_event()),
            Some(Err(error)) if is_protocol_error(&error) => {
                return Err(Fault::new(Sent::Yes, FaultKind::Cut, connection_lost(&error)));
            }
            end => {
                return Err(if events.is_empty() {
                    ended_before_reply(socket, sent, end_reason(end))
                } else {
                    maybe_processed(&end_reason(end))
                });
            }
        };
        until = Instant::now() + limit;
        let (event, class) = socket::event(&message).ok_or_else(not_an_event)?;
        size += event.len();
        events.push(event);
        match class {
            EventClass::OutOfBand if size > PREAMBLE => return Err(not_an_event()),
            EventClass::OutOfBand => collect_headers(&message, &mut headers),
            class => return Ok(FirstEvents { events, class, headers }),
        }
    }
}

/// Why a socket ended.
fn end_reason(end: Option<Result<Message, tungstenite::Error>>) -> String {
    match end {
        Some(Ok(Message::Close(frame))) => close_reason(frame.as_ref()),
        Some(Err(error)) => connection_lost(&error),
        _ => "the socket was closed".to_owned(),
    }
}

/// The fault for a socket that ended before any message about the turn. `sent` is when the turn was sent.
fn ended_before_reply(socket: &Socket, sent: Instant, why: String) -> Fault {
    if socket.reused && sent.elapsed() < STALE {
        return Fault::new(Sent::Maybe, FaultKind::Stale, why);
    }
    maybe_processed(&why)
}

/// The fault for a socket that ended when the other end may have processed the turn.
fn maybe_processed(why: &str) -> Fault {
    let message = format!("{why}; the request may have been processed, so it was not sent again");
    Fault::new(Sent::Maybe, FaultKind::Cut, message)
}

/// Adds the headers of a message.
fn collect_headers(message: &Bytes, headers: &mut HeaderMap) {
    insert_headers(socket::refusal(message).map(|refusal| refusal.headers).unwrap_or_default(), headers);
}

fn insert_headers(pairs: Vec<(String, String)>, headers: &mut HeaderMap) {
    for (name, value) in pairs {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else { continue };
        // Headers about the form of an HTTP message do not apply here.
        let form =
            name == header::SET_COOKIE || name == header::TRANSFER_ENCODING || name.as_str().starts_with("content-");
        if !form {
            headers.insert(name, value);
        }
    }
}

/// The answer or fault for an `error` message instead of a reply. `chained` is whether the turn continued an earlier response.
fn refusal_answer(first: FirstEvents, chained: bool) -> Result<Answer, Fault> {
    let FirstEvents { events, mut headers, .. } = first;
    let message = events.last().cloned().unwrap_or_default();
    let Some(Refusal { status, code, headers: error_headers }) = socket::refusal(&message) else {
        return Err(Fault::new(Sent::Yes, FaultKind::Cut, "the upstream refused with an error that cannot be read"));
    };
    let code = code.unwrap_or_default();
    if code == "websocket_connection_limit_reached" || chained && code == "previous_response_not_found" {
        return Err(Fault::new(Sent::Yes, FaultKind::Stale, code));
    }
    insert_headers(error_headers, &mut headers);
    Ok(match status {
        Some(status) => Answer { status, headers, body: Body::whole(message) },
        // The stream's reader handles it.
        None => Answer { status: 200, headers, body: Body::from_source(SocketReply::over(events)) },
    })
}

fn not_an_event() -> Fault {
    Fault::new(Sent::Yes, FaultKind::Cut, "the upstream sent a message that is no event")
}

/// Whether the error is a protocol error, not a lost connection.
fn is_protocol_error(error: &tungstenite::Error) -> bool {
    use tungstenite::Error;
    use tungstenite::error::ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::Protocol(error) => !matches!(error, ResetWithoutClosingHandshake),
        Error::Capacity(_) | Error::Utf8(_) => true,
        _ => false,
    }
}

impl Upstream {
    /// Maintains the idle sockets: answers pings, and drops sockets that the other end closed, that are too old, or that were idle for
    /// too long.
    pub fn maintain_sockets(&self) {
        self.socket_pool().maintain();
    }

    /// Closes every idle socket.
    pub fn close_idle_sockets(&self) {
        self.socket_pool().close_idle();
    }

    /// The number of idle sockets.
    pub fn idle_sockets(&self) -> usize {
        self.socket_pool().len()
    }

    /// Whether a socket may be tried for this account now.
    pub(super) fn may_use_socket(&self, account: &AccountId, now: Millis) -> bool {
        self.socket_pool().may_try(account, now)
    }
}
