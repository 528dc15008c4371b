//! The memory of stored responses: bounded by count, bytes and age; the oldest are dropped first. The caller gives the time.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use pool::Millis;
use proto::canon::ItemKind;
use proto::dialect::responses::{self, ListedItem};
use proto::{Item, Json};
use uuid::Uuid;

use crate::memory::{MemoryBudget, Reservation};
use crate::registry::keys::KeyId;

/// The approximate memory of a turn in addition to its bytes.
const OVERHEAD: usize = 512;

/// The bounds of the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most responses.
    pub(crate) count: usize,
    /// Most bytes in total.
    pub(crate) bytes: usize,
    /// Most bytes of one key.
    pub(crate) share: usize,
    /// Longest age.
    pub(crate) age: Duration,
}

/// A response's id and the key that may use it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResponseKey(String, String);

impl ResponseKey {
    /// The response `id` of `key`.
    pub(crate) fn of(key: &KeyId, id: &str) -> Self {
        Self(key.0.clone(), id.to_owned())
    }

    /// The response's id.
    pub(crate) fn id(&self) -> &str {
        &self.1
    }
}

/// The bytes of a stored turn: reserved in the budget of its key and in that of all keys, or in the one budget of the connections' histories.
pub(crate) type TurnReservation = (Reservation, Option<Reservation>);

/// One request and its answer, shared by all conversations that continue it.
pub(crate) struct StoredTurn {
    /// The items that the request added to the conversation.
    pub(crate) input: Json,
    /// The response object.
    pub(crate) response: Json,
    /// The bytes of its input, counted before it was copied, and of its response.
    reservations: [TurnReservation; 2],
}

impl StoredTurn {
    /// The bytes of a turn after those of `before`, without its response. Its record lists all turns.
    pub(crate) fn size(input: usize, before: &[Arc<Self>]) -> usize {
        input + (before.len() + 1) * size_of::<Arc<Self>>() + OVERHEAD
    }

    pub(crate) fn new((input, response): (Json, Json), weights: [TurnReservation; 2]) -> Self {
        Self { input, response, reservations: weights }
    }

    /// Its own bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.reservations.iter().map(|(own, _)| own.bytes()).sum()
    }

    /// The items that the turn adds to a conversation. Reasoning without its state is left out if the response is not stored upstream: its
    /// id alone means nothing.
    pub(crate) fn items(&self) -> Vec<Item> {
        let stored = self.response.get("store").and_then(|store| store.as_bool()) == Some(true);
        let known = |item: &Item| stored || !matches!(&item.kind, ItemKind::Reasoning { encrypted: None, .. });
        let output = self.output().iter().flat_map(responses::unpack).filter(known).collect::<Vec<_>>();
        responses::unpack(&self.input).into_iter().chain(output).collect()
    }

    /// The items of the response.
    fn output(&self) -> Option<Json> {
        self.response.get("output")
    }

    /// The items with their ids; those of the response too if `output` is set.
    pub(crate) fn listed(&self, output: bool) -> Vec<ListedItem> {
        let id = self.response.text("id").unwrap_or_default();
        let mut items = list_input(&self.input, &id.plain());
        if let Some(list) = self.output().filter(|_| output) {
            items.extend(responses::list_items(&list, &format!("{}_out", own_name(&id.plain()))));
        }
        items
    }
}

/// The items that the request of the response `id` added, with ids.
pub(crate) fn list_input(input: &Json, id: &str) -> Vec<ListedItem> {
    responses::list_items(input, &format!("{}_in", own_name(id)))
}

/// The part of a response's id that goes into the ids of its items.
fn own_name(id: &str) -> &str {
    id.strip_prefix("resp_").unwrap_or(id)
}

/// A conversation up to a response.
#[derive(Clone)]
pub(crate) struct StoredConversation {
    /// Oldest first; the last one holds the response.
    pub(crate) turns: Vec<Arc<StoredTurn>>,
    /// The conversation's id.
    pub(crate) conversation: Uuid,
    /// Whether a request may continue it. A failed response cannot be continued.
    pub(crate) can_continue: bool,
}

