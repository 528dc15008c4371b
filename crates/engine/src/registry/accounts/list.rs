//! The list of accounts and relays. Copying it with one entry changed, and looking up an id, are cheap at any length.

use std::collections::HashMap;
use std::sync::Arc;

use pool::AccountId;

use super::AccountEntry;

/// Entries that are copied when one of them changes.
pub(crate) const CHUNK: usize = 128;

/// A part of a [`AccountList`]; two lists that share it have the same entries there.
type Chunk = Arc<Vec<Arc<AccountEntry>>>;

/// Every account, oldest first, then every relay.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountList {
    chunks: Vec<Chunk>,
    at: Arc<HashMap<AccountId, usize>>,
}

impl AccountList {
    /// A list of these; where they are those of `old`, in the same order, it says so ([`Self::alike`]).
    pub(crate) fn new(entries: Vec<Arc<AccountEntry>>, old: &Self) -> Self {
        let same = entries.len() == old.len()
            && entries.iter().zip(old.iter()).all(|(new, known)| new.account.id == known.account.id);
        let at = if same { Arc::clone(&old.at) } else { Arc::new(positions_of(&entries)) };
        let mut chunks = Vec::with_capacity(entries.len().div_ceil(CHUNK));
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            chunks.push(Arc::new(entries.by_ref().take(CHUNK).collect()));
        }
        Self { chunks, at }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Each in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<AccountEntry>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The accounts in order, without the relays.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Arc<AccountEntry>> {
        self.iter().filter(|entry| entry.relay.is_none())
    }

    /// The one of this id.
    pub(crate) fn get(&self, id: &AccountId) -> Option<&Arc<AccountEntry>> {
        let at = *self.at.get(id)?;
        self.chunks.get(at / CHUNK)?.get(at % CHUNK)
    }

    /// With another entry in the place of the one of the same id; the same when there is none.
    pub(crate) fn with_entry(&self, entry: AccountEntry) -> Self {
        let mut next = self.clone();
        if let Some(at) = self.at.get(&entry.account.id) {
            Arc::make_mut(&mut next.chunks[at / CHUNK])[at % CHUNK] = Arc::new(entry);
        }
        next
    }

    /// Where each id is.
    pub(crate) fn positions(&self) -> &Arc<HashMap<AccountId, usize>> {
        &self.at
    }

    /// Whether both hold the same ids in the same order.
    pub(crate) fn has_same_ids(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.at, &other.at)
    }

    /// The parts of the list, of [`CHUNK`] entries but the last.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Arc<Vec<Arc<AccountEntry>>>> {
        self.chunks.iter()
    }
}

impl FromIterator<Arc<AccountEntry>> for AccountList {
    fn from_iter<I: IntoIterator<Item = Arc<AccountEntry>>>(entries: I) -> Self {
        Self::new(entries.into_iter().collect(), &Self::default())
    }
}

/// For an id that is there twice, which no store has, the first entry counts.
fn positions_of(entries: &[Arc<AccountEntry>]) -> HashMap<AccountId, usize> {
    let mut at = HashMap::with_capacity(entries.len());
    for (position, entry) in entries.iter().enumerate() {
        at.entry(entry.account.id.clone()).or_insert(position);
    }
    at
}
