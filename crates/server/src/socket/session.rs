//! A connection's life: one reply after the other, at most one message waiting, and an end that the client can read.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use proto::{Failure, Kind};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use uuid::Uuid;

use super::Seat;
use super::frames::Frames;
use super::turn::{self, Running};
use crate::listen::gate::Gate;
use crate::listen::link::Phase;
use crate::reply::{Denied, shutting_down};

/// A connection that speaks WebSocket.
pub(super) struct Session {
    seat: Arc<Seat>,
    socket: WebSocketStream<Gate>,
    work: Work,
    /// A message that came while a reply ran. Nothing more is read until its turn comes.
    waiting: Option<Bytes>,
    idle: Pin<Box<Sleep>>,
}

/// What is being done.
enum Work {
    /// Nothing.
    None,
    /// A message waits for its reply to begin.
    Opening(Pin<Box<dyn Future<Output = Result<Running, Denied>> + Send>>),
    /// A reply runs.
    Live(Box<(Running, Frames)>),
}

/// What happened.
enum Step {
    /// A message came.
    Asked(Bytes),
    /// A reply begins, or there is none.
    Opened(Result<Running, Denied>),
    /// A reply goes on.
    Said(Bytes),
    /// A reply is over.
    Over,
    /// The connection ends.
    Leave(Leave),
}

/// Why a connection ends.
enum Leave {
    /// The client left.
    Gone,
    /// The server stops; what runs is cut.
    Stop,
    /// With this close code.
    Close(CloseCode, &'static str),
    /// After this refusal.
    Refuse(Box<Denied>, CloseCode),
}

impl Session {
    pub(super) fn new(seat: Arc<Seat>, socket: WebSocketStream<Gate>) -> Self {
        let idle = Box::pin(sleep_until(Instant::now() + seat.app.limits.socket_idle));
        Self { seat, socket, work: Work::None, waiting: None, idle }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(mut self) {
        let leave = loop {
            let sent = match poll_fn(|cx| self.poll(cx)).await {
                Step::Asked(body) => {
                    self.ask(body);
                    Ok(())
                }
                Step::Opened(Ok(running)) => self.begin(running).await,
                Step::Opened(Err(denied)) if is_stranger(&denied) => {
                    break Leave::Refuse(Box::new(denied), CloseCode::Policy);
                }
                Step::Opened(Err(denied)) => self.refuse(&denied).await,
                Step::Said(bytes) => self.say(bytes).await,
                Step::Over => {
                    self.over();
                    Ok(())
                }
                Step::Leave(leave) => break leave,
            };
            if sent.is_err() {
                break Leave::Gone;
            }
        };
        // What does not reach the client any more is nobody's.
        let _ = self.leave(leave).await;
        let _ = self.socket.get_mut().shutdown().await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let phase = self.seat.link.phase(cx.waker());
        let idle = matches!(self.work, Work::None);
        if phase >= Phase::Farewell || phase == Phase::Drain && idle {
            return Poll::Ready(Step::Leave(Leave::Stop));
        }
        let step = match &mut self.work {
            Work::None => self.idle.as_mut().poll(cx).map(|()| Step::Leave(Leave::Close(CloseCode::Away, "idle"))),
            Work::Opening(opening) => opening.as_mut().poll(cx).map(Step::Opened),
            Work::Live(live) => live.0.stream.as_mut().poll_bytes(cx).map(|bytes| bytes.map_or(Step::Over, Step::Said)),
        };
        if step.is_ready() || self.waiting.is_some() {
            return step;
        }
        loop {
            match std::task::ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => return Poll::Ready(Step::Asked(text.into())),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => return Poll::Ready(Step::Leave(binary())),
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(Step::Leave(Leave::Gone)),
                Some(Err(error)) => return Poll::Ready(Step::Leave(broken(&error))),
            }
        }
    }

    /// Serves a message, or lets it wait for its turn.
    fn ask(&mut self, body: Bytes) {
        if !matches!(self.work, Work::None) {
            self.waiting = Some(body);
            return;
        }
        let id = Uuid::new_v4().to_string();
        tracing::debug!(request = %id, peer = %self.seat.link.peer, bytes = body.len(), "asked over WebSocket");
        self.work = Work::Opening(Box::pin(turn::run(Arc::clone(&self.seat), body, id)));
    }

    async fn begin(&mut self, mut running: Running) -> Result<(), Error> {
        for message in std::mem::take(&mut running.before) {
            self.socket.feed(message).await?;
        }
        self.work = Work::Live(Box::new((running, Frames::new())));
        self.socket.flush().await
    }

    /// The messages of one read of the upstream, in one write.
    async fn say(&mut self, bytes: Bytes) -> Result<(), Error> {
        let Work::Live(live) = &mut self.work else { return Ok(()) };
        let mut messages = Vec::new();
        live.1.feed(bytes, |message| messages.push(message));
        for message in messages {
            self.socket.feed(message).await?;
        }
        self.socket.flush().await
    }

    async fn refuse(&mut self, denied: &Denied) -> Result<(), Error> {
        self.socket.send(turn::refusal(denied)).await?;
        self.over();
        Ok(())
    }

    /// The work is done: the message that waits is next.
    fn over(&mut self) {
        self.work = Work::None;
        self.idle.as_mut().reset(Instant::now() + self.seat.app.limits.socket_idle);
        if let Some(body) = self.waiting.take() {
            self.ask(body);
        }
    }

    async fn leave(&mut self, leave: Leave) -> Result<(), Error> {
        let (code, reason) = match leave {
            // The answer to a client's close is written with the next flush.
            Leave::Gone => return self.socket.flush().await,
            Leave::Stop => {
                self.cut().await?;
                (CloseCode::Away, "the gateway is shutting down")
            }
            Leave::Close(code, reason) => (code, reason),
            Leave::Refuse(denied, code) => {
                self.socket.feed(turn::refusal(&denied)).await?;
                (code, "")
            }
        };
        self.work = Work::None;
        self.socket.close(Some(CloseFrame { code, reason: reason.into() })).await
    }

    /// Ends what runs with a failure of its own.
    async fn cut(&mut self) -> Result<(), Error> {
        match &mut self.work {
            Work::Live(live) => {
                let last = live.0.stream.as_mut().cut(&shutting_down());
                self.say(last).await
            }
            Work::Opening(_) => self.socket.send(turn::refusal(&shutting_down().into())).await,
            Work::None if self.waiting.is_some() => self.socket.send(turn::refusal(&shutting_down().into())).await,
            Work::None => Ok(()),
        }
    }
}

/// Whether the client's key is none any more.
fn is_stranger(denied: &Denied) -> bool {
    matches!(denied.failure.kind, Kind::Unauthorized) && denied.headers.contains_key(http::header::WWW_AUTHENTICATE)
}

fn binary() -> Leave {
    let failure = Failure::new(Kind::Unsupported, "This WebSocket takes text messages only");
    Leave::Refuse(Box::new(failure.into()), CloseCode::Unsupported)
}

/// How a connection ends on which no further message can be read.
fn broken(error: &Error) -> Leave {
    tracing::debug!(%error, "a WebSocket broke");
    match error {
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            let failure = Failure::new(Kind::TooLarge, format!("The message is longer than {max_size} bytes"));
            Leave::Refuse(Box::new(failure.into()), CloseCode::Size)
        }
        Error::Utf8(_) => Leave::Close(CloseCode::Invalid, "the message is no UTF-8"),
        Error::Protocol(_) => Leave::Close(CloseCode::Protocol, ""),
        _ => Leave::Gone,
    }
}
