//! A connection's life: one reply after the other, few messages waiting, and an end that the client can read.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
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
use super::meter::Meter;
use super::turn::{self, Running};
use crate::body::Broken;
use crate::connection::state::Phase;
use crate::guard::Counters;
use crate::reply::{Denied, shutting_down};

/// A message that is longer leaves no memory behind where it was put together.
const SMALL: usize = 64 << 10;

/// A connection that speaks WebSocket.
pub(super) struct Session {
    seat: Arc<Seat>,
    socket: WebSocketStream<Meter>,
    work: Work,
    /// Messages that came while a reply ran, oldest first.
    waiting: VecDeque<Bytes>,
    idle: Pin<Box<Sleep>>,
    /// Runs while a message arrives.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether the client was looked at before the reply the last time.
    listens: bool,
    /// Whether a pong may not be written yet.
    pinged: bool,
}

/// What is being done.
enum Work {
    /// Nothing.
    None,
    /// A message waits for its reply to begin.
    Opening(Pin<Box<dyn Future<Output = Result<Running, Denied>> + Send>>),
    /// A reply runs.
    Live(Box<Live>),
}

/// A reply, and its events on their way into messages.
struct Live(Running, Frames);

impl Live {
    /// The messages in bytes of the reply.
    fn messages(&mut self, bytes: Bytes) -> Vec<Message> {
        let mut messages = Vec::new();
        self.1.feed(bytes, |message| messages.push(message));
        messages
    }
}

