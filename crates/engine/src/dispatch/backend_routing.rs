//! The backend's routing of each account's model calls. It is fetched with the account's model list and kept while the login is the
//! same.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::routing::Routing;
use pool::{AccountId, Millis, limits};

use crate::dispatch::model_queue::FetchSchedule;

/// The routing of each account.
#[derive(Default)]
pub(crate) struct BackendRouting {
    known: Mutex<HashMap<AccountId, Known>>,
    /// The accounts whose routing must be fetched again.
    pub(crate) retries: FetchSchedule,
}

struct Known {
    routing: Arc<Routing>,
    at: Millis,
}

impl BackendRouting {
    /// An account's routing; `None` while it is not known.
    pub(crate) fn of(&self, id: &AccountId) -> Option<Arc<Routing>> {
        self.known.lock().get(id).map(|known| Arc::clone(&known.routing))
    }

    /// Forgets an account with a new login or without one.
    pub(crate) fn forget(&self, id: &AccountId) {
        self.known.lock().remove(id);
        self.retries.forget(id);
    }

    /// Whether an account's routing is known and recent. A routing from the future of a clock that was set back is not recent.
    pub(crate) fn is_fresh(&self, id: &AccountId, now: Millis) -> bool {
        let span = |at: Millis| at <= now && u128::from(at.until(now)) < limits::ROUTING.as_millis();
        self.known.lock().get(id).is_some_and(|known| span(known.at))
    }

    pub(crate) fn learn(&self, id: &AccountId, routing: Routing, at: Millis) {
        self.known.lock().insert(id.clone(), Known { routing: Arc::new(routing), at });
    }
}
