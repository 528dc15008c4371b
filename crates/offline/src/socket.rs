//! `GET /backend-api/codex/responses` as a WebSocket: the upgrade, then one turn after another until one side closes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::StreamExt;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::account::Login;
use crate::answer::{Answer, AnswerBody, AnswerContext, unrecorded};
use crate::call::{Call, bearer, header};
use crate::errors::Reject;
use crate::plan::Plan;
use crate::plan::wire::ConnectionControl;
use crate::record::{EndKind, RequestGuard};
use crate::responses;
use crate::state::{Chain, Shared};

mod create;
mod frame;
mod send;
mod turn;

/// The maximum size of a message and of a frame.
const LARGEST: usize = 64 << 20;
/// The maximum time for the client's close frame after ours.
const PARTING: Duration = Duration::from_secs(5);

/// The answer to the upgrade: 101, or a refusal.
pub(crate) fn upgrade(shared: &Shared, call: &Call, person: &Login) -> Result<Answer, Reject> {
    let has_word = |name, word: &str| {
        let value = header(&call.headers, name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !shared.options.websocket || !has_word("upgrade", "websocket") {
        return Err(Reject::detail(426, "Upgrade Required"));
    }
    // The live backend's texts are not known; these texts are an invention.
    if !has_word("connection", "upgrade") || header(&call.headers, SEC_WEBSOCKET_VERSION.as_str()) != Some("13") {
        return Err(Reject::detail(400, "Not a WebSocket handshake of version 13"));
    }
    let key = header(&call.headers, SEC_WEBSOCKET_KEY.as_str()).unwrap_or_default();
    if BASE64_STANDARD.decode(key).ok().is_none_or(|key| key.len() != 16) {
        return Err(Reject::detail(400, "sec-websocket-key must be 16 bytes in base64"));
    }
    if !header(&call.headers, "openai-beta").is_some_and(|beta| beta.contains("responses_websockets=")) {
        return Err(Reject::detail(400, "openai-beta must name responses_websockets"));
    }
    responses::check_cookies(shared, call, person);
    let mut answer = Answer::empty(101);
    answer.header(CONNECTION.as_str(), "Upgrade");
    answer.header(UPGRADE.as_str(), "websocket");
    answer.header(SEC_WEBSOCKET_ACCEPT.as_str(), &derive_accept_key(key.as_bytes()));
    responses::decorate(&mut answer, &[]);
    if shared.options.cookies {
        responses::cookies(&mut answer, call, person);
    }
    Ok(answer)
}

/// Sends the 101 and runs the socket's session on the connection.
pub(crate) fn accept(answer: Answer, call: &Call, upgrade: OnUpgrade, send: AnswerContext) -> Response<AnswerBody> {
    let AnswerContext { shared, connection: line, guard: visit, .. } = send;
    visit.status(answer.status);
    let peer = Peer {
        connection: line.id,
        address: line.peer,
        path: call.uri.path().to_owned(),
        token: bearer(&call.headers).unwrap_or_default().to_owned(),
        headers: call.headers.clone(),
    };
    line.upgrade(Box::pin(live(upgrade, peer, (Arc::clone(&shared), Arc::clone(&line)), visit)));
    answer.respond(&Plan::auto(), unrecorded(&shared))
}

async fn live(
    upgrade: OnUpgrade,
    peer: Peer,
    (shared, line): (Arc<Shared>, Arc<ConnectionControl>),
    mut visit: RequestGuard,
) {
    let Ok(upgraded) = upgrade.await else { return };
    line.fresh();
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let until = Instant::now() + shared.options.socket_life;
    let mut session = Session { socket, shared, line, peer, until, chain: None, queued: VecDeque::new() };
    let left = session.run().await;
    visit.end(left);
}

/// The client of a socket, with the facts of its upgrade.
struct Peer {
    connection: u64,
    address: Option<std::net::SocketAddr>,
    path: String,
    token: String,
    headers: HeaderMap,
}

/// An open socket.
struct Session {
    socket: WebSocketStream<TokioIo<Upgraded>>,
    shared: Arc<Shared>,
    line: Arc<ConnectionControl>,
    peer: Peer,
    /// The time of the socket's expiry.
    until: Instant,
    /// The chain that the next turn may continue.
    chain: Option<Chain>,
    /// Turns that the client started before the previous turn ended.
    queued: VecDeque<Utf8Bytes>,
}

/// The end of a socket, with its cause.
#[derive(Debug)]
struct SocketEnd(EndKind);

impl From<Error> for SocketEnd {
    /// Reads and writes fail when the client disconnected, or when the plan cut the connection.
    fn from(error: Error) -> Self {
        tracing::debug!(%error, "a socket of the offline backend ended");
        Self(EndKind::Client)
    }
}

impl Session {
    /// Runs one turn after another; returns the cause of the end.
    async fn run(&mut self) -> EndKind {
        loop {
            let turn = match self.next().await {
                Ok(text) => self.turn(text).await,
                Err(gone) => Err(gone),
            };
            if let Err(SocketEnd(left)) = turn {
                return left;
            }
        }
    }

    /// The client's next text message.
    async fn next(&mut self) -> Result<Utf8Bytes, SocketEnd> {
        if let Some(text) = self.queued.pop_front() {
            return Ok(text);
        }
        loop {
            let message = tokio::select! {
                message = self.socket.next() => message,
                () = tokio::time::sleep_until(self.until) => return Err(self.expire().await),
            };
            if let Some(text) = self.read_message(message).await? {
                return Ok(text);
            }
        }
    }

    /// Reads a message; the result is text, nothing, or the end.
    async fn read_message(&mut self, message: Option<Result<Message, Error>>) -> Result<Option<Utf8Bytes>, SocketEnd> {
        match message {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            // The live backend's reaction is not known; RFC 6455 has a code for this case.
            Some(Ok(Message::Binary(_))) => Err(self.close(CloseCode::Unsupported).await),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
            Some(Ok(Message::Close(_))) => {
                // The library has queued the answer; the next read is the end.
                while self.socket.next().await.is_some_and(|message| message.is_ok()) {}
                Err(SocketEnd(EndKind::Client))
            }
            Some(Err(error)) => Err(error.into()),
            None => Err(SocketEnd(EndKind::Client)),
        }
    }

    /// Closes with a code and waits for the client's close.
    async fn close(&mut self, code: CloseCode) -> SocketEnd {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
        if self.socket.close(Some(frame)).await.is_ok() {
            let silence = async { while self.socket.next().await.is_some_and(|message| message.is_ok()) {} };
            // A client that does not answer the close is dropped.
            let _ = tokio::time::timeout(PARTING, silence).await;
        }
        SocketEnd(EndKind::Cut)
    }

    /// Sends the connection limit error and closes the socket.
    async fn expire(&mut self) -> SocketEnd {
        let words = frame::refusal(&Answer::empty(200).apply_plan(&Plan::connection_limit(), &self.shared));
        match self.send_message(words).await {
            Ok(()) => self.close(CloseCode::Normal).await,
            Err(gone) => gone,
        }
    }
}
