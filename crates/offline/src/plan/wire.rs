//! The TCP stream under HTTP. It can cut an answer at a byte, replace the answer by raw bytes, or reset the connection.
//!
//! hyper writes through [`ControlledStream`]; a request's handler gives orders through the [`ConnectionControl`] of its connection.
//! An order to end the connection takes effect after the peer has received all earlier bytes, so that the peer sees exactly the
//! planned bytes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::plan::Idle;

/// The kind of an early end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Termination {
    /// TCP reset (`SO_LINGER` 0).
    Reset,
    /// TCP FIN without the end of the HTTP body, or without a close frame.
    Fin,
    /// The HTTP body ends properly but early; a socket is closed with 1000.
    End,
    /// A socket is closed with this code; over HTTP the same as `fin`.
    Close {
        /// For example 1011; 1006 ends the connection without a close frame.
        code: u16,
    },
    /// A `response.failed` event, then the proper end.
    Failed {
        /// For example `server_error`.
        code: String,
        /// The message for people.
        message: String,
    },
    /// A `response.incomplete` event, then the proper end.
    Incomplete {
        /// `max_output_tokens` or `content_filter`.
        reason: String,
    },
}

/// The fault of a connection right after the accept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionFault {
    /// Reset before the first byte is read.
    Reset,
    /// Closed before the first byte is read.
    Close,
    /// Held open without an answer.
    Silence,
    /// These bytes instead of HTTP, then closed.
    Bytes(crate::plan::Blob),
}

/// Orders for one connection, shared by its requests and its socket.
pub(crate) struct ConnectionControl {
    pub(crate) id: u64,
    /// The client's address.
    pub(crate) peer: Option<SocketAddr>,
    orders: Mutex<ConnectionOrders>,
    /// The WebSocket task that takes over after the HTTP answer.
    upgrade: Mutex<Option<Socket>>,
}

/// The task of a WebSocket.
type Socket = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct ConnectionOrders {
    /// Written before hyper's next byte.
    preface: Bytes,
    /// Written instead of hyper's bytes; the connection ends after the last piece.
    raw: Option<Vec<(Duration, Bytes)>>,
    /// The number of bytes that may still be sent, and the kind of end after them.
    budget: Option<(u64, Termination)>,
    /// Ends the connection after the next flush.
    end: Option<Termination>,
    /// Ends the connection after the answer.
    idle: Option<Idle>,
    answered: bool,
}

impl ConnectionControl {
    pub(crate) fn new(id: u64, peer: Option<SocketAddr>) -> Arc<Self> {
        Arc::new(Self { id, peer, orders: Mutex::default(), upgrade: Mutex::default() })
    }

    /// Sets the WebSocket task that takes over after the HTTP answer.
    pub(crate) fn upgrade(&self, socket: Socket) {
        *self.upgrade.lock() = Some(socket);
    }

    /// Takes the WebSocket task, if the answer was an upgrade.
    pub(crate) fn upgraded(&self) -> Option<Socket> {
        self.upgrade.lock().take()
    }

    /// Clears the orders of the previous request.
    pub(crate) fn fresh(&self) {
        *self.orders.lock() = ConnectionOrders::default();
    }

    pub(crate) fn preface(&self, bytes: Bytes) {
        self.orders.lock().preface = bytes;
    }

    pub(crate) fn raw(&self, steps: Vec<(Duration, Bytes)>) {
        self.orders.lock().raw = Some(steps);
    }

    pub(crate) fn budget(&self, bytes: u64, how: Termination) {
        self.orders.lock().budget = Some((bytes, how));
    }

    /// Ends the connection after the buffered bytes are flushed. The caller then stays pending.
    pub(crate) fn end_connection(&self, how: Termination) {
        self.orders.lock().end = Some(how);
    }

    pub(crate) fn idle(&self, idle: Idle) {
        self.orders.lock().idle = Some(idle);
    }

    /// Records that hyper has the answer's last byte.
    pub(crate) fn answered(&self) {
        self.orders.lock().answered = true;
    }
}

/// A TCP stream that follows the orders of its [`ConnectionControl`].
pub(crate) struct ControlledStream {
    tcp: TcpStream,
    line: Arc<ConnectionControl>,
    names: Option<(SocketAddr, SocketAddr)>,
    state: StreamState,
}

enum StreamState {
    Open,
    /// Writing raw steps: the remaining steps, the current bytes, and the wait before them.
    Raw {
        steps: std::vec::IntoIter<(Duration, Bytes)>,
        now: Bytes,
        wait: Option<Pin<Box<Sleep>>>,
    },
    /// Waiting until the peer has acknowledged all bytes.
    Draining {
        how: Termination,
        wait: Pin<Box<Sleep>>,
        rounds: u32,
    },
    Ended,
}

/// 5 s at one millisecond each; then the connection is cut even if the peer does not read.
const DRAIN_ROUNDS: u32 = 5_000;
const DRAIN_STEP: Duration = Duration::from_millis(1);

