//! Sockets between two turns, with what the other end of each remembers; and whether sockets work for an account at all.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::{FutureExt as _, StreamExt as _};
use http::HeaderMap;
use parking_lot::Mutex;
use pool::transport::Health;
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::{Chain, Said, wrap};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::read_clock::ReadClock;
use crate::egress::{EgressKey, ResolvedEgress};

/// How long a socket waits for its next turn; the other end's own patience is not much longer (observed of peers, 2026-11).
const IDLE: Duration = Duration::from_mins(5);
/// How old a socket gets: the backend ends them after 60 minutes.
const AGE: Duration = Duration::from_mins(55);
/// Sockets that wait at the same time; the one that has waited longest leaves for another.
const MOST: usize = 256;
/// Messages that a waiting socket may send between two looks.
const MOST_MESSAGES: usize = 64;
/// Bytes of the largest message that a waiting socket has sent, which is memory that it keeps; and of all of them together.
const LARGE: usize = 8 << 20;
const LARGE_SUM: usize = 64 << 20;

/// Whose turn a socket serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    pub(crate) account: AccountId,
    pub(crate) conversation: u128,
    /// Model and tier, which its upgrade named.
    pub(crate) hint: String,
}

/// An open socket.
pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<ReadClock>,
    pub(crate) key: SocketKey,
    /// The way that it took.
    pub(crate) egress: EgressKey,
    pub(crate) opened: Instant,
    /// When its last turn ended.
    pub(crate) used: Instant,
    /// Whether it has waited since an earlier turn.
    pub(crate) reused: bool,
    /// What the other end remembers.
    pub(crate) chain: Option<Chain>,
    /// The shelf's age when it was opened.
    pub(crate) epoch: u64,
    /// Bytes of the largest message that went out over it.
    pub(crate) largest_sent: usize,
    /// What its upgrade said for all of its turns.
    pub(crate) connection_headers: HeaderMap,
    /// What it said for the first one.
    pub(crate) first_turn_headers: HeaderMap,
}

impl Socket {
    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.opened) < AGE
    }

    /// Whether the other end is still there: reads what has come meanwhile, which answers its pings.
    fn is_alive(&mut self) -> bool {
        for _ in 0..MOST_MESSAGES {
            // Beside a task's budget: a socket that has used it up would look silent.
            match unconstrained(self.stream.next()).now_or_never() {
                None => return true,
                Some(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Some(Some(Ok(Message::Text(text)))) if is_side_event(text.clone()) => {}
                // A word that nobody asked for: the other end is about to end it, or takes it for another.
                Some(_) => return false,
            }
        }
        false
    }
}

/// Whether a message is about the account or the connection.
fn is_side_event(text: Utf8Bytes) -> bool {
    wrap(&text.into(), &mut BytesMut::new()) == Some(Said::Aside)
}

/// The sockets that wait. Clones are the same shelf.
#[derive(Clone, Default)]
pub(crate) struct SocketPool(Arc<Mutex<IdleSockets>>);

#[derive(Default)]
struct IdleSockets {
    sockets: HashMap<SocketKey, Socket>,
    health: HashMap<AccountId, Health>,
    /// Counts the times that all sockets were given up,
    epoch: u64,
    /// and those of one account.
    epochs: HashMap<AccountId, u64>,
}

impl IdleSockets {
    fn epoch(&self, account: &AccountId) -> u64 {
        self.epoch + self.epochs.get(account).copied().unwrap_or(0)
    }

    /// Whether there is no room for one more.
    fn is_full(&self, sent: usize) -> bool {
        let sum: usize = self.sockets.values().map(|socket| socket.largest_sent).sum();
        self.sockets.len() >= MOST || sum + sent > LARGE_SUM
    }

