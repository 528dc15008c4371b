//! Chooses the account or relay of a request: permits, conversation affinity, breakers, and the egress of a call.
//!
//! The results of calls come in here. They change the account in the registry, and requests that wait for an account that has stopped
//! serving choose again.

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

/// Chooses accounts and relays for requests, and learns from the results of their calls.
pub(crate) struct Dispatch {
    runtime: Arc<Runtime>,
    registry: Arc<Registry>,
    pub(crate) limiter: Arc<ConcurrencyLimiter>,
    pub(crate) affinity: Affinity,
    /// The retries that all requests together may make.
    budget: Mutex<Budget>,
    /// The model lists to fetch.
    pub(crate) model_queue: ModelFetchQueue,
    pub(crate) routes: BackendRouting,
    /// The models of an account without a live list.
    pub(crate) bundled: Catalog,
}

impl Dispatch {
    /// A dispatch without requests.
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

    /// Counts a request of a client; retries are a share of these.
    pub(crate) fn record_request(&self, now: Millis) {
        self.budget.lock().record_request(now);
    }

    /// Takes a retry from the budget; `false` when it has none.
    pub(crate) fn try_spend_retry(&self, now: Millis) -> bool {
        self.budget.lock().try_spend(now)
    }

    /// Reloads the registry now, instead of with the next look at the store.
    pub(crate) async fn reload_registry(&self) -> Result<(), store::Error> {
        let _guard = self.registry.lock_reload().await;
        let changes = self.registry.reload().await?;
        self.on_registry_changes(&changes);
        Ok(())
    }

    /// Applies the consequences of changes in the registry.
    pub(crate) fn on_registry_changes(&self, changes: &Changes) {
        for id in changes.added.iter().chain(&changes.signed_in) {
            self.routes.forget(id);
            self.model_queue.request(id);
        }
        for id in &changes.limits_changed {
            self.limiter.requeue(id);
        }
        for id in &changes.removed {
            tracing::info!(account = %id, "account removed");
            self.runtime.upstream.forget(id);
            self.routes.forget(id);
            self.limiter.requeue(id);
        }
    }

    /// Applies a signal about an account. When the account stops serving, the requests that wait for it choose again.
    pub(crate) fn signal(&self, id: &AccountId, signal: &Signal) {
        let lost = self.registry.accounts.signal(id, signal, self.runtime.now());
        self.on_status_lost(lost, id, signal);
    }

    /// As [`Self::signal`], for a relay as it was when it was called.
    pub(crate) fn signal_relay(&self, relay: &RelayEntry, signal: &Signal) {
        let lost = self.registry.accounts.signal_relay(relay, signal, self.runtime.now());
        self.on_status_lost(lost, &relay.relay.id, signal);
    }

    fn on_status_lost(&self, lost: bool, id: &AccountId, signal: &Signal) {
        if lost {
            let who = self.registry.accounts.log_subject(id);
            tracing::warn!(account = who.account(), relay = who.relay(), "stops serving: {}", signal.describe());
            self.limiter.requeue(id);
        }
    }

    /// Reports the outcome of a call to the breaker of its account or relay. `call` is when the call began and a hash of its
    /// conversation.
    pub(crate) fn record_outcome(&self, id: &AccountId, call: (Millis, u64), outcome: &Outcome) {
        match outcome.proves_working() {
            Some(true) => self.mark_answering(id),
            Some(false) if self.limiter.record_failure(id, call, self.runtime.now()) => {
                let who = self.registry.accounts.log_subject(id);
                tracing::warn!(
                    account = who.account(),
                    relay = who.relay(),
                    "calls fail one after the other: left alone for a while"
                );
            }
            _ => {}
        }
    }

    /// Reports an answered call to the breaker.
    pub(crate) fn mark_answering(&self, id: &AccountId) {
        if self.limiter.record_success(id) {
            let who = self.registry.accounts.log_subject(id);
            tracing::info!(account = who.account(), relay = who.relay(), "calls are answered again");
        }
    }

    /// Records what a call showed about a model of an account.
    pub(crate) fn note_model(&self, id: &AccountId, slug: &str, signal: &Signal) {
        match signal {
            Signal::ModelMissing => self.note_missing_model(id, slug),
            Signal::ModelExhausted { until, limit } => {
                let who = self.registry.accounts.log_subject(id);
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

    /// Records the refusal of a listed model, and asks for a newer list.
    pub(crate) fn note_missing_model(&self, id: &AccountId, slug: &str) {
        if self.registry.accounts.note_missing_model(id, slug, self.runtime.now()) {
            self.model_queue.request_doubted(id);
        }
    }

    /// Applies newer quota figures.
    pub(crate) fn learn_quota(&self, id: &AccountId, quota: pool::quota::Quota) {
        if self.registry.accounts.merge_quota(id, quota, self.runtime.now()) {
            tracing::info!(account = %id, "account's quota is used up");
            self.limiter.requeue(id);
        }
    }
}
