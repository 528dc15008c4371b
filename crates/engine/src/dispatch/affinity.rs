//! Remembers which account served a conversation last, so that its prompt cache and encrypted state are used again.
//!
//! Two generations of a map bound the memory: when the young one is full, it replaces the old one.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use parking_lot::Mutex;
use pool::{AccountId, Millis};
use uuid::{Builder, Uuid};

/// Conversations of one generation.
const GENERATION: usize = 8192;

/// The memory of one conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AffinityRecord {
    /// The account that served it last.
    pub(crate) account: AccountId,
    /// The fingerprint of the turn state that this account gave; other accounts do not know it.
    pub(crate) turn_state: Option<Uuid>,
    /// The fingerprint of the last replay-only item in the history that this account cannot read. The item comes again with every turn,
    /// until the client begins a clean history (a compaction).
    pub(crate) foreign: Option<u64>,
    /// Whether a relay answered last instead (fallback chains): this account cannot read the relay's items.
    pub(crate) away: bool,
    /// The last turns, if the identity towards the backend describes turns.
    pub(crate) turns: Vec<TurnRecord>,
}

/// A turn of a conversation: a user message and all requests that continue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TurnRecord {
    /// The id of the turn; the same for every request that continues it.
    pub(crate) name: Uuid,
    /// When it began.
    pub(crate) begun: Millis,
}

impl TurnRecord {
    /// Its id: a UUID of version 7, as the official client makes them.
    pub(crate) fn id(&self) -> Uuid {
        let mut tail = [0; 10];
        tail.copy_from_slice(&self.name.as_bytes()[6..]);
        Builder::from_unix_timestamp_millis(u64::try_from(self.begun.0).unwrap_or(0), &tail).into_uuid()
    }
}

/// The accounts of conversations.
#[derive(Default)]
pub(crate) struct Affinity(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Uuid, AffinityRecord>,
    old: HashMap<Uuid, AffinityRecord>,
}

impl Affinity {
    /// The record of a conversation.
    pub(crate) fn get(&self, conversation: Uuid) -> Option<AffinityRecord> {
        let generations = self.0.lock();
        generations.young.get(&conversation).or_else(|| generations.old.get(&conversation)).cloned()
    }

    /// Sets the turn state that this account gave midway, if the account serves the conversation and gave none before.
    pub(crate) fn set_turn_state(&self, conversation: Uuid, account: &AccountId, turn_state: Uuid) {
        let mut generations = self.0.lock();
        let Generations { young, old } = &mut *generations;
        let record = young.get_mut(&conversation).or_else(|| old.get_mut(&conversation));
        if let Some(record) =
            record.filter(|record| record.account == *account && !record.away && record.turn_state.is_none())
        {
            record.turn_state = Some(turn_state);
        }
    }

    /// Sets the record of a conversation.
    pub(crate) fn set(&self, conversation: Uuid, record: AffinityRecord) {
        let mut generations = self.0.lock();
        if generations.young.len() >= GENERATION && !generations.young.contains_key(&conversation) {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.old.remove(&conversation);
        generations.young.insert(conversation, record);
    }
}
