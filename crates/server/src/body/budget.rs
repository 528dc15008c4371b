//! The bytes of request bodies that may be held at once, all requests together.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Broken;

/// Permits are of this many bytes.
const UNIT: usize = 1 << 10;

/// The whole budget.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// Pays for a body that is here already; its charge ends when the last slice of it is gone.
    pub(crate) fn adopt(&self, body: Bytes) -> Result<Bytes, Broken> {
        let mut charge = self.charge(body.len());
        charge.pay(body.len())?;
        Ok(Bytes::from_owner(Charged { whole: body, _charge: charge }))
    }

    /// An account for one body of at most `most` bytes, nothing on it yet.
    pub(crate) fn charge(&self, most: usize) -> Charge {
        Charge { budget: self.0.clone(), held: None, most }
    }
}

/// What one body holds of the budget; given back on drop.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    most: usize,
}

impl Charge {
    /// Makes room for `more` bytes in `whole` and pays for the growth; never waits, because a full budget is answered.
    pub(super) fn reserve(&mut self, whole: &mut Vec<u8>, more: usize) -> Result<(), Broken> {
        let needed = whole.len() + more;
        if needed <= whole.capacity() {
            return Ok(());
        }
        let capacity = needed.max((whole.capacity() * 2).min(self.most));
        self.pay(capacity - whole.capacity())?;
        whole.reserve_exact(capacity - whole.len());
        Ok(())
    }

    fn pay(&mut self, bytes: usize) -> Result<(), Broken> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).map_err(|_| Broken::Full)?;
        let permit = self.budget.clone().try_acquire_many_owned(units).map_err(|_| Broken::Full)?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        Ok(())
    }

    /// The finished body. Its charge ends when the last slice of it is gone.
    pub(super) fn seal(self, whole: Vec<u8>) -> Bytes {
        if whole.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(Charged { whole, _charge: self })
    }
}

struct Charged<B> {
    whole: B,
    _charge: Charge,
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Charged<B> {
    fn as_ref(&self) -> &[u8] {
        self.whole.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_charged_until_its_last_slice_is_gone() {
        let budget = Budget::new(8 * UNIT);
        let mut charge = budget.charge(usize::MAX);
        let mut whole = Vec::new();
        charge.reserve(&mut whole, 5 * UNIT).unwrap();
        whole.resize(5 * UNIT, 7);
        let body = charge.seal(whole);
        let slice = body.slice(3..9);
        drop(body);
        assert_eq!(budget.charge(usize::MAX).reserve(&mut Vec::new(), 4 * UNIT), Err(Broken::Full));
        drop(slice);
        assert_eq!(budget.charge(usize::MAX).reserve(&mut Vec::new(), 4 * UNIT), Ok(()));
    }
}
