//! Limits of models that refusals have named, beside the lists. The catalogue shows them, and requests respect them.

use std::sync::atomic::Ordering;

use pool::catalog::Catalog;
use pool::learned::{Learned, LearnedLimits, ModelKey, RefusedRequest};
use pool::{AccountId, Millis};
use proto::tokens::Words;
use proto::upstream_error::bounds::Bounds;

use super::{AccountEntry, Accounts};

impl Accounts {
    /// The learned limits of a model. Every request asks, and mostly there are none.
    pub(crate) fn learned_limits(&self, of: impl FnOnce() -> ModelKey, now: Millis) -> LearnedLimits {
        if self.nothing_learned() { LearnedLimits::default() } else { self.learned.lock().known(&of(), now) }
    }

    /// Learns limits from a refusal.
    pub(crate) fn learn_from_refusal(&self, of: &ModelKey, bounds: &Bounds, request: RefusedRequest, now: Millis) {
        if self.update_learned(|learned| learned.note(of, bounds, request, now)) {
            let Bounds { window, output, .. } = bounds;
            tracing::info!(relay = ?of.relay, model = of.model, ?window, ?output, "a refusal named limits of a model");
        }
    }

    /// Learns how an upstream counts tokens.
    pub(crate) fn learn_token_scale(&self, of: &ModelKey, bounds: &Bounds, ours: Words) {
        self.learned.lock().scale(of, bounds, ours);
    }

    /// The tokens of a prompt, by the upstream's count, if they exceed its learned window.
    pub(crate) fn over_learned_window(&self, of: &ModelKey, ours: Words, now: Millis) -> Option<u64> {
        self.learned.lock().over_window(of, ours, now)
    }

    /// Learns from a served request with so many tokens in and out.
    pub(crate) fn note_served(&self, id: &AccountId, model: &str, usage: (u64, u64)) {
        if self.nothing_learned() {
            return;
        }
        let Some(entry) = self.get(id) else { return };
        let of = entry.model_key(model);
        if self.update_learned(|learned| learned.served(&of, usage)) {
            tracing::info!(relay = ?of.relay, model, "a larger request than a learned limit was served");
        }
    }

    /// Forgets limits that are too old.
    pub(crate) fn forget_old_limits(&self, now: Millis) {
        self.update_learned(|learned| learned.sweep(now));
    }

    /// The catalogue with the learned limits.
    pub(crate) fn with_learned_limits(&self, catalog: Catalog) -> Catalog {
        let learned = self.learned.lock();
        if learned.is_empty() { catalog } else { catalog.with_learned_limits(|of| learned.last(&of)) }
    }

    /// Forgets the limits of a relay that has changed. The caller rebuilds the catalogue.
    pub(crate) fn forget_relay_limits(&self, relay: &AccountId) {
        self.change(|learned| learned.forget(relay));
    }

    /// Whether nothing was learned of any model.
    fn nothing_learned(&self) -> bool {
        !self.has_learned.load(Ordering::Acquire)
    }

    /// Changes the learned limits, and rebuilds the catalogue.
    fn update_learned(&self, change: impl FnOnce(&mut Learned) -> bool) -> bool {
        let changed = self.change(change);
        if changed {
            self.rebuild_catalog();
        }
        changed
    }

    fn change<T>(&self, change: impl FnOnce(&mut Learned) -> T) -> T {
        let mut learned = self.learned.lock();
        let changed = change(&mut learned);
        self.has_learned.store(!learned.is_empty(), Ordering::Release);
        changed
    }
}

impl AccountEntry {
    /// A model of this account or relay, by the name that it is asked for here.
    pub(crate) fn model_key(&self, model: &str) -> ModelKey {
        ModelKey { relay: self.relay.as_ref().map(|relay| relay.relay.id.clone()), model: model.to_owned() }
    }
}
