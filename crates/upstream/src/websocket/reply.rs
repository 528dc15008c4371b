//! A reply over a WebSocket, as the body of an answer: each read returns the received events, one per line. A reply with a proper end
//! returns its socket to the pool; any other end closes the socket.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use proto::dialect::responses::socket::{EventClass, Record, append};
use proto::framing::Framing;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pool::{Socket, SocketPool};
use super::{close_reason, connection_lost};
use crate::response::{BodyReadError, ByteSource};

/// Most messages of one read, so that other tasks get to run.
const READ_MESSAGES: usize = 64;
/// Bytes after which a read returns.
const READ_BYTES: usize = 64 << 10;

/// A running reply.
pub(crate) struct SocketReply {
    /// `None` once it is over.
    socket: Option<Socket>,
    recorder: Option<TurnRecorder>,
    /// Events that were received and not yet read.
    buffered: BytesMut,
    /// The error for the read after the last bytes.
    cut: Option<BodyReadError>,
}

/// Records the response for the next turn.
pub(crate) struct TurnRecorder {
    record: Record,
    sockets: SocketPool,
}

impl TurnRecorder {
    pub(crate) fn new(record: Record, pool: SocketPool) -> Self {
        Self { record, sockets: pool }
    }
}

/// The result of polling the socket once.
enum Received {
    /// An event.
    Event,
    /// A message that does not concern the reply.
    Idle,
    /// Nothing yet.
    Pending,
    /// The reply has ended.
    Ended,
}

impl SocketReply {
    /// A reply whose first messages are in `held`, the last of them `first`.
    pub(crate) fn new(socket: Socket, watch: TurnRecorder, held: BytesMut, first: (&Bytes, EventClass)) -> Self {
        let mut reply = Self { socket: Some(socket), recorder: Some(watch), buffered: held, cut: None };
        reply.record(first.0, first.1);
        reply
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Received {
        let Some(socket) = &mut self.socket else { return Received::Ended };
        let message = match socket.stream.poll_next_unpin(cx) {
            Poll::Pending => return Received::Pending,
            Poll::Ready(message) => message,
        };
        let text = match message {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Received::Idle,
            Some(Ok(Message::Close(frame))) => return self.fail(close_reason(frame.as_ref())),
            Some(Ok(Message::Binary(_))) => return self.fail("a binary message".to_owned()),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => {
                return self.fail("the socket was closed".to_owned());
            }
            Some(Err(error)) => return self.fail(connection_lost(&error)),
        };
        match append(&text, &mut self.buffered) {
            Some(class) => self.record(&text, class),
            None => return self.fail("a message that is no event".to_owned()),
        }
        Received::Event
    }

    /// Records an event; its frame is buffered already.
    fn record(&mut self, message: &Bytes, class: EventClass) {
        let outcome = self.recorder.as_mut().map_or(Ok(()), |watch| watch.record.see(message, class));
        if let Err(foreign) = outcome {
            // The event belongs to another response, and its frame must not end this reply.
            self.buffered.clear();
            self.fail(foreign.to_string());
            return;
        }
        match class {
            EventClass::Completed => self.return_socket(),
            EventClass::Incomplete | EventClass::Error => self.socket = None,
            EventClass::OutOfBand | EventClass::Part | EventClass::ItemDone => {}
        }
    }

    fn return_socket(&mut self) {
        let (Some(mut socket), Some(watch)) = (self.socket.take(), self.recorder.take()) else { return };
        socket.chain = watch.record.chain();
        watch.sockets.put(socket);
    }

    fn fail(&mut self, why: String) -> Received {
        self.socket = None;
        self.cut = Some(BodyReadError::Broken(why));
        Received::Ended
    }
}

impl ByteSource for SocketReply {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyReadError>>> {
        let mut pending = false;
        for _ in 0..READ_MESSAGES {
            if self.buffered.len() >= READ_BYTES {
                break;
            }
            match self.poll_message(cx) {
                Received::Event | Received::Idle => {}
                Received::Pending => {
                    pending = true;
                    break;
                }
                Received::Ended => break,
            }
        }
        if !self.buffered.is_empty() {
            return Poll::Ready(Some(Ok(self.buffered.split().freeze())));
        }
        if self.socket.is_none() {
            return Poll::Ready(self.cut.take().map(Err));
        }
        if !pending {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn framing(&self) -> Framing {
        Framing::Lines
    }

    /// The bytes of pings and of a partial message count; `None` once the reply has ended.
    fn last_read(&self) -> Option<Instant> {
        self.socket.as_ref().map(|socket| socket.stream.get_ref().last_read())
    }
}