/// What happened.
enum Step {
    /// A message came.
    Heard(Bytes),
    /// A reply begins.
    Opened(Running),
    /// There is no reply, or no more of it.
    Refused(Denied),
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
    pub(super) fn new(seat: Arc<Seat>, socket: WebSocketStream<Meter>) -> Self {
        let idle = Box::pin(sleep_until(Instant::now() + seat.app.limits.socket_idle));
        Self {
            seat,
            socket,
            work: Work::None,
            waiting: VecDeque::new(),
            idle,
            stall: None,
            listens: false,
            pinged: false,
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(mut self) {
        let leave = loop {
            let step = poll_fn(|cx| self.poll(cx)).await;
            if matches!(&step, Step::Heard(body) if body.len() > SMALL) {
                // What is written must be whole before another writes.
                if self.socket.flush().await.is_err() {
                    break Leave::Gone;
                }
                self = self.renew().await;
            }
            if let Err(leave) = self.take(step).await {
                break leave;
            }
        };
        // What does not reach the client any more is nobody's.
        let _ = self.leave(leave).await;
        let _ = self.socket.get_mut().shutdown().await;
    }

    /// The same with a reader of frames that holds nothing: it keeps as much memory as its longest message took.
    async fn renew(self) -> Self {
        let socket = super::socket(self.socket.into_inner(), &self.seat).await;
        Self { socket, ..self }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let phase = self.seat.link.phase(cx.waker());
        if phase >= Phase::Farewell || phase == Phase::Drain && self.is_free() {
            return Poll::Ready(Step::Leave(Leave::Stop));
        }
        if self.is_free()
            && let Some(body) = self.waiting.pop_front()
        {
            self.ask(body);
        }
        // Also while a reply runs and others wait: a ping is answered, and a client that leaves takes its reply with it. They take
        // turns: a reply that is always ready must not hide the client, nor the client its reply.
        self.listens = !self.listens;
        let first = if self.listens { self.hear(cx) } else { self.work(cx) };
        if first.is_ready() {
            return first;
        }
        let second = if self.listens { self.work(cx) } else { self.hear(cx) };
        if second.is_ready() { second } else { self.time(cx).map(Step::Leave) }
    }

    fn work(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match &mut self.work {
            Work::None => Poll::Pending,
            Work::Opening(opening) => {
                opening.as_mut().poll(cx).map(|opened| opened.map_or_else(Step::Refused, Step::Opened))
            }
            Work::Live(live) => live.0.poll(cx).map(|said| match said {
                Ok(bytes) => bytes.map_or(Step::Over, Step::Said),
                Err(denied) => Step::Refused(denied),
            }),
        }
    }

    fn is_free(&self) -> bool {
        matches!(self.work, Work::None)
    }

    fn hear(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            // A pong that is not written yet waits in memory: whoever does not read them is not read either.
            if self.pinged {
                match std::task::ready!(self.socket.poll_flush_unpin(cx)) {
                    Ok(()) => self.pinged = false,
                    Err(error) => return Poll::Ready(Step::Leave(self.broken(&error))),
                }
            }
            let step = match std::task::ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => Step::Heard(self.socket.get_mut().take(text.into())),
                Some(Ok(Message::Ping(_))) => {
                    self.pinged = true;
                    continue;
                }
                Some(Ok(Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => Step::Leave(binary()),
                Some(Ok(Message::Close(_))) | None => Step::Leave(Leave::Gone),
                Some(Err(error)) => Step::Leave(self.broken(&error)),
            };
            return Poll::Ready(step);
        }
    }

    /// Whether a client has said nothing for too long.
    fn time(&mut self, cx: &mut Context<'_>) -> Poll<Leave> {
        if let Some(deadline) = self.socket.get_ref().deadline(self.seat.app.limits.body_stall) {
            let timer = self.stall.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            return timer.as_mut().poll(cx).map(|()| stalled());
        }
        self.stall = None;
        if !self.is_free() {
            return Poll::Pending;
        }
        self.idle.as_mut().poll(cx).map(|()| Leave::Close(CloseCode::Away, "idle"))
    }

    async fn take(&mut self, step: Step) -> Result<(), Leave> {
        let sent = match step {
            Step::Heard(body) if self.is_crowded(&body) => return Err(crowded()),
            Step::Heard(body) => {
                self.waiting.push_back(body);
                Ok(())
            }
            Step::Opened(running) => self.begin(running).await,
            Step::Refused(denied) if is_stranger(&denied) => {
                return Err(Leave::Refuse(Box::new(denied), CloseCode::Policy));
            }
            Step::Refused(denied) => self.refuse(&denied).await,
            Step::Said(bytes) => self.say(bytes).await,
            Step::Over => {
                self.over();
                Ok(())
            }
            Step::Leave(leave) => return Err(leave),
        };
        sent.map_err(|_| Leave::Gone)
    }

    /// Whether one more message is too much: their number is bounded, and together they are no more than one may be.
    fn is_crowded(&self, body: &Bytes) -> bool {
        let limits = &self.seat.app.limits;
        let held: usize = self.waiting.iter().map(Bytes::len).sum();
        self.waiting.len() >= limits.waiting || (held > 0 && (held + body.len()) as u64 > limits.wire)
    }

    /// Serves a message.
    fn ask(&mut self, body: Bytes) {
        let id = Uuid::new_v4().to_string();
        tracing::debug!(request = %id, peer = %self.seat.peer, bytes = body.len(), "asked over WebSocket");
        self.work = Work::Opening(Box::pin(turn::run(Arc::clone(&self.seat), body, id)));
    }

    async fn begin(&mut self, mut running: Running) -> Result<(), Error> {
        let before = std::mem::take(&mut running.before);
        self.work = Work::Live(Box::new(Live(running, Frames::new())));
        self.send(before).await
    }

    /// The messages of one read of the upstream, in one write.
    async fn say(&mut self, bytes: Bytes) -> Result<(), Error> {
        let Work::Live(live) = &mut self.work else { return Ok(()) };
        let messages = live.messages(bytes);
        self.send(messages).await
    }

    async fn send(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        for message in messages {
            self.socket.feed(message).await?;
        }
        self.socket.flush().await
    }

    async fn refuse(&mut self, denied: &Denied) -> Result<(), Error> {
        self.over();
        self.socket.send(turn::refusal(denied)).await
    }

    fn over(&mut self) {
        self.work = Work::None;
        self.idle.as_mut().reset(Instant::now() + self.seat.app.limits.socket_idle);
    }

    async fn leave(&mut self, leave: Leave) -> Result<(), Error> {
        let (last, close) = match leave {
            // The answer to a client's close is written with the next flush.
            Leave::Gone => (Vec::new(), None),
            Leave::Stop => (self.cut(), Some((CloseCode::Away, "the gateway is shutting down"))),
            Leave::Close(code, reason) => (Vec::new(), Some((code, reason))),
            Leave::Refuse(denied, code) => (vec![turn::refusal(&denied)], Some((code, ""))),
        };
        // A client may take its time to read this, and holds no place meanwhile.
        self.work = Work::None;
        self.waiting.clear();
        self.send(last).await?;
        let Some((code, reason)) = close else { return Ok(()) };
        self.socket.close(Some(CloseFrame { code, reason: reason.into() })).await
    }

    /// Ends what runs with a failure of its own, and what waits with one for all.
    fn cut(&mut self) -> Vec<Message> {
        let refusal = || turn::refusal(&shutting_down().into());
        let mut last = match &mut self.work {
            Work::Live(live) => {
                let bytes = live.0.stream.as_mut().cut(&shutting_down());
                live.messages(bytes)
            }
            Work::Opening(_) => vec![refusal()],
            Work::None => Vec::new(),
        };
        last.extend((!self.waiting.is_empty()).then(refusal));
        last
    }

    /// How a connection ends on which no further message can be read.
    fn broken(&self, error: &Error) -> Leave {
        tracing::debug!(%error, "a WebSocket broke");
        match error {
            Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                let failure = Failure::new(
                    Kind::TooLarge,
                    format!("The message is too large; the limit is {} MiB ({max_size} bytes)", max_size >> 20),
                );
                Leave::Refuse(Box::new(failure.into()), CloseCode::Size)
            }
            Error::Utf8(_) => Leave::Close(CloseCode::Invalid, "the message is no UTF-8"),
            Error::Protocol(_) => Leave::Close(CloseCode::Protocol, ""),
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => Leave::Close(CloseCode::Protocol, ""),
            Error::Io(error) => {
                let full = error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>());
                full.map_or(Leave::Gone, |full| self.full(*full))
            }
            _ => Leave::Gone,
        }
    }

    /// What arrives has no room among the bodies of others.
    fn full(&self, broken: Broken) -> Leave {
        Counters::add(&self.seat.app.counters.overloaded);
        Leave::Refuse(Box::new(Failure::from(broken).into()), CloseCode::Again)
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

fn stalled() -> Leave {
    let failure = Failure::new(Kind::Stalled, "The message stopped arriving");
    Leave::Refuse(Box::new(failure.into()), CloseCode::Policy)
}

fn crowded() -> Leave {
    let failure = Failure::new(Kind::RateLimited, "Too many messages wait for their turn on this WebSocket");
    Leave::Refuse(Box::new(failure.code("too_many_messages").into()), CloseCode::Policy)
}
