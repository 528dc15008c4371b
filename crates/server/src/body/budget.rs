//! The memory budget that all request bodies share.

use bytes::Bytes;
use engine::{MemoryBudget, RequestMemory, Reservation};

use super::BodyError;

/// A body of unknown length is charged in steps of this many bytes.
const STEP: usize = 16 << 10;

/// The budget of all request bodies.
#[derive(Clone, Debug)]
pub(crate) struct BodyBudget(MemoryBudget);

impl BodyBudget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(MemoryBudget::new(bytes))
    }

    /// An empty reservation for one body of at most `most` bytes.
    pub(crate) fn reservation(&self, most: usize) -> BodyReservation {
        BodyReservation { budget: self.0.clone(), held: None, most }
    }

    /// A reservation for a request's other memory.
    pub(crate) fn request_memory(&self) -> RequestMemory {
        self.0.for_request()
    }
}

/// A body's share of the budget, returned on drop.
#[derive(Debug)]
pub(crate) struct BodyReservation {
    budget: MemoryBudget,
    held: Option<Reservation>,
    most: usize,
}

impl BodyReservation {
    /// Reserves `more` bytes in `whole` and charges the growth. Errors: the budget is used up.
    pub(super) fn grow(&mut self, whole: &mut Vec<u8>, more: usize) -> Result<(), BodyError> {
        let needed = whole.len() + more;
        if needed <= whole.capacity() {
            return Ok(());
        }
        let capacity = needed.max((whole.capacity() * 2).min(self.most));
        self.charge(capacity - whole.capacity())?;
        whole.reserve_exact(capacity - whole.len());
        Ok(())
    }

    /// Raises the charge to `bytes` in total, for a buffer that is held elsewhere.
    pub(crate) fn charge_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let paid = self.held.as_ref().map_or(0, Reservation::bytes);
        match bytes.saturating_sub(paid) {
            0 => Ok(()),
            more => self.charge(more.max(STEP)).or_else(|_| self.charge(more)),
        }
    }

    /// Takes over the covered bytes. The charge ends when their last slice is dropped.
    pub(crate) fn seal_covered(mut self, whole: Bytes) -> Bytes {
        if let Some(held) = &mut self.held {
            held.trim(whole.len());
        }
        self.seal(whole)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), BodyError> {
        let reservation = self.budget.take(bytes).ok_or(BodyError::Full)?;
        match &mut self.held {
            Some(held) => held.add(reservation),
            None => self.held = Some(reservation),
        }
        Ok(())
    }

    /// Seals the finished body. The charge ends when the body's last slice is dropped.
    pub(super) fn seal(self, whole: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        if whole.as_ref().is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(ReservedBody { whole, _charge: self })
    }
}

struct ReservedBody<B> {
    whole: B,
    _charge: BodyReservation,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for ReservedBody<B> {
    fn as_ref(&self) -> &[u8] {
        self.whole.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;

    fn is_free(budget: &BodyBudget, bytes: usize) -> bool {
        budget.reservation(usize::MAX).grow(&mut Vec::new(), bytes).is_ok()
    }

    #[test]
    fn a_body_is_charged_until_its_last_slice_is_gone() {
        let budget = BodyBudget::new(8 * KIB);
        let mut charge = budget.reservation(usize::MAX);
        let mut whole = Vec::new();
        charge.grow(&mut whole, 5 * KIB).unwrap();
        whole.resize(5 * KIB, 7);
        let body = charge.seal(whole);
        let slice = body.slice(3..9);
        drop(body);
        assert_eq!(budget.reservation(usize::MAX).grow(&mut Vec::new(), 4 * KIB), Err(BodyError::Full));
        drop(slice);
        assert_eq!(budget.reservation(usize::MAX).grow(&mut Vec::new(), 4 * KIB), Ok(()));
    }

    #[test]
    fn what_arrives_is_paid_in_steps_and_to_the_last_byte() {
        let budget = BodyBudget::new(2 * STEP + 4 * KIB);
        let mut charge = budget.reservation(usize::MAX);
        for (bytes, left) in [(1, STEP + 4 * KIB), (STEP, STEP + 4 * KIB), (STEP + 1, 4 * KIB)] {
            assert_eq!(charge.charge_to(bytes), Ok(()));
            assert!(is_free(&budget, left) && !is_free(&budget, left + 1), "{bytes}");
        }
        assert_eq!(charge.charge_to(2 * STEP + 4 * KIB), Ok(()), "no whole step is left");
        assert_eq!(charge.charge_to(2 * STEP + 4 * KIB + 1), Err(BodyError::Full));
        let body = charge.seal_covered(Bytes::from(vec![7; KIB + 1]));
        assert!(is_free(&budget, 2 * STEP + 2 * KIB) && !is_free(&budget, 2 * STEP + 2 * KIB + 1));
        drop(body);
        assert!(is_free(&budget, 2 * STEP + 4 * KIB));
    }
}
