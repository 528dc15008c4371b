//! What is known of one connection, shared between its socket, its driver and the requests on it.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::head::Refused;
use crate::forwarded::Place;
use crate::reply::Slot;

/// Facts and signals of one connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// The other end.
    pub(crate) peer: IpAddr,
    /// Our end, as the client reached it: an address of one of our own interfaces.
    pub(crate) local: SocketAddr,
    /// Whether the listener is bound to a loopback address.
    pub(crate) private: bool,
    /// What the listener serves.
    pub(crate) face: Face,
    phase: AtomicU8,
    refused: AtomicU8,
    last: AtomicBool,
    multiplexed: AtomicBool,
    upgraded: AtomicBool,
    waker: AtomicWaker,
    streams: Mutex<Vec<Weak<Slot>>>,
    /// The place of a connection that HTTP has left, among the requests of its client's address.
    place: OnceLock<Place>,
    later: Mutex<Later>,
}

/// What becomes of a connection after HTTP.
type Socket = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The same, until it is taken.
#[derive(Default)]
struct Later(Option<Socket>);

impl std::fmt::Debug for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Later")
    }
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// The gateway's own API and its administration.
    Gateway,
    /// Ollama's API.
    Ollama,
}

/// How far a connection's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Serves.
    Open,
    /// Finishes what it has begun.
    Drain,
    /// Its streams end now, each with a terminal of their protocol.
    Farewell,
    /// Is dropped.
    Dead,
}

impl Link {
    /// A new connection's.
    pub(crate) fn new(peer: IpAddr, local: SocketAddr, (private, face): (bool, Face)) -> Self {
        Self {
            peer: peer.to_canonical(),
            local: SocketAddr::new(local.ip().to_canonical(), local.port()),
            private,
            face,
            phase: AtomicU8::new(0),
            refused: AtomicU8::new(0),
            last: AtomicBool::new(false),
            multiplexed: AtomicBool::new(false),
            upgraded: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            streams: Mutex::default(),
            place: OnceLock::new(),
            later: Mutex::default(),
        }
    }

    /// How far its life has come; the driver's waker is woken when that changes.
    pub(crate) fn phase(&self, waker: &Waker) -> Phase {
        self.waker.register(waker);
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Drain,
            2 => Phase::Farewell,
            _ => Phase::Dead,
        }
    }

    /// Moves on to `phase`; never back.
    pub(crate) fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.waker.wake();
        if phase == Phase::Farewell {
            self.live().iter().for_each(|slot| slot.finish());
        }
    }

    /// Marks the connection as one whose next request is a stand-in for a refused head.
    pub(crate) fn refuse(&self, why: Refused) {
        self.refused.store(if why == Refused::TooLarge { 2 } else { 1 }, Ordering::Release);
        self.end_after();
    }

    /// Why the head was refused, if it was.
    pub(crate) fn refused(&self) -> Option<Refused> {
        match self.refused.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Refused::Malformed),
            _ => Some(Refused::TooLarge),
        }
    }

    /// Makes the current request the last one.
    pub(crate) fn end_after(&self) {
        self.last.store(true, Ordering::Release);
    }

    /// Whether the current request is the last one.
    pub(crate) fn is_last(&self) -> bool {
        self.last.load(Ordering::Acquire)
    }

    /// Notes that it speaks HTTP/2.
    pub(crate) fn multiplex(&self) {
        self.multiplexed.store(true, Ordering::Release);
    }

    /// Makes `socket` what the connection is once the answer to the current request is out. What the client sends after its head
    /// is no HTTP any more.
    pub(crate) fn upgrade(&self, socket: Socket) {
        self.later.lock().0 = Some(socket);
        self.upgraded.store(true, Ordering::Release);
    }

    /// Whether the connection speaks another protocol than HTTP after the current request.
    pub(crate) fn upgraded(&self) -> bool {
        self.upgraded.load(Ordering::Acquire)
    }

    /// Takes out what the connection is to become.
    pub(crate) fn later(&self) -> Option<Socket> {
        self.later.lock().0.take()
    }

    /// Holds a place until the connection is over.
    pub(crate) fn keep(&self, place: Place) {
        let _ = self.place.set(place);
    }

    /// Puts a stream under this connection's care.
    pub(crate) fn adopt(&self, slot: &Arc<Slot>) {
        let mut streams = self.streams.lock();
        streams.retain(|slot| slot.strong_count() > 0);
        streams.push(Arc::downgrade(slot));
        drop(streams);
        if self.phase.load(Ordering::Acquire) >= Phase::Farewell as u8 {
            slot.finish();
        }
    }

    /// Drops the upstream of every HTTP/2 stream whose client has left a frame untaken for `limit`. On HTTP/1 the socket's own
    /// write timer does this; on HTTP/2 a closed window blocks one stream and not the socket.
    pub(crate) fn reap(&self, limit: Duration) {
        if self.multiplexed.load(Ordering::Acquire) {
            self.live().iter().for_each(|slot| slot.reap(limit));
        }
    }

    fn live(&self) -> Vec<Arc<Slot>> {
        self.streams.lock().iter().filter_map(Weak::upgrade).collect()
    }
}
