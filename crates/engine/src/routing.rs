//! Where the backend wants each account's model calls: asked for beside the requests, with the account's model list, and kept while
//! its login is the same.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pool::routing::{self, Routing};
use pool::{AccountId, Millis, Tokens, limits};

use crate::accounts::Entry;
use crate::core::Core;
use crate::models::{NotListed, Wants};

/// What is known of each account.
#[derive(Default)]
pub(crate) struct Routes {
    known: Mutex<HashMap<AccountId, Known>>,
    /// Of whom it could not be learned.
    pub(crate) again: Wants,
}

struct Known {
    routing: Arc<Routing>,
    at: Millis,
}

impl Routes {
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
    fn fresh(&self, id: &AccountId, now: Millis) -> bool {
        let span = |at: Millis| at <= now && u128::from(at.until(now)) < limits::ROUTING.as_millis();
        self.known.lock().get(id).is_some_and(|known| span(known.at))
    }

    fn learn(&self, id: &AccountId, routing: Routing, at: Millis) {
        self.known.lock().insert(id.clone(), Known { routing: Arc::new(routing), at });
    }
}

impl Core {
    /// Asks where an account's model calls belong, unless that is known.
    pub(crate) async fn route(self: &Arc<Self>, entry: &Entry, tokens: &Tokens) -> Result<(), NotListed> {
        let account = &entry.account;
        let now = self.now();
        if self.routes.fresh(&account.id, now) {
            return Ok(());
        }
        let trouble = |why: &dyn std::fmt::Display| NotListed::Upstream(why.to_string());
        let way = self.out(&account.id).map_err(|error| trouble(&error))?;
        let answer = way.accounts_check(account, &tokens.access).await.map_err(|fault| trouble(&fault))?;
        if answer.status != 200 {
            return Err(NotListed::Refused(answer.status));
        }
        let unread = || NotListed::Upstream("the account check does not name the account".into());
        let read = routing::read(&answer.body, &account.upstream_id).ok_or_else(unread)?;
        for ignored in &read.ignored {
            tracing::warn!(account = %account.id, ignored, "a part of the account's routing is not followed");
        }
        self.routes.learn(&account.id, read.routing, now);
        Ok(())
    }
}
