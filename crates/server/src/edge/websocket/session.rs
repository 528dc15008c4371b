//! A WebSocket connection: one reply at a time, a short queue of messages, and a close with a reason.

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

use super::SocketContext;
use super::frames::messages;
use super::metered_stream::MeteredStream;
use super::turn::{self, RunningReply};
use crate::body::BodyError;
use crate::connection::state::Phase;
use crate::guard::Counters;
use crate::response::{Rejection, shutting_down};

/// After a longer message, the frame reader is replaced to free its memory.
const SMALL: usize = 64 << 10;

/// A connection that speaks WebSocket.
pub(super) struct Session {
    context: Arc<SocketContext>,
    socket: WebSocketStream<MeteredStream>,
    activity: Activity,
    /// Messages that arrived while a reply ran, oldest first.
    waiting: VecDeque<Bytes>,
    idle: Pin<Box<Sleep>>,
    /// The timer of a message that is arriving.
    stall: Option<Pin<Box<Sleep>>>,
    /// Whether the last poll polled the client before the reply.
    client_first: bool,
    /// Whether a pong may still wait to be written.
    pong_pending: bool,
    /// Whether messages of the reply may still wait to be written.
    reply_pending: bool,
}

/// The current activity.
enum Activity {
    /// No message is being served.
    None,
    /// A message waits for its reply to begin.
    Opening(Pin<Box<dyn Future<Output = Result<RunningReply, Rejection>> + Send>>),
    /// A reply runs.
    Live(Box<RunningReply>),
}

/// An event of the connection.
enum Event {
    /// A message arrived.
    Message(Bytes),
    /// A reply begins.
    Opened(RunningReply),
    /// A request was rejected, or its reply failed.
    Refused(Rejection),
    /// The next bytes of a reply.
    Reply(Bytes),
    /// A reply has ended.
    ReplyEnded,
    /// The connection ends.
    End(Ending),
}

/// Why a connection ends.
enum Ending {
    /// The client left.
    Gone,
    /// The server stops and cuts a running reply.
    Stop,
    /// The server closes with this code and reason.
    Close(CloseCode, &'static str),
    /// The server sends this rejection and closes with this code.
    Refuse(Box<Rejection>, CloseCode),
}

impl Session {
    pub(super) fn new(context: Arc<SocketContext>, socket: WebSocketStream<MeteredStream>) -> Self {
        let idle = Box::pin(sleep_until(Instant::now() + context.app.limits.socket_idle));
        Self {
            context,
            socket,
            activity: Activity::None,
            waiting: VecDeque::new(),
            idle,
            stall: None,
            client_first: false,
            pong_pending: false,
            reply_pending: false,
        }
    }

    /// Serves until the connection ends.
    pub(super) async fn run(mut self) {
        let leave = loop {
            let step = poll_fn(|cx| self.poll(cx)).await;
            if matches!(&step, Event::Message(body) if body.len() > SMALL) {
                // The pending write must complete before the stream is replaced.
                if self.socket.flush().await.is_err() {
                    break Ending::Gone;
                }
                self = self.renew().await;
            }
            if let Err(leave) = self.handle(step).await {
                break leave;
            }
        };
        // The client may be gone, so write errors do not matter.
        let _ = self.close(leave).await;
        let _ = self.socket.get_mut().shutdown().await;
    }

    /// Replaces the frame reader, which keeps as much memory as its longest message took.
    async fn renew(self) -> Self {
        let socket = super::websocket_stream(self.socket.into_inner(), &self.context).await;
        Self { socket, ..self }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let phase = self.context.connection.phase(cx.waker());
        if phase >= Phase::Abort || phase == Phase::Drain && self.is_free() {
            return Poll::Ready(Event::End(Ending::Stop));
        }
        if self.is_free()
            && let Some(body) = self.waiting.pop_front()
        {
            self.open_reply(body);
        }
        // The client is also polled while a reply runs: pings are answered, and a client that leaves cancels its reply. Client and
        // reply take turns, so that neither starves the other.
        self.client_first = !self.client_first;
        let first = if self.client_first { self.poll_client(cx) } else { self.poll_reply(cx) };
        if first.is_ready() {
            return first;
        }
        let second = if self.client_first { self.poll_reply(cx) } else { self.poll_client(cx) };
        if second.is_ready() { second } else { self.poll_timers(cx).map(Event::End) }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        match &mut self.activity {
            Activity::None => Poll::Pending,
            Activity::Opening(opening) => {
                opening.as_mut().poll(cx).map(|opened| opened.map_or_else(Event::Refused, Event::Opened))
            }
            Activity::Live(running) => match running.poll(cx) {
                Poll::Ready(Ok(bytes)) => Poll::Ready(bytes.map_or(Event::ReplyEnded, Event::Reply)),
                Poll::Ready(Err(rejection)) => Poll::Ready(Event::Refused(rejection)),
                // The messages of one upstream read are one write.
                Poll::Pending => self.poll_write_reply(cx),
            },
        }
    }

