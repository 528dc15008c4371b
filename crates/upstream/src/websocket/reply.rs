//! A reply over a WebSocket, as the body of an answer: each chunk is one event. A reply with a proper end returns its socket to the
//! pool; any other end closes the socket.

use std::task::{Context, Poll};
use std::vec::IntoIter;

use bytes::Bytes;
use futures_util::StreamExt as _;
use proto::dialect::responses::socket::{EventClass, Record, event};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pool::{Socket, SocketPool};
use super::{close_reason, connection_lost};
use crate::response::{BodyReadError, ByteSource};

/// Most messages that one read skips, so that other tasks get to run.
const READ_MESSAGES: usize = 64;

/// A running reply.
pub(crate) struct SocketReply {
    /// `None` once it is over.
    socket: Option<Socket>,
    recorder: Option<TurnRecorder>,
    /// The events that were received before the reply began, with its first event.
    held: IntoIter<Bytes>,
    /// When bytes arrived that were no event: pings, and parts of a message.
    last_read: Option<Instant>,
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
    Event(Bytes),
    /// A message that does not concern the reply.
    Idle,
    /// Nothing yet.
    Pending,
    /// The reply has ended.
    Ended,
}

impl SocketReply {
    /// A reply whose first events are `held`, the last of them of class `first`.
    pub(crate) fn new(socket: Socket, watch: TurnRecorder, held: Vec<Bytes>, first: EventClass) -> Self {
        let (last, held) = (held.last().cloned(), held.into_iter());
        let mut reply = Self { socket: Some(socket), recorder: Some(watch), held, last_read: None, cut: None };
        if let Some(event) = last {
            reply.record(&event, first);
        }
        reply
    }

    /// The events of a reply that is over already.
    pub(crate) fn over(held: Vec<Bytes>) -> Self {
        Self { socket: None, recorder: None, held: held.into_iter(), last_read: None, cut: None }
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
        match event(&text) {
            Some((event, class)) if self.record(&event, class) => Received::Event(event),
            Some(_) => Received::Ended,
            None => self.fail("a message that is no event".to_owned()),
        }
    }

    /// Records an event. Returns `false` and fails the reply if the event belongs to another response, whose end must not end this one.
    fn record(&mut self, event: &Bytes, class: EventClass) -> bool {
        let outcome = self.recorder.as_mut().map_or(Ok(()), |watch| watch.record.see(event, class));
        if let Err(foreign) = outcome {
            self.fail(foreign.to_string());
            return false;
        }
        match class {
            EventClass::Completed => self.return_socket(),
            EventClass::Incomplete | EventClass::Error => self.socket = None,
            EventClass::OutOfBand | EventClass::Part | EventClass::ItemDone => {}
        }
        true
    }

    /// Records when bytes arrived. The caller knows when an event arrives, and reading the clock again is a cost of each token.
    fn note_read(&mut self, received: &Received) {
        let has_read = self.socket.as_mut().is_some_and(|socket| socket.stream.get_mut().take_read());
        if has_read && !matches!(received, Received::Event(_)) {
            self.last_read = Some(Instant::now());
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
        if let Some(event) = self.held.next() {
            return Poll::Ready(Some(Ok(event)));
        }
        for _ in 0..READ_MESSAGES {
            let received = self.poll_message(cx);
            self.note_read(&received);
            match received {
                Received::Event(event) => return Poll::Ready(Some(Ok(event))),
                Received::Idle => {}
                Received::Pending => return Poll::Pending,
                Received::Ended => return Poll::Ready(self.cut.take().map(Err)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_messages(&self) -> bool {
        true
    }

    /// The bytes of pings and of a partial message count.
    fn last_read(&self) -> Option<Instant> {
        self.last_read
    }
}
