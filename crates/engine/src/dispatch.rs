//! Who serves a request: places on accounts, the conversations that they keep, their breakers, and the way out of a call.
//!
//! What calls say about accounts comes in here: it changes the account in the registry, and sends those who wait for one that does
//! not serve any more to choose again.

pub(crate) mod affinity;
mod choice;
pub(crate) mod head;
pub(crate) mod model_queue;
pub(crate) mod outing;
pub(crate) mod proxy_checks;
pub(crate) mod routes;
pub(crate) mod slots;

use std::sync::Arc;

use parking_lot::Mutex;
use pool::attempt::Outcome;
use pool::budget::Budget;
use pool::catalog::Catalog;
use pool::status::Signal;
use pool::{AccountId, Millis};

use crate::registry::Registry;
use crate::registry::accounts::Changes;
use crate::registry::relays::Line;
use crate::runtime::Runtime;
use affinity::Affinity;
use model_queue::ModelQueue;
use routes::Routes;
use slots::Slots;

/// Chooses accounts and relays for requests, and learns from what became of their calls.
pub(crate) struct Dispatch {
    runtime: Arc<Runtime>,
    registry: Arc<Registry>,
    pub(crate) slots: Arc<Slots>,
    pub(crate) affinity: Affinity,
    /// Second calls that all requests together may make.
    pub(crate) budget: Mutex<Budget>,
    /// Model lists that are to be fetched.
    pub(crate) model_queue: ModelQueue,
    pub(crate) routes: Routes,
    /// What an account is taken to list until its live list came.
    pub(crate) bundled: Catalog,
}

impl Dispatch {
    /// Nobody is served yet.
    pub(crate) fn new(runtime: Arc<Runtime>, registry: Arc<Registry>) -> Self {
        let settings = &runtime.settings;
        Self {
            slots: Arc::new(Slots::new((settings.strategy, settings.tiers.clone()), settings.stagger)),
            affinity: Affinity::default(),
            budget: Mutex::default(),
            model_queue: ModelQueue::default(),
            routes: Routes::default(),
            bundled: Catalog::bundled(),
            runtime,
            registry,
        }
    }

    /// Takes over now what the keeper would take over with its next look.
    pub(crate) async fn reread(&self) -> Result<(), store::Error> {
        let _turn = self.registry.lock.lock().await;
        let changes = self.registry.reload().await?;
        self.announce(&changes);
        Ok(())
    }

    /// Makes known what changed.
    pub(crate) fn announce(&self, changes: &Changes) {
        for id in changes.added.iter().chain(&changes.signed_in) {
            self.routes.forget(id);
            self.model_queue.want(id);
        }
        for id in &changes.retermed {
            self.slots.scatter(id);
        }
        for id in &changes.removed {
            tracing::info!(account = %id, "account removed");
            self.runtime.upstream.forget(id);
            self.routes.forget(id);
            self.slots.scatter(id);
        }
    }

    /// Makes known what changed among the relays.
    pub(crate) fn announce_relays(&self, changes: &Changes) {
        for id in changes.added.iter().chain(&changes.signed_in) {
            self.model_queue.want(id);
        }
        for id in &changes.removed {
            self.slots.scatter(id);
        }
    }

    /// Applies what was learned about an account. Whoever waits for one that does not serve any more chooses again.
    pub(crate) fn signal(&self, id: &AccountId, signal: &Signal) {
        let lost = self.registry.accounts.signal(id, signal, self.runtime.now());
        self.heed(lost, id, signal);
    }

    /// As [`Self::signal`], of a relay as it was when it was called.
    pub(crate) fn report(&self, line: &Line, signal: &Signal) {
        let lost = self.registry.accounts.report(line, signal, self.runtime.now());
        self.heed(lost, &line.relay.id, signal);
    }

    fn heed(&self, lost: bool, id: &AccountId, signal: &Signal) {
        if lost {
            let who = self.registry.accounts.who(id);
            tracing::warn!(account = who.account(), relay = who.relay(), "stops serving: {}", signal.words());
            self.slots.scatter(id);
        }
    }

    /// Tells an account's or relay's breaker what a call came to. The call's first part is when it began, the second tells
    /// conversations apart.
    pub(crate) fn judge(&self, id: &AccountId, call: (Millis, u64), outcome: &Outcome) {
        match outcome.works() {
            Some(true) => self.works(id),
            Some(false) if self.slots.failed(id, call, self.runtime.now()) => {
                let who = self.registry.accounts.who(id);
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
            let who = self.registry.accounts.who(id);
            tracing::info!(account = who.account(), relay = who.relay(), "calls are answered again");
        }
    }

    /// Takes over what a call said about the model that it asked an account for.
    pub(crate) fn note_model(&self, id: &AccountId, slug: &str, signal: &Signal) {
        match signal {
            Signal::ModelMissing => self.lacks(id, slug),
            Signal::ModelSpent { until, limit } => {
                let who = self.registry.accounts.who(id);
                tracing::info!(
                    account = who.account(),
                    relay = who.relay(),
                    model = slug,
                    limit,
                    "the model's own limit is used up"
                );
                self.registry.accounts.rests(id, slug, (limit, *until, self.runtime.now()));
            }
            _ => {}
        }
    }

    /// Notes that a model was refused that the list has, and asks for a newer list.
    pub(crate) fn lacks(&self, id: &AccountId, slug: &str) {
        if self.registry.accounts.lacks(id, slug, self.runtime.now()) {
            self.model_queue.doubt(id);
        }
    }

    /// Takes over newer quota figures.
    pub(crate) fn learn(&self, id: &AccountId, quota: pool::quota::Quota) {
        if self.registry.accounts.learn(id, quota, self.runtime.now()) {
            tracing::info!(account = %id, "account's quota is used up");
            self.slots.scatter(id);
        }
    }
}
