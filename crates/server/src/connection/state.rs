//! The state of one connection, shared between its stream, its driver and its requests.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::head::HeadError;
use super::signal::StreamSignal;
use crate::forwarded::ClientPermit;

/// Facts and signals of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The address of the remote end.
    pub(crate) peer: IpAddr,
    /// The address to which the client connected: an address of one of this machine's interfaces.
    pub(crate) local: SocketAddr,
    /// Whether the listener is bound to a loopback address.
    pub(crate) loopback: bool,
    /// The kind of the connection's listener.
    pub(crate) listener: ListenerKind,
    phase: AtomicU8,
    refused: AtomicU8,
    last: AtomicBool,
    multiplexed: AtomicBool,
    upgraded: AtomicBool,
    waker: AtomicWaker,
    streams: Mutex<Vec<Weak<StreamSignal>>>,
    /// The tasks of the connection's HTTP/2 streams. While a client reads nothing, only an abort ends such a task.
    tasks: Mutex<Vec<AbortHandle>>,
    /// The permit of an upgraded connection's client address.
    permit: OnceLock<ClientPermit>,
    upgrade_task: Mutex<PendingUpgrade>,
}

/// The connection's work after an upgrade.
type UpgradeTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The work after an upgrade, until it is taken.
#[derive(Default)]
struct PendingUpgrade(Option<UpgradeTask>);

impl std::fmt::Debug for PendingUpgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Later")
    }
}

/// The kind of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListenerKind {
    /// The gateway's own API and its administration.
    Gateway,
    /// Ollama's API.
    Ollama,
}

/// The phase of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The connection serves requests.
    Open,
    /// The connection finishes its running requests.
    Drain,
    /// The connection's streams end now, each with a failure in the stream's protocol.
    Abort,
    /// The connection is dropped.
    Dead,
}

impl ConnectionState {
    /// The state of a new connection.
    pub(crate) fn new(peer: IpAddr, local: SocketAddr, (private, listener): (bool, ListenerKind)) -> Self {
        Self {
            peer: peer.to_canonical(),
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            loopback: private,
            listener,
            phase: AtomicU8::new(0),
            refused: AtomicU8::new(0),
            last: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            streams: Mutex::default(),
            tasks: Mutex::default(),
            permit: OnceLock::new(),
            upgrade_task: Mutex::default(),
        }
    }

    /// The current phase; the waker is woken when it changes.
    pub(crate) fn phase(&self, waker: &Waker) -> Phase {
        self.waker.register(waker);
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Drain,
            2 => Phase::Abort,
            _ => Phase::Dead,
        }
    }

    /// Advances to `phase`; a connection never returns to an earlier phase.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.waker.wake();
        if phase == Phase::Abort {
            self.live_streams().iter().for_each(|stream| stream.finish());
        }
    }

    /// Marks the next request as the replacement of a refused head.
    pub(crate) fn refuse(&self, why: HeadError) {
        self.refused.store(if why == HeadError::TooLarge { 2 } else { 1 }, Ordering::Release);
        self.close_after_response();
    }

    /// Why the head was refused, if it was.
    pub(crate) fn refused(&self) -> Option<HeadError> {
        match self.refused.load(Ordering::Acquire) {
            0 => None,
            1 => Some(HeadError::Malformed),
            _ => Some(HeadError::TooLarge),
        }
    }

    /// Makes the current request the last one.
    pub(crate) fn close_after_response(&self) {
        self.last.store(true, Ordering::Release);
    }

    /// Whether the current request is the last one.
    pub(crate) fn closes_after_response(&self) -> bool {
        self.last.load(Ordering::Acquire)
    }

    /// Records that the connection speaks HTTP/2.
    pub(crate) fn set_http2(&self) {
        self.multiplexed.store(true, Ordering::Release);
    }

    /// Sets the work after the response to the current request. The client's bytes after the request's head are not HTTP.
    pub(crate) fn upgrade(&self, socket: UpgradeTask) {
        self.upgrade_task.lock().0 = Some(socket);
        self.upgraded.store(true, Ordering::Release);
    }

    /// Whether the connection speaks another protocol than HTTP after the current request.
    pub(crate) fn upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// Takes the work after an upgrade.
    pub(crate) fn take_upgrade(&self) -> Option<UpgradeTask> {
        self.upgrade_task.lock().0.take()
    }

    /// Holds a permit until the connection ends.
    pub(crate) fn hold(&self, place: ClientPermit) {
        let _ = self.permit.set(place);
    }

    /// Tracks a streamed body, so that the connection can end it.
    pub(crate) fn track(&self, stream: &Arc<StreamSignal>) {
        let mut streams = self.streams.lock();
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(stream));
        drop(streams);
        if self.phase.load(Ordering::Acquire) >= Phase::Abort as u8 {
            stream.finish();
        }
    }

    /// Tracks the task of an HTTP/2 stream.
    pub(crate) fn track_task(&self, task: AbortHandle) {
        let mut tasks = self.tasks.lock();
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    /// Resets every HTTP/2 stream whose client has not taken a frame for `limit`. On HTTP/1 the socket's own write timer does this. On
    /// HTTP/2 a closed window blocks one stream and not the socket, and hyper does not poll the stream's body meanwhile.
    pub(crate) fn reset_stalled(&self, limit: Duration) {
        if !self.multiplexed.load(Ordering::Acquire) {
            return;
        }
        let stalled: Vec<_> = self.live_streams().iter().filter_map(|stream| stream.stalled_task(limit)).collect();
        self.tasks.lock().iter().filter(|task| stalled.contains(&task.id())).for_each(AbortHandle::abort);
    }

    fn live_streams(&self) -> Vec<Arc<StreamSignal>> {
        self.streams.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