    /// Puts sockets back that were looked at. Those that came back from a turn meanwhile are the younger ones, and the youngest of the
    /// others take what room is left; the rest is dropped by the caller, outside the lock.
    fn restore(&mut self, mut good: Vec<Socket>) -> Vec<Socket> {
        good.sort_by_key(|socket| std::cmp::Reverse(socket.used));
        let mut gone = Vec::new();
        for socket in good {
            let known = self.sockets.contains_key(&socket.key);
            if known || socket.epoch != self.epoch(&socket.key.account) || self.is_full(socket.largest_sent) {
                gone.push(socket);
            } else {
                self.sockets.insert(socket.key.clone(), socket);
            }
        }
        gone
    }

    /// Makes room for one more; what has to leave is dropped by the caller, outside the lock.
    fn make_room(&mut self, sent: usize) -> Vec<Socket> {
        let mut gone = Vec::new();
        while self.is_full(sent)
            && let Some(oldest) =
                self.sockets.values().min_by_key(|socket| socket.used).map(|socket| socket.key.clone())
        {
            gone.extend(self.sockets.remove(&oldest));
        }
        gone
    }
}

impl SocketPool {
    /// The conversation's socket, if it is still good and took this way.
    pub(crate) fn take(&self, key: &SocketKey, egress: &ResolvedEgress) -> Option<Socket> {
        let mut socket = self.0.lock().sockets.remove(key)?;
        let good = socket.egress == egress.key() && socket.is_fresh(Instant::now()) && socket.is_alive();
        good.then_some(socket)
    }

    /// Puts a socket back after its turn. One more of the same conversation takes the place of the one that waits.
    pub(crate) fn put(&self, mut socket: Socket) {
        socket.used = Instant::now();
        socket.reused = true;
        if !socket.is_fresh(socket.used) || socket.largest_sent > LARGE {
            return;
        }
        let gone = {
            let mut waiting = self.0.lock();
            if socket.epoch != waiting.epoch(&socket.key.account) {
                return;
            }
            let mut gone = waiting.make_room(socket.largest_sent);
            gone.extend(waiting.sockets.insert(socket.key.clone(), socket));
            gone
        };
        drop(gone);
    }

    /// The age that a socket opened now for this account belongs to.
    pub(crate) fn epoch(&self, account: &AccountId) -> u64 {
        self.0.lock().epoch(account)
    }

    /// Gives up every socket that waits, and those in use when their turn has ended.
    pub(crate) fn close_idle(&self) {
        let gone = {
            let mut waiting = self.0.lock();
            waiting.epoch += 1;
            std::mem::take(&mut waiting.sockets)
        };
        drop(gone);
    }

    /// Gives up the sockets of an account, those in use when their turn has ended.
    pub(crate) fn close_account(&self, account: &AccountId) {
        let mut waiting = self.0.lock();
        *waiting.epochs.entry(account.clone()).or_default() += 1;
        waiting.sockets.retain(|key, _| key.account != *account);
        waiting.health.remove(account);
    }

    /// Lets go of what is closed, old or idle, and answers pings. Nobody waits meanwhile: a socket that is looked at is just not there.
    pub(crate) fn maintain(&self) {
        let now = Instant::now();
        let all = std::mem::take(&mut self.0.lock().sockets);
        let mut good: Vec<Socket> = all.into_values().collect();
        good.retain_mut(|socket| socket.is_fresh(now) && socket.is_alive());
        let gone = self.0.lock().restore(good);
        drop(gone);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().sockets.len()
    }

    /// Whether a socket may be tried for this account.
    pub(crate) fn may_try(&self, account: &AccountId, now: Millis) -> bool {
        self.0.lock().health.get(account).is_none_or(|health| health.well(now))
    }

    /// A socket was taken.
    pub(crate) fn mark_working(&self, account: &AccountId) {
        self.0.lock().health.remove(account);
    }

    /// The backend wants none.
    pub(crate) fn mark_refused(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().refused(now);
    }

    /// A socket could not be had, for no reason that a POST would meet too.
    pub(crate) fn mark_failed(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().failed(now);
    }
}
