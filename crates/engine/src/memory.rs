//! The memory that requests may take, all together: their bodies, the conversations that they go on from, and their replies.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is given away in pieces of this many bytes.
const UNIT: usize = 1 << 10;

/// So many bytes for all who hold a handle.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Semaphore>);

/// A part of a [`MemoryBudget`], given back on drop.
#[derive(Debug)]
pub struct Reservation(OwnedSemaphorePermit);

/// What one request takes of the room beside its body; without a room it is not counted.
#[derive(Clone, Debug, Default)]
pub struct RequestMemory {
    room: Option<MemoryBudget>,
    taken: Option<Arc<Reservation>>,
}

impl MemoryBudget {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Takes so many bytes, rounded up to whole KiB; `None` when they are not free. Never waits.
    pub fn take(&self, bytes: usize) -> Option<Reservation> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(units).ok().map(Reservation)
    }

    /// The account of one request.
    pub fn for_request(&self) -> RequestMemory {
        RequestMemory { room: Some(self.clone()), taken: None }
    }
}

impl Reservation {
    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.0.num_permits() * UNIT
    }

    /// Gives back what is beyond so many bytes.
    pub fn trim(&mut self, bytes: usize) {
        drop(self.0.split(self.0.num_permits().saturating_sub(bytes.div_ceil(UNIT))));
    }

    /// The same bytes with their charge, which ends when the last slice of them is gone.
    pub(crate) fn seal(mut self, whole: Bytes) -> Bytes {
        self.trim(whole.len());
        Bytes::from_owner(Charged { whole, _space: self })
    }

    /// Takes another part of the same room in.
    pub fn add(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}

/// Bytes with their charge.
struct Charged {
    whole: Bytes,
    _space: Reservation,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.whole
    }
}

impl RequestMemory {
    /// An account of the same room with nothing on it.
    pub(crate) fn fresh(&self) -> Self {
        Self { room: self.room.clone(), taken: None }
    }

    /// Takes so many bytes for as long as the part is kept: `None` when they are not free, `Some(None)` where nothing is counted.
    #[expect(clippy::option_option, reason = "no budget and no free bytes are two answers")]
    pub(crate) fn part(&self, bytes: usize) -> Option<Option<Reservation>> {
        match &self.room {
            Some(room) => room.take(bytes).map(Some),
            None => Some(None),
        }
    }

    /// Takes so many bytes until the request is done with; `false` when they are not free.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let Some(room) = &self.room else { return true };
        self.taken = room.take(bytes).map(Arc::new);
        self.taken.is_some()
    }
}
