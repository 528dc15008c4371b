//! Idle WebSockets, each with the last response of its conversation; and whether WebSockets work for an account at all.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use http::HeaderMap;
use parking_lot::Mutex;
use pool::transport::SocketHealth;
use pool::{AccountId, Millis};
use proto::dialect::responses::socket::{Chain, EventClass, event};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::watched_conn::WatchedConn;
use crate::egress::{EgressKey, ResolvedEgress};

/// How long a socket waits for its next turn; the other end closes the socket not much later (observed with peers, 2026-11).
const IDLE: Duration = Duration::from_mins(5);
/// Maximum age of a socket: the backend closes sockets after 60 minutes.
const AGE: Duration = Duration::from_mins(55);
/// Most idle sockets; a new socket replaces the one that was idle for longest.
const MOST: usize = 256;
/// Most messages that an idle socket may receive between two checks.
const MOST_MESSAGES: usize = 64;
/// Most bytes of the largest message sent over an idle socket, whose memory the socket still holds; and the sum over all idle sockets.
const LARGE: usize = 8 << 20;
const LARGE_SUM: usize = 64 << 20;

/// The conversation that a socket serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SocketKey {
    pub(crate) account: AccountId,
    pub(crate) conversation: u128,
    /// Model and tier from its upgrade.
    pub(crate) hint: String,
}

/// An open socket.
pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<WatchedConn>,
    pub(crate) key: SocketKey,
    /// Its egress.
    pub(crate) egress: EgressKey,
    pub(crate) opened: Instant,
    /// When its last turn ended.
    pub(crate) last_used: Instant,
    /// Whether it has served an earlier turn.
    pub(crate) reused: bool,
    /// The responses that the other end can continue.
    pub(crate) chain: Option<Chain>,
    /// The pool's epoch when it was opened.
    pub(crate) epoch: u64,
    /// Bytes of the largest message sent over it.
    pub(crate) largest_sent: usize,
    /// The upgrade's headers for all turns.
    pub(crate) connection_headers: HeaderMap,
    /// The upgrade's headers for the first turn.
    pub(crate) first_turn_headers: HeaderMap,
}

impl Socket {
    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.last_used) < IDLE && now.duration_since(self.opened) < AGE
    }

    /// Whether the connection is still open. Reads the pending messages, which answers pings.
    fn is_alive(&mut self) -> bool {
        for _ in 0..MOST_MESSAGES {
            // Outside the task's coop budget: with the budget used up, the socket would look silent.
            match unconstrained(self.stream.next()).now_or_never() {
                None => return true,
                Some(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                Some(Some(Ok(Message::Text(text)))) if is_side_event(text.clone()) => {}
                // An unexpected message: the other end is closing, or is confused about the conversation.
                Some(_) => return false,
            }
        }
        false
    }
}

/// Whether a message is about the account or the connection, not about a turn.
fn is_side_event(text: Utf8Bytes) -> bool {
    matches!(event(&text.into()), Some((_, EventClass::OutOfBand)))
}

/// The idle sockets. Clones share one pool.
#[derive(Clone, Default)]
pub(crate) struct SocketPool(Arc<Mutex<IdleSockets>>);

#[derive(Default)]
struct IdleSockets {
    sockets: HashMap<SocketKey, Socket>,
    health: HashMap<AccountId, SocketHealth>,
    /// How often all sockets were closed.
    epoch: u64,
    /// How often the sockets of one account were closed.
    epochs: HashMap<AccountId, u64>,
}

impl IdleSockets {
    fn epoch(&self, account: &AccountId) -> u64 {
        self.epoch + self.epochs.get(account).copied().unwrap_or(0)
    }

    /// Whether the pool has no room for one more socket.
    fn is_full(&self, sent: usize) -> bool {
        let sum: usize = self.sockets.values().map(|socket| socket.largest_sent).sum();
        self.sockets.len() >= MOST || sum + sent > LARGE_SUM
    }