    /// Writes the messages of the reply that wait.
    fn poll_write_reply(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if !self.reply_pending {
            return Poll::Pending;
        }
        let written = std::task::ready!(self.socket.poll_flush_unpin(cx));
        self.reply_pending = false;
        if written.is_err() { Poll::Ready(Event::End(Ending::Gone)) } else { Poll::Pending }
    }

    fn is_free(&self) -> bool {
        matches!(self.activity, Activity::None)
    }

    fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            // A pong that is not written yet takes memory, so nothing more is read from a client that does not read.
            if self.pong_pending {
                match std::task::ready!(self.socket.poll_flush_unpin(cx)) {
                    Ok(()) => self.pong_pending = false,
                    Err(error) => return Poll::Ready(Event::End(self.read_failure(&error))),
                }
            }
            let step = match std::task::ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Text(text))) => Event::Message(self.socket.get_mut().take(text.into())),
                Some(Ok(Message::Ping(_))) => {
                    self.pong_pending = true;
                    continue;
                }
                Some(Ok(Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => Event::End(binary()),
                Some(Ok(Message::Close(_))) | None => Event::End(Ending::Gone),
                Some(Err(error)) => Event::End(self.read_failure(&error)),
            };
            return Poll::Ready(step);
        }
    }

    /// Ends the connection if the client was silent for too long.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Some(deadline) = self.socket.get_ref().deadline(self.context.app.limits.body_stall) {
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
        self.idle.as_mut().poll(cx).map(|()| Ending::Close(CloseCode::Away, "idle"))
    }

    async fn handle(&mut self, step: Event) -> Result<(), Ending> {
        let sent = match step {
            Event::Message(body) if self.is_queue_full(&body) => return Err(queue_full()),
            Event::Message(body) => {
                self.waiting.push_back(body);
                Ok(())
            }
            Event::Opened(running) => self.begin(running).await,
            Event::Refused(rejection) if is_unauthenticated(&rejection) => {
                return Err(Ending::Refuse(Box::new(rejection), CloseCode::Policy));
            }
            Event::Refused(rejection) => self.refuse(&rejection).await,
            Event::Reply(lines) => {
                self.reply_pending = true;
                self.feed(messages(lines)).await
            }
            Event::ReplyEnded => {
                self.end_reply();
                self.send(Vec::new()).await
            }
            Event::End(leave) => return Err(leave),
        };
        sent.map_err(|_| Ending::Gone)
    }

    /// Whether the queue is full: the number of messages is limited, and their total size is at most the limit of one message.
    fn is_queue_full(&self, body: &Bytes) -> bool {
        let limits = &self.context.app.limits;
        let held: usize = self.waiting.iter().map(Bytes::len).sum();
        self.waiting.len() >= limits.waiting || (held > 0 && (held + body.len()) as u64 > limits.wire)
    }

    /// Starts the reply to a message.
    fn open_reply(&mut self, body: Bytes) {
        let id = Uuid::new_v4().to_string();
        tracing::debug!(request = %id, peer = %self.context.peer, bytes = body.len(), "asked over WebSocket");
        self.activity = Activity::Opening(Box::pin(turn::run(Arc::clone(&self.context), body, id)));
    }

    async fn begin(&mut self, mut running: RunningReply) -> Result<(), Error> {
        let before = std::mem::take(&mut running.before);
        self.activity = Activity::Live(Box::new(running));
        self.send(before).await
    }

    /// Writes these messages and those that wait.
    async fn send(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        self.feed(messages).await?;
        self.reply_pending = false;
        self.socket.flush().await
    }

    /// Adds messages to those that wait to be written; a full buffer is written first.
    async fn feed(&mut self, messages: Vec<Message>) -> Result<(), Error> {
        for message in messages {
            self.socket.feed(message).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, rejection: &Rejection) -> Result<(), Error> {
        self.end_reply();
        self.socket.send(turn::rejection_message(rejection)).await
    }

    fn end_reply(&mut self) {
        self.activity = Activity::None;
        self.idle.as_mut().reset(Instant::now() + self.context.app.limits.socket_idle);
    }

    async fn close(&mut self, leave: Ending) -> Result<(), Error> {
        let (last, close) = match leave {
            // The reply to a client's close frame is written with the next flush.
            Ending::Gone => (Vec::new(), None),
            Ending::Stop => (self.abort(), Some((CloseCode::Away, "the gateway is shutting down"))),
            Ending::Close(code, reason) => (Vec::new(), Some((code, reason))),
            Ending::Refuse(rejection, code) => (vec![turn::rejection_message(&rejection)], Some((code, ""))),
        };
        // A client may be slow to read the last messages, and must not hold a permit meanwhile.
        self.activity = Activity::None;
        self.waiting.clear();
        self.send(last).await?;
        let Some((code, reason)) = close else { return Ok(()) };
        self.socket.close(Some(CloseFrame { code, reason: reason.into() })).await
    }

    /// Ends the running reply with a failure; one more failure is for all waiting messages.
    fn abort(&mut self) -> Vec<Message> {
        let refusal = || turn::rejection_message(&shutting_down().into());
        let mut last = match &mut self.activity {
            Activity::Live(running) => messages(running.cut(&shutting_down())),
            Activity::Opening(_) => vec![refusal()],
            Activity::None => Vec::new(),
        };
        last.extend((!self.waiting.is_empty()).then(refusal));
        last
    }

    /// How a connection ends after a read error.
    fn read_failure(&self, error: &Error) -> Ending {
        tracing::debug!(%error, "a WebSocket broke");
        match error {
            Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                let failure = Failure::new(
                    Kind::TooLarge,
                    format!("The message is too large; the limit is {} MiB ({max_size} bytes)", max_size >> 20),
                );
                Ending::Refuse(Box::new(failure.into()), CloseCode::Size)
            }
            Error::Utf8(_) => Ending::Close(CloseCode::Invalid, "the message is no UTF-8"),
            Error::Protocol(_) => Ending::Close(CloseCode::Protocol, ""),
            Error::Io(error) if error.kind() == ErrorKind::InvalidData => Ending::Close(CloseCode::Protocol, ""),
            Error::Io(error) => {
                let full = error.get_ref().and_then(|inner| inner.downcast_ref::<BodyError>());
                full.map_or(Ending::Gone, |full| self.over_budget(*full))
            }
            _ => Ending::Gone,
        }
    }

    /// The ending of a connection when the budget of request bodies is used up.
    fn over_budget(&self, broken: BodyError) -> Ending {
        Counters::add(&self.context.app.counters.overloaded);
        Ending::Refuse(Box::new(Failure::from(broken).into()), CloseCode::Again)
    }
}

/// Whether the client's key is no longer valid.
fn is_unauthenticated(rejection: &Rejection) -> bool {
    matches!(rejection.failure.kind, Kind::Unauthorized)
        && rejection.headers.contains_key(http::header::WWW_AUTHENTICATE)
}

fn binary() -> Ending {
    let failure = Failure::new(Kind::Unsupported, "This WebSocket takes text messages only");
    Ending::Refuse(Box::new(failure.into()), CloseCode::Unsupported)
}

fn stalled() -> Ending {
    let failure = Failure::new(Kind::Stalled, "The message stopped arriving");
    Ending::Refuse(Box::new(failure.into()), CloseCode::Policy)
}

fn queue_full() -> Ending {
    let failure = Failure::new(Kind::RateLimited, "Too many messages wait for their turn on this WebSocket");
    Ending::Refuse(Box::new(failure.code("too_many_messages").into()), CloseCode::Policy)
}
