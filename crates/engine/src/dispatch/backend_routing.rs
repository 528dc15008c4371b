//! Where the backend wants each account's model calls: asked for beside the requests, with the account's model list, and kept while
//! its login is the same.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::routing::Routing;
use pool::{AccountId, Millis, limits};

use crate::dispatch::model_queue::FetchSchedule;

/// What is known of each account.
#[derive(Default)]
pub(crate) struct BackendRouting {
    known: Mutex<HashMap<AccountId, Known>>,
    /// Of whom it could not be learned.
    pub(crate) again: FetchSchedule,
}

struct Known {
    routing: Arc<Routing>,
    at: Millis,
}

impl BackendRouting {
    /// What holds for an account; `None` while that is not known.
    pub(crate) fn of(&self, id: &AccountId) -> Option<Arc<Routing>> {
        self.known.lock().get(id).map(|known| Arc::clone(&known.routing))
    }

    /// Forgets an account, whose login is another one or gone.
    pub(crate) fn forget(&self, id: &AccountId) {
        self.known.lock().remove(id);
        self.again.forget(id);
    }

    /// Whether there is nothing to ask. A clock that was set back does not make that last.
    pub(crate) fn fresh(&self, id: &AccountId, now: Millis) -> bool {
        let span = |at: Millis| at <= now && u128::from(at.until(now)) < limits::ROUTING.as_millis();
        self.known.lock().get(id).is_some_and(|known| span(known.at))
    }

    pub(crate) fn learn(&self, id: &AccountId, routing: Routing, at: Millis) {
        self.known.lock().insert(id.clone(), Known { routing: Arc::new(routing), at });
    }
}
