//! Who serves a request: places on accounts, the conversations that they keep, their breakers, and the way out of a call.
//!
//! What calls say about accounts comes in here: it changes the account in the registry, and sends those who wait for one that does
//! not serve any more to choose again.

pub(crate) mod affinity;
pub(crate) mod backend_routing;
mod choice;
pub(crate) mod egress_attempts;
pub(crate) mod head;
pub(crate) mod limiter;
pub(crate) mod model_queue;
pub(crate) mod proxy_checks;

use std::sync::Arc;

use parking_lot::Mutex;
use pool::attempt::Outcome;
use pool::budget::Budget;
use pool::catalog::Catalog;
use pool::status::Signal;
use pool::{AccountId, Millis};

use crate::registry::Registry;
use crate::registry::accounts::Changes;
use crate::registry::relays::RelayEntry;
use crate::runtime::Runtime;
use affinity::Affinity;
use backend_routing::BackendRouting;
use limiter::ConcurrencyLimiter;
use model_queue::ModelFetchQueue;

/// Chooses accounts and relays for requests, and learns from what became of their calls.
pub(crate) struct Dispatch {
    runtime: Arc<Runtime>,
    registry: Arc<Registry>,
    pub(crate) limiter: Arc<ConcurrencyLimiter>,
    pub(crate) affinity: Affinity,
    /// Second calls that all requests together may make.
    pub(crate) budget: Mutex<Budget>,
    /// Model lists that are to be fetched.
    pub(crate) model_queue: ModelFetchQueue,
    pub(crate) routes: BackendRouting,
    /// What an account is taken to list until its live list came.
    pub(crate) bundled: Catalog,
}

impl Dispatch {
    /// Nobody is served yet.
    pub(crate) fn new(runtime: Arc<Runtime>, registry: Arc<Registry>) -> Self {
        let settings = &runtime.settings;
        Self {
            limiter: Arc::new(ConcurrencyLimiter::new((settings.strategy, settings.tiers.clone()), settings.stagger)),
            affinity: Affinity::default(),
            budget: Mutex::default(),
            model_queue: ModelFetchQueue::default(),
            routes: BackendRouting::default(),
            bundled: Catalog::bundled(),
            runtime,
            registry,
        }
    }

    /// Takes over now what the keeper would take over with its next look.
    pub(crate) async fn reload_registry(&self) -> Result<(), store::Error> {
        let _turn = self.registry.lock.lock().await;
        let changes = self.registry.reload().await?;
        self.on_registry_changes(&changes);
        Ok(())
    }

    /// Makes known what changed.
    pub(crate) fn on_registry_changes(&self, changes: &Changes) {
        for id in changes.added.iter().chain(&changes.signed_in) {
            self.routes.forget(id);
            self.model_queue.request(id);
        }
        for id in &changes.terms_changed {
            self.limiter.requeue(id);
        }
        for id in &changes.removed {
            tracing::info!(account = %id, "account removed");
            self.runtime.upstream.forget(id);
            self.routes.forget(id);
            self.limiter.requeue(id);
        }
    }

    /// Applies what was learned about an account. Whoever waits for one that does not serve any more chooses again.
    pub(crate) fn signal(&self, id: &AccountId, signal: &Signal) {
        let lost = self.registry.accounts.signal(id, signal, self.runtime.now());
        self.on_status_lost(lost, id, signal);
    }

    /// As [`Self::signal`], of a relay as it was when it was called.
    pub(crate) fn signal_relay(&self, line: &RelayEntry, signal: &Signal) {
        let lost = self.registry.accounts.report(line, signal, self.runtime.now());
        self.on_status_lost(lost, &line.relay.id, signal);
    }

    fn on_status_lost(&self, lost: bool, id: &AccountId, signal: &Signal) {
        if lost {
            let who = self.registry.accounts.who(id);
            tracing::warn!(account = who.account(), relay = who.relay(), "stops serving: {}", signal.describe());
            self.limiter.requeue(id);
        }
    }

    /// Tells an account's or relay's breaker what a call came to. The call's first part is when it began, the second tells
    /// conversations apart.
    pub(crate) fn record_outcome(&self, id: &AccountId, call: (Millis, u64), outcome: &Outcome) {
        match outcome.proves_working() {
            Some(true) => self.mark_answering(id),
            Some(false) if self.limiter.record_failure(id, call, self.runtime.now()) => {
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
    pub(crate) fn mark_answering(&self, id: &AccountId) {
        if self.limiter.record_success(id) {
            let who = self.registry.accounts.who(id);
            tracing::info!(account = who.account(), relay = who.relay(), "calls are answered again");
        }
    }

    /// Takes over what a call said about the model that it asked an account for.
    pub(crate) fn note_model(&self, id: &AccountId, slug: &str, signal: &Signal) {
        match signal {
            Signal::ModelMissing => self.note_missing_model(id, slug),
            Signal::ModelSpent { until, limit } => {
                let who = self.registry.accounts.who(id);
                tracing::info!(
                    account = who.account(),
                    relay = who.relay(),
                    model = slug,
                    limit,
                    "the model's own limit is used up"
                );
                self.registry.accounts.note_model_limit(id, slug, (limit, *until, self.runtime.now()));
            }
            _ => {}
        }
    }

    /// Notes that a model was refused that the list has, and asks for a newer list.
    pub(crate) fn note_missing_model(&self, id: &AccountId, slug: &str) {
        if self.registry.accounts.note_missing_model(id, slug, self.runtime.now()) {
            self.model_queue.request_doubted(id);
        }
    }

    /// Takes over newer quota figures.
    pub(crate) fn learn_quota(&self, id: &AccountId, quota: pool::quota::Quota) {
        if self.registry.accounts.learn(id, quota, self.runtime.now()) {
            tracing::info!(account = %id, "account's quota is used up");
            self.limiter.requeue(id);
        }
    }
}
