//! Sockets between two turns, with what the other end of each remembers; and whether sockets work for an account at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use parking_lot::Mutex;
use pool::transport::Health;
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::Chain;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::conn::Conn;
use crate::egress::{Way, WayKey};

/// How long a socket waits for its next turn; the other end's own patience is not much longer (observed of peers, 2026-11).
const IDLE: Duration = Duration::from_mins(5);
/// How old a socket gets: the backend ends them after 60 minutes.
const AGE: Duration = Duration::from_mins(55);
/// Sockets that wait at the same time; the one that has waited longest leaves for another.
const MOST: usize = 256;
/// Messages that a waiting socket may send between two looks.
const CHATTER: usize = 64;

/// Whose turn a socket serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) account: AccountId,
    pub(crate) conversation: u128,
}

/// An open socket.
pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<Conn>,
    pub(crate) key: Key,
    /// The way that it took.
    pub(crate) way: WayKey,
    pub(crate) opened: Instant,
    /// When its last turn ended.
    pub(crate) used: Instant,
    /// What the other end remembers.
    pub(crate) chain: Option<Chain>,
    /// The shelf's age when it was opened.
    pub(crate) epoch: u64,
}

impl Socket {
    fn fresh(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.opened) < AGE
    }

    /// Whether the other end is still there: reads what has come meanwhile, which answers its pings.
    fn alive(&mut self) -> bool {
        for _ in 0..CHATTER {
            match self.stream.next().now_or_never() {
                None => return true,
                Some(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                // A word that nobody asked for: the other end is about to end it, or takes it for another.
                Some(_) => return false,
            }
        }
        false
    }
}

/// The sockets that wait. Clones are the same shelf.
#[derive(Clone, Default)]
pub(crate) struct Shelf(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    sockets: HashMap<Key, Socket>,
    health: HashMap<AccountId, Health>,
    epoch: u64,
}

impl Shelf {
    /// The conversation's socket, if it is still good and took this way.
    pub(crate) fn take(&self, key: &Key, way: &Way) -> Option<Socket> {
        let mut socket = self.0.lock().sockets.remove(key)?;
        let good = socket.way == way.key() && socket.fresh(Instant::now()) && socket.alive();
        good.then_some(socket)
    }

    /// Puts a socket back after its turn. One more of the same conversation takes the place of the one that waits.
    pub(crate) fn put(&self, mut socket: Socket) {
        socket.used = Instant::now();
        let mut waiting = self.0.lock();
        if socket.epoch != waiting.epoch || !socket.fresh(socket.used) {
            return;
        }
        if waiting.sockets.len() >= MOST
            && let Some(oldest) =
                waiting.sockets.values().min_by_key(|socket| socket.used).map(|socket| socket.key.clone())
        {
            waiting.sockets.remove(&oldest);
        }
        waiting.sockets.insert(socket.key.clone(), socket);
    }

    /// The age that a socket opened now belongs to.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().epoch
    }

    /// Gives up every socket that waits, and those in use when their turn has ended.
    pub(crate) fn redial(&self) {
        let mut waiting = self.0.lock();
        waiting.epoch += 1;
        waiting.sockets.clear();
    }

    /// Gives up the sockets of an account.
    pub(crate) fn forget(&self, account: &AccountId) {
        let mut waiting = self.0.lock();
        waiting.sockets.retain(|key, _| key.account != *account);
        waiting.health.remove(account);
    }

    /// Lets go of what is closed, old or idle, and answers pings.
    pub(crate) fn tend(&self) {
        let now = Instant::now();
        self.0.lock().sockets.retain(|_, socket| socket.fresh(now) && socket.alive());
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().sockets.len()
    }

    /// Whether a socket may be tried for this account.
    pub(crate) fn well(&self, account: &AccountId, now: Millis) -> bool {
        self.0.lock().health.get(account).is_none_or(|health| health.well(now))
    }

    /// A socket was taken.
    pub(crate) fn works(&self, account: &AccountId) {
        self.0.lock().health.remove(account);
    }

    /// The backend wants none.
    pub(crate) fn refused(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().refused(now);
    }

    /// A socket could not be had, for no reason that a POST would meet too.
    pub(crate) fn failed(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().failed(now);
    }
}
