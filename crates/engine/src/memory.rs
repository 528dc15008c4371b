//! The memory that requests may take, all together: their bodies, the conversations that they continue, and their replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Requests take memory in units of this many bytes.
const UNIT: usize = 1 << 10;

/// A number of bytes that all holders of a handle share.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    used: Arc<AtomicUsize>,
    most: usize,
}

/// A part of a [`MemoryBudget`], given back on drop.
#[derive(Debug)]
pub struct Reservation {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

/// The memory that one request takes beside its body; without a budget it is not counted.
#[derive(Clone, Debug, Default)]
pub struct RequestMemory {
    budget: Option<MemoryBudget>,
    reservation: Option<Arc<Reservation>>,
}

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        Self { used: Arc::default(), most: bytes }
    }

    /// Takes so many bytes, rounded up to whole KiB; `None` when they are not free. Never waits.
    pub fn take(&self, bytes: usize) -> Option<Reservation> {
        self.take_exactly(bytes.checked_next_multiple_of(UNIT)?)
    }

    /// As [`Self::take`], without the rounding.
    pub(crate) fn take_exactly(&self, bytes: usize) -> Option<Reservation> {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).ok()?;
        Some(Reservation { used: Arc::clone(&self.used), bytes })
    }

    /// By how many bytes `more` would exceed the budget.
    pub(crate) fn excess(&self, more: usize) -> usize {
        self.used.load(Ordering::Acquire).saturating_add(more).saturating_sub(self.most)
    }

    /// Whether all of it is free.
    pub(crate) fn is_free(&self) -> bool {
        self.used.load(Ordering::Acquire) == 0
    }

    /// The memory account of one request.
    pub fn for_request(&self) -> RequestMemory {
        RequestMemory { budget: Some(self.clone()), reservation: None }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Reservation {
    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what exceeds `bytes`, rounded up to whole KiB.
    pub fn trim(&mut self, bytes: usize) {
        let remaining = self.bytes.min(bytes.next_multiple_of(UNIT));
        self.used.fetch_sub(self.bytes - remaining, Ordering::AcqRel);
        self.bytes = remaining;
    }

    /// The same bytes with their reservation, which ends with the last slice of them.
    pub(crate) fn seal(mut self, whole: Bytes) -> Bytes {
        self.trim(whole.len());
        Bytes::from_owner(Charged { whole, _space: self })
    }

    /// Adds another part of the same budget.
    pub fn add(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

/// Bytes with their reservation.
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
    /// An account of the same budget that has taken nothing.
    pub(crate) fn fresh(&self) -> Self {
        Self { budget: self.budget.clone(), reservation: None }
    }

    /// Takes so many bytes until the reservation is dropped: `None` when they are not free, `Some(None)` where nothing is counted.
    #[expect(clippy::option_option, reason = "no budget and no free bytes are two answers")]
    pub(crate) fn part(&self, bytes: usize) -> Option<Option<Reservation>> {
        match &self.budget {
            Some(budget) => budget.take(bytes).map(Some),
            None => Some(None),
        }
    }

    /// Takes so many bytes until the request ends; `false` when they are not free.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let Some(budget) = &self.budget else { return true };
        self.reservation = budget.take(bytes).map(Arc::new);
        self.reservation.is_some()
    }
}