    /// Returns checked sockets to the pool. Sockets that were returned by a turn meanwhile are newer and stay; the newest of the
    /// others fill the remaining room. The caller drops the rest outside the lock.
    fn restore(&mut self, mut good: Vec<Socket>) -> Vec<Socket> {
        good.sort_by_key(|socket| std::cmp::Reverse(socket.last_used));
        let mut evicted = Vec::new();
        for socket in good {
            let known = self.sockets.contains_key(&socket.key);
            if known || socket.epoch != self.epoch(&socket.key.account) || self.is_full(socket.largest_sent) {
                evicted.push(socket);
            } else {
                self.sockets.insert(socket.key.clone(), socket);
            }
        }
        evicted
    }

    /// Makes room for one more socket. The caller drops the removed sockets outside the lock.
    fn make_room(&mut self, sent: usize) -> Vec<Socket> {
        let mut evicted = Vec::new();
        while self.is_full(sent)
            && let Some(oldest) =
                self.sockets.values().min_by_key(|socket| socket.last_used).map(|socket| socket.key.clone())
        {
            evicted.extend(self.sockets.remove(&oldest));
        }
        evicted
    }
}

impl SocketPool {
    /// The conversation's socket, if it is still usable and has this egress.
    pub(crate) fn take(&self, key: &SocketKey, egress: &ResolvedEgress) -> Option<Socket> {
        let mut socket = self.0.lock().sockets.remove(key)?;
        let good = socket.egress == egress.key() && socket.is_fresh(Instant::now()) && socket.is_alive();
        good.then_some(socket)
    }

    /// Returns a socket after its turn. It replaces another idle socket of the same conversation.
    pub(crate) fn put(&self, mut socket: Socket) {
        socket.last_used = Instant::now();
        socket.reused = true;
        if !socket.is_fresh(socket.last_used) || socket.largest_sent > LARGE {
            return;
        }
        let evicted = {
            let mut waiting = self.0.lock();
            if socket.epoch != waiting.epoch(&socket.key.account) {
                return;
            }
            let mut evicted = waiting.make_room(socket.largest_sent);
            evicted.extend(waiting.sockets.insert(socket.key.clone(), socket));
            evicted
        };
        drop(evicted);
    }

    /// The current epoch of an account's sockets.
    pub(crate) fn epoch(&self, account: &AccountId) -> u64 {
        self.0.lock().epoch(account)
    }

    /// Closes every idle socket now, and the sockets in use after their turn.
    pub(crate) fn close_idle(&self) {
        let evicted = {
            let mut waiting = self.0.lock();
            waiting.epoch += 1;
            std::mem::take(&mut waiting.sockets)
        };
        drop(evicted);
    }

    /// Closes an account's idle sockets now, and its sockets in use after their turn.
    pub(crate) fn close_account(&self, account: &AccountId) {
        let mut waiting = self.0.lock();
        *waiting.epochs.entry(account.clone()).or_default() += 1;
        waiting.sockets.retain(|key, _| key.account != *account);
        waiting.health.remove(account);
    }

    /// Answers pings, and drops sockets that the other end closed, that are too old, or that were idle for too long. During the check the
    /// sockets are out of the pool, so no caller waits for the lock.
    pub(crate) fn maintain(&self) {
        let now = Instant::now();
        let all = std::mem::take(&mut self.0.lock().sockets);
        let mut good: Vec<Socket> = all.into_values().collect();
        good.retain_mut(|socket| socket.is_fresh(now) && socket.is_alive());
        let evicted = self.0.lock().restore(good);
        drop(evicted);
    }

    /// The number of idle sockets.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().sockets.len()
    }

    /// Whether a socket may be tried for this account.
    pub(crate) fn may_try(&self, account: &AccountId, now: Millis) -> bool {
        self.0.lock().health.get(account).is_none_or(|health| health.may_try(now))
    }

    /// Records that a turn was accepted over a socket.
    pub(crate) fn mark_working(&self, account: &AccountId) {
        self.0.lock().health.remove(account);
    }

    /// Records that the backend refuses WebSockets.
    pub(crate) fn mark_refused(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().set_refused(now);
    }

    /// Records that no socket could be opened, for a reason that does not concern a POST.
    pub(crate) fn mark_failed(&self, account: &AccountId, now: Millis) {
        self.0.lock().health.entry(account.clone()).or_default().set_failed(now);
    }
}