impl ControlledStream {
    pub(crate) fn new(tcp: TcpStream, line: Arc<ConnectionControl>) -> Self {
        let names = tcp.local_addr().and_then(|local| Ok((local, tcp.peer_addr()?))).ok();
        Self { tcp, line, names, state: StreamState::Open }
    }

    /// Executes the orders; `Ready(Ok)` means that no order is pending.
    fn follow(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.state {
                StreamState::Open => {
                    let mut orders = self.line.orders.lock();
                    if let Some(how) = orders.end.take() {
                        drop(orders);
                        self.drain(how);
                    } else if let Some(steps) = orders.raw.take() {
                        drop(orders);
                        self.state = StreamState::Raw { steps: steps.into_iter(), now: Bytes::new(), wait: None };
                    } else {
                        return Poll::Ready(Ok(()));
                    }
                }
                StreamState::Raw { steps, now, wait } => {
                    if let Some(sleep) = wait {
                        ready!(sleep.as_mut().poll(cx));
                        *wait = None;
                    }
                    if now.has_remaining() {
                        let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, now))?;
                        now.advance(sent);
                    } else if let Some((time, bytes)) = steps.next() {
                        *wait = (!time.is_zero()).then(|| Box::pin(tokio::time::sleep(time)));
                        *now = bytes;
                    } else {
                        self.drain(Termination::Fin);
                    }
                }
                StreamState::Draining { wait, rounds, how } => {
                    ready!(wait.as_mut().poll(cx));
                    let left = self.names.and_then(|(local, peer)| unsent(local, peer)).unwrap_or(0);
                    if left > 0 && *rounds < DRAIN_ROUNDS {
                        *rounds += 1;
                        *wait = Box::pin(tokio::time::sleep(DRAIN_STEP));
                        continue;
                    }
                    let reset = *how == Termination::Reset;
                    self.state = StreamState::Ended;
                    return Poll::Ready(Err(self.finish(reset)));
                }
                StreamState::Ended => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            }
        }
    }

    fn drain(&mut self, how: Termination) {
        self.state = StreamState::Draining { how, wait: Box::pin(tokio::time::sleep(Duration::ZERO)), rounds: 0 };
    }

    /// The error that makes hyper drop the connection, which closes it.
    fn finish(&mut self, reset: bool) -> io::Error {
        if reset && let Err(error) = socket2::SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO)) {
            return error;
        }
        io::ErrorKind::ConnectionAborted.into()
    }

    /// Writes the bytes that must precede hyper's bytes.
    fn preface(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut preface = self.line.orders.lock().preface.clone();
            if preface.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(Pin::new(&mut self.tcp).poll_write(cx, &preface))?;
            preface.advance(sent);
            self.line.orders.lock().preface = preface;
        }
    }
}

impl AsyncRead for ControlledStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !matches!(this.state, StreamState::Open) {
            return Poll::Pending;
        }
        let idle = {
            let orders = this.line.orders.lock();
            orders.idle.filter(|_| orders.answered)
        };
        match idle {
            Some(Idle::Close) => Poll::Ready(Ok(())),
            Some(Idle::ResetNext) => {
                ready!(this.tcp.poll_read_ready(cx))?;
                this.state = StreamState::Ended;
                Poll::Ready(Err(this.finish(true)))
            }
            None => Pin::new(&mut this.tcp).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ControlledStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let swallow = {
            let orders = this.line.orders.lock();
            orders.raw.is_some() || matches!(this.state, StreamState::Raw { .. })
        };
        if swallow {
            return Poll::Ready(Ok(buf.len()));
        }
        if !matches!(this.state, StreamState::Open) {
            ready!(this.follow(cx))?;
        }
        ready!(this.preface(cx))?;
        let budget = this.line.orders.lock().budget.clone();
        let Some((left, how)) = budget else {
            return Pin::new(&mut this.tcp).poll_write(cx, buf);
        };
        if left == 0 {
            this.drain(how.clone());
            ready!(this.follow(cx))?;
        }
        let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let sent = ready!(Pin::new(&mut this.tcp).poll_write(cx, &buf[..most]))?;
        this.line.orders.lock().budget = Some((left - sent as u64, how));
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.follow(cx))?;
        ready!(this.preface(cx))?;
        Pin::new(&mut this.tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.state, StreamState::Raw { .. }) {
            ready!(this.follow(cx))?;
        }
        Pin::new(&mut this.tcp).poll_shutdown(cx)
    }
}

/// The number of bytes of this connection that the peer has not acknowledged, from the system's table (Linux, IPv4).
fn unsent(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let (local, peer) = (format!(":{:04X}", local.port()), format!(":{:04X}", peer.port()));
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let ours = words.next()?.ends_with(&local) && words.next()?.ends_with(&peer);
        let queue = words.nth(1)?;
        ours.then(|| u64::from_str_radix(queue.split(':').next()?, 16).ok()).flatten()
    })
}
