//! What refusals have taught about models' limits, beside the lists: the catalogue shows it, and requests heed it.

use std::sync::atomic::Ordering;

use pool::catalog::Catalog;
use pool::learned::{Asked, Known, Learned, Of};
use pool::{AccountId, Millis};
use proto::bounds::Bounds;
use proto::tokens::Words;

use super::{Accounts, Entry};

impl Accounts {
    /// What is known of a model's limits beyond the lists. Every request asks, and mostly there is nothing to know.
    pub(crate) fn known(&self, of: impl FnOnce() -> Of, now: Millis) -> Known {
        if self.ignorant() { Known::default() } else { self.learned.lock().known(&of(), now) }
    }

    /// Takes over what a refusal said.
    pub(crate) fn taught(&self, of: &Of, said: &Bounds, asked: Asked, now: Millis) {
        if self.teach(|learned| learned.note(of, said, asked, now)) {
            let Bounds { window, output, .. } = said;
            tracing::info!(relay = ?of.relay, model = of.model, ?window, ?output, "a refusal named limits of a model");
        }
    }

    /// Takes over how an upstream counts tokens.
    pub(crate) fn scaled(&self, of: &Of, said: &Bounds, ours: Words) {
        self.learned.lock().scale(of, said, ours);
    }

    /// The tokens of a prompt that is sure to be refused, by the upstream's count.
    pub(crate) fn over(&self, of: &Of, ours: Words, now: Millis) -> Option<u64> {
        self.learned.lock().over(of, ours, now)
    }

    /// A request of so many tokens in and out was served.
    pub(crate) fn served(&self, id: &AccountId, model: &str, usage: (u64, u64)) {
        if self.ignorant() {
            return;
        }
        let Some(entry) = self.get(id) else { return };
        let of = entry.of(model);
        if self.teach(|learned| learned.served(&of, usage)) {
            tracing::info!(relay = ?of.relay, model, "a larger request than a learned limit was served");
        }
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&self, now: Millis) {
        self.teach(|learned| learned.sweep(now));
    }

    /// A catalogue with what was learned.
    pub(crate) fn narrowed(&self, catalog: Catalog) -> Catalog {
        let learned = self.learned.lock();
        if learned.is_empty() { catalog } else { catalog.learning(|of| learned.last(&of)) }
    }

    /// Forgets what was learned of a relay that is another one now. The caller makes the catalogue anew.
    pub(crate) fn unlearn(&self, relay: &AccountId) {
        self.change(|learned| learned.forget(relay));
    }

    /// Whether nothing was learned of any model.
    fn ignorant(&self) -> bool {
        !self.taught.load(Ordering::Acquire)
    }

    /// Changes what is known; lists show it at once.
    fn teach(&self, change: impl FnOnce(&mut Learned) -> bool) -> bool {
        let changed = self.change(change);
        if changed {
            self.recatalog();
        }
        changed
    }

    fn change<T>(&self, change: impl FnOnce(&mut Learned) -> T) -> T {
        let mut learned = self.learned.lock();
        let changed = change(&mut learned);
        self.taught.store(!learned.is_empty(), Ordering::Release);
        changed
    }
}

impl Entry {
    /// A model of this account or relay, by the name that it is asked for here.
    pub(crate) fn of(&self, model: &str) -> Of {
        Of { relay: self.relay.as_ref().map(|line| line.relay.id.clone()), model: model.to_owned() }
    }
}
