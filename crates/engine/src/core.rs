//! What every part of the engine shares.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use pool::attempt::Outcome;
use pool::budget::Budget;
use pool::catalog::Catalog;
use pool::status::Signal;
use pool::{AccountId, Millis};
use proto::Failure;
use store::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::Upstream;

use crate::accounts::Accounts;
use crate::affinity::Affinity;
use crate::beside::Beside;
use crate::clock::{Clock, Moment, Skew};
use crate::egress::Egress;
use crate::keys::Keys;
use crate::logins::Logins;
use crate::models::Wanted;
use crate::models::editions::Editions;
use crate::native::Native;
use crate::refresh::Refresh;
use crate::relays::Line;
use crate::retired::Retired;
use crate::routing::Routes;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::stored::Stored;

/// A clock that leaps further than this between two looks says that the machine slept.
const SLEPT: Duration = Duration::from_secs(5);

/// The engine's insides.
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) upstream: Upstream,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) skew: Skew,
    /// When it was last seen that the machine is awake.
    pub(crate) awake: Mutex<Moment>,
    pub(crate) accounts: Accounts,
    pub(crate) beside: Beside,
    pub(crate) logins: Logins,
    /// What an account is taken to list until its live list came.
    pub(crate) bundled: Catalog,
    pub(crate) slots: Arc<Slots>,
    pub(crate) affinity: Affinity,
    /// Responses that later requests may go on from.
    pub(crate) stored: Stored,
    /// Second calls that all requests together may make.
    pub(crate) budget: Mutex<Budget>,
    pub(crate) refresh: Refresh,
    pub(crate) keys: Keys,
    pub(crate) retired: Retired,
    pub(crate) wanted: Wanted,
    pub(crate) editions: Editions,
    pub(crate) native: Native,
    pub(crate) routes: Routes,
    /// Which way out each account takes. Whoever calls the backend for an account asks [`Self::out`] or [`Self::outing`].
    pub(crate) egress: Egress,
    /// Held while memory takes over what the store holds, and while it writes what it learned: neither may work on what
    /// the other is just outdating.
    pub(crate) sync: tokio::sync::Mutex<()>,
    /// The relays of the configuration file.
    pub(crate) filed: Mutex<Vec<Line>>,
    /// Since when the store cannot be read; `None` while it can.
    pub(crate) blind: Mutex<Option<Instant>>,
    /// Owns every task.
    pub(crate) tasks: TaskTracker,
    /// Ends the background tasks.
    pub(crate) stop: CancellationToken,
    /// What requests are told that the server does not wait for; set once it waits no more.
    pub(crate) parting: OnceLock<Failure>,
}

impl Core {
    /// The time of day.
    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// The time of day at the backend. Ends of tokens are judged by it: they were written by its clock.
    pub(crate) fn backend_now(&self) -> Millis {
        self.skew.theirs(self.now())
    }

    /// Notices a sleep that is over: connections are dead at their other ends, and tokens may be overdue.
    pub(crate) fn wake(&self) {
        let now = self.clock.moment();
        let slept = std::mem::replace(&mut *self.awake.lock(), now).leap(&self.clock);
        if slept > SLEPT {
            tracing::info!(seconds = slept.as_secs(), "the clock leapt, as after a sleep; connections are made anew");
            self.upstream.redial();
            self.accounts.rescheduled.notify_one();
        }
    }

    /// Applies what was learned about an account. Whoever waits for one that does not serve any more chooses again.
    pub(crate) fn signal(&self, id: &AccountId, signal: &Signal) {
        let lost = self.accounts.signal(id, signal, self.now());
        self.heed(lost, id, signal);
    }

    /// As [`Self::signal`], of a relay as it was when it was called.
    pub(crate) fn report(&self, line: &Line, signal: &Signal) {
        let lost = self.accounts.report(line, signal, self.now());
        self.heed(lost, &line.relay.id, signal);
    }

    fn heed(&self, lost: bool, id: &AccountId, signal: &Signal) {
        if lost {
            let who = self.accounts.who(id);
            tracing::warn!(account = who.account(), relay = who.relay(), "stops serving: {}", signal.words());
            self.slots.scatter(id);
        }
    }

    /// Tells an account's or relay's breaker what a call came to. The call's first part is when it began, the second tells
    /// conversations apart.
    pub(crate) fn judge(&self, id: &AccountId, call: (Millis, u64), outcome: &Outcome) {
        match outcome.works() {
            Some(true) => self.works(id),
            Some(false) if self.slots.failed(id, call, self.now()) => {
                let who = self.accounts.who(id);
                tracing::warn!(
                    account = who.account(),
                    relay = who.relay(),
                    "calls fail one after the other: left alone for a while"
                );
            }
            _ => {}
        }
    }

    /// An account or relay answered a call.
    pub(crate) fn works(&self, id: &AccountId) {
        if self.slots.answered(id) {
            let who = self.accounts.who(id);
            tracing::info!(account = who.account(), relay = who.relay(), "calls are answered again");
        }
    }

    /// Takes over what a call said about the model that it asked an account for.
    pub(crate) fn note_model(&self, id: &AccountId, slug: &str, signal: &Signal) {
        match signal {
            Signal::ModelMissing => self.lacks(id, slug),
            Signal::ModelSpent { until, limit } => {
                let who = self.accounts.who(id);
                tracing::info!(
                    account = who.account(),
                    relay = who.relay(),
                    model = slug,
                    limit,
                    "the model's own limit is used up"
                );
                self.accounts.rests(id, slug, (limit, *until, self.now()));
            }
            _ => {}
        }
    }

    /// Notes that a model was refused that the list has, and asks for a newer list.
    pub(crate) fn lacks(&self, id: &AccountId, slug: &str) {
        if self.accounts.lacks(id, slug, self.now()) {
            self.wanted.doubt(id);
        }
    }

    /// Takes over newer quota figures.
    pub(crate) fn learn(&self, id: &AccountId, quota: pool::quota::Quota) {
        if self.accounts.learn(id, quota, self.now()) {
            tracing::info!(account = %id, "account's quota is used up");
            self.slots.scatter(id);
        }
    }
}