/// Cancels a running reply.
#[derive(Default)]
pub(crate) struct Cancellation {
    is_cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl Cancellation {
    /// Cancels the reply.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Wakes this task when the reply is cancelled.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether the reply is cancelled.
    pub(crate) fn is_requested(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }
}

/// The state of a stored response.
pub(crate) enum StoredReply {
    /// A running reply.
    Running {
        /// The response object as it began.
        response: Json,
        /// The conversation before it.
        turns: Vec<Arc<StoredTurn>>,
        /// The items that the request added.
        input: Json,
        /// Cancels it.
        cancel: Arc<Cancellation>,
    },
    /// An ended reply.
    Ended(StoredConversation),
}

/// The stored responses of all keys.
pub(crate) struct StoredResponses {
    bounds: Bounds,
    budget: MemoryBudget,
    /// The budgets of keys that have responses.
    shares: HashMap<String, MemoryBudget>,
    entries: HashMap<ResponseKey, StoredEntry>,
    order: BTreeMap<u64, ResponseKey>,
    next: u64,
}

struct StoredEntry {
    number: u64,
    since: Millis,
    reply: StoredReply,
}

impl StoredResponses {
    /// An empty store.
    pub(crate) fn new(bounds: Bounds) -> Self {
        let budget = MemoryBudget::new(bounds.bytes);
        Self { bounds, budget, shares: HashMap::new(), entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }

    /// Makes room for `bytes` of a key: above the key's share, the key's oldest responses are dropped; above the total, the oldest of all
    /// keys. `None`, without dropping anything, when that would not be enough.
    pub(crate) fn reserve(&mut self, key: &KeyId, bytes: usize) -> Option<TurnReservation> {
        if bytes > self.bounds.share {
            return None;
        }
        let share = self.share(key);
        let own = self.oldest_to_free(Some(key), share.excess(bytes))?;
        self.clear(own);
        let oldest = self.oldest_to_free(None, self.budget.excess(bytes))?;
        self.clear(oldest);
        Some((share.take_exactly(bytes)?, Some(self.budget.take_exactly(bytes)?)))
    }

    fn share(&mut self, key: &KeyId) -> MemoryBudget {
        if let Some(share) = self.shares.get(&key.0) {
            return share.clone();
        }
        self.shares.retain(|_, share| !share.is_free());
        let share = MemoryBudget::new(self.bounds.share);
        self.shares.insert(key.0.clone(), share.clone());
        share
    }

    /// The oldest responses, of one key or of all keys, that must be dropped to free `bytes`. A turn counts until its last holder is
    /// gone. A running reply holds its turns, so dropping it frees nothing.
    fn oldest_to_free(&self, key: Option<&KeyId>, bytes: usize) -> Option<Vec<ResponseKey>> {
        let (mut names, mut free, mut holder_counts) = (Vec::new(), 0, HashMap::new());
        let mut order = self.order.values().filter(|name| key.is_none_or(|key| key.0 == name.0));
        while free < bytes {
            let name = order.next()?;
            let Some(StoredReply::Ended(record)) = self.entries.get(name).map(|entry| &entry.reply) else { continue };
            for turn in &record.turns {
                let holders = holder_counts.entry(Arc::as_ptr(turn)).or_insert(0);
                *holders += 1;
                free += if *holders == Arc::strong_count(turn) { turn.bytes() } else { 0 };
            }
            names.push(name.clone());
        }
        Some(names)
    }

    fn clear(&mut self, names: Vec<ResponseKey>) {
        for name in names {
            self.take(&name);
        }
    }

    /// Stores a response under its key, replaces the previous one, and returns the new number.
    pub(crate) fn put(&mut self, name: ResponseKey, held: StoredReply, now: Millis) -> u64 {
        self.expire(now);
        self.take(&name);
        while self.entries.len() >= self.bounds.count && self.pop().is_some() {}
        let number = self.next;
        self.next += 1;
        self.order.insert(number, name.clone());
        self.entries.insert(name, StoredEntry { number, since: now, reply: held });
        number
    }

    /// Stores an ended reply; `false` when its entry is gone.
    pub(crate) fn finish(&mut self, name: &ResponseKey, number: u64, record: StoredConversation) -> bool {
        let entry = self.entries.get_mut(name).filter(|entry| entry.number == number);
        entry.map(|entry| entry.reply = StoredReply::Ended(record)).is_some()
    }

    /// Removes an entry, if it still has this number.
    pub(crate) fn discard(&mut self, name: &ResponseKey, number: u64) {
        if self.entries.get(name).is_some_and(|entry| entry.number == number) {
            self.take(name);
        }
    }

    /// The response of a key.
    pub(crate) fn get(&mut self, name: &ResponseKey, now: Millis) -> Option<&StoredReply> {
        self.expire(now);
        self.entries.get(name).map(|entry| &entry.reply)
    }

    /// Deletes the response of a key; `false` when there is none.
    pub(crate) fn remove(&mut self, name: &ResponseKey, now: Millis) -> bool {
        self.expire(now);
        self.take(name).is_some()
    }

    /// Drops responses that are too old.
    pub(crate) fn expire(&mut self, now: Millis) {
        let age = self.bounds.age.as_millis();
        let old = |entry: &StoredEntry| u128::from(entry.since.until(now)) >= age;
        while let Some((_, name)) = self.order.first_key_value()
            && self.entries.get(name).is_none_or(old)
        {
            self.pop();
        }
    }

    fn take(&mut self, name: &ResponseKey) -> Option<StoredReply> {
        let entry = self.entries.remove(name)?;
        self.order.remove(&entry.number);
        Some(entry.reply)
    }

    /// Drops the oldest response.
    fn pop(&mut self) -> Option<()> {
        let (_, name) = self.order.pop_first()?;
        self.entries.remove(&name).map(|_| ())
    }
}
