//! A reply that comes over a socket, as the body of an answer: each read gives the events that have come, as frames of an event
//! stream. A reply that ends as it should puts its socket back; any other end closes it.

use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use proto::dialect::responses::socket::{Record, Said, wrap};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::pool::{Shelf, Socket};
use super::{farewell, lost};
use crate::response::{ByteSource, Cut};

/// Messages of one read, so that a flood leaves others their turn.
const MOST: usize = 64;
/// Bytes of one read after which it is handed on.
const ENOUGH: usize = 64 << 10;

/// A reply under way.
pub(crate) struct Reply {
    /// `None` once it is over.
    socket: Option<Socket>,
    watch: Option<Watch>,
    /// What came and was not read yet.
    held: BytesMut,
    /// Why it broke off, for the read after the last bytes.
    cut: Option<Cut>,
}

/// Learns what the next turn may rely on.
pub(crate) struct Watch {
    record: Record,
    shelf: Shelf,
}

impl Watch {
    pub(crate) fn new(record: Record, shelf: Shelf) -> Self {
        Self { record, shelf }
    }
}

/// What one look at the socket came to.
enum Look {
    /// An event.
    Event,
    /// Nothing that concerns the reply.
    Idle,
    /// Nothing yet.
    Pending,
    /// No more comes.
    Over,
}

impl Reply {
    /// A reply whose first messages lie in `held`, the last of them `first`.
    pub(crate) fn new(socket: Socket, watch: Watch, held: BytesMut, first: (&Bytes, Said)) -> Self {
        let mut reply = Self { socket: Some(socket), watch: Some(watch), held, cut: None };
        reply.see(first.0, first.1);
        reply
    }

    fn look(&mut self, cx: &mut Context<'_>) -> Look {
        let Some(socket) = &mut self.socket else { return Look::Over };
        let message = match socket.stream.poll_next_unpin(cx) {
            Poll::Pending => return Look::Pending,
            Poll::Ready(message) => message,
        };
        let text = match message {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return Look::Idle,
            Some(Ok(Message::Close(frame))) => return self.broken(farewell(frame.as_ref())),
            Some(Ok(Message::Binary(_))) => return self.broken("a binary message".to_owned()),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => {
                return self.broken("the socket was closed".to_owned());
            }
            Some(Err(error)) => return self.broken(lost(&error)),
        };
        match wrap(&text, &mut self.held) {
            Some(said) => self.see(&text, said),
            None => return self.broken("a message that is no event".to_owned()),
        }
        Look::Event
    }

    /// Notes an event; its frame is held already.
    fn see(&mut self, message: &Bytes, said: Said) {
        let seen = self.watch.as_mut().map_or(Ok(()), |watch| watch.record.see(message, said));
        if let Err(foreign) = seen {
            // Its frame must not end the reply: it is another's.
            self.held.clear();
            self.broken(foreign.to_string());
            return;
        }
        match said {
            Said::End => self.end(),
            Said::Short | Said::Error => self.socket = None,
            Said::Aside | Said::Part | Said::Item => {}
        }
    }

    fn end(&mut self) {
        let (Some(mut socket), Some(watch)) = (self.socket.take(), self.watch.take()) else { return };
        socket.chain = watch.record.chain();
        watch.shelf.put(socket);
    }

    fn broken(&mut self, why: String) -> Look {
        self.socket = None;
        self.cut = Some(Cut::Broken(why));
        Look::Over
    }
}

impl ByteSource for Reply {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let mut pending = false;
        for _ in 0..MOST {
            if self.held.len() >= ENOUGH {
                break;
            }
            match self.look(cx) {
                Look::Event | Look::Idle => {}
                Look::Pending => {
                    pending = true;
                    break;
                }
                Look::Over => break,
            }
        }
        if !self.held.is_empty() {
            return Poll::Ready(Some(Ok(self.held.split().freeze())));
        }
        if self.socket.is_none() {
            return Poll::Ready(self.cut.take().map(Err));
        }
        if !pending {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// The bytes of pings and of a message under way count; `None` once the reply has ended.
    fn last_read(&self) -> Option<Instant> {
        self.socket.as_ref().map(|socket| socket.stream.get_ref().last_read())
    }
}
