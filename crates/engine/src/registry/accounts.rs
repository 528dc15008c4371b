//! The accounts and relays in memory: a snapshot that requests read without waiting, edited by signals, refreshes and reloads.
//!
//! The store is the truth for who exists and for tokens; statuses and quota figures are learned here and written back by
//! `StoreSync`. Edits copy the one entry that changes; they happen per request at most, never per token.

mod adopt;
mod learn;
mod list;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pool::catalog::{Catalog, CustomModel, Model, Names};
use pool::learned::Learned;
use pool::quota::Quota;
use pool::relay::Capability;
use pool::status::Signal;
use pool::{Account, AccountId, AccountLimits, Millis, Status, Tokens, limits};
use proto::Wire;
use tokio::sync::Notify;
use tracing::field::{DisplayValue, display};

use crate::registry::feed::{EventFeed, quota_differs};
use crate::registry::relays::RelayEntry;
pub(crate) use adopt::{Changes, StoredAccount, removed_ids};
pub(crate) use list::{AccountList, CHUNK};
pub use view::{AccountView, Ready};

/// One account or relay with the engine's own state.
#[derive(Clone, Debug)]
pub(crate) struct AccountEntry {
    /// The account; its status and quota are the newest known.
    pub(crate) account: Account,
    /// Its tokens; `None` when the store has none.
    pub(crate) tokens: Option<Arc<Tokens>>,
    /// Its live model list; `None` until the first came.
    pub(crate) models: Option<Arc<ModelList>>,
    /// Listed models that it refused, until a new list comes or some time has passed, and models whose own limit is used up.
    pub(crate) refused_models: Vec<RefusedModel>,
    /// When we last refreshed its tokens, by the monotonic clock.
    pub(crate) refreshed_at: Option<Instant>,
    /// 0 to 1: how much earlier than needed its tokens are refreshed.
    pub(crate) jitter: f64,
    /// The relay that it is; `None` for an account.
    pub(crate) relay: Option<Arc<RelayEntry>>,
    /// When it was last refused because its quota is used up; 0 for never.
    pub(crate) exhausted_at: Millis,
}

/// The subject of a log line: an account by its id, a relay by its name.
#[derive(Clone, Debug)]
pub(crate) enum LogSubject {
    Account(AccountId),
    Relay(String),
}

impl LogSubject {
    /// The field `account`, where it is one.
    pub(crate) fn account(&self) -> Option<DisplayValue<&AccountId>> {
        if let Self::Account(id) = self { Some(display(id)) } else { None }
    }

    /// The field `relay`, where it is one.
    pub(crate) fn relay(&self) -> Option<&str> {
        if let Self::Relay(name) = self { Some(name) } else { None }
    }
}

/// A model that was refused.
#[derive(Clone, Debug)]
pub(crate) struct RefusedModel {
    slug: String,
    at: Millis,
    /// Set when the model exists and its own limit is used up: the limit, and until when.
    used_up: Option<(String, Millis)>,
}

/// The version that marks a row for reading again; no stored row has it.
const STALE: i64 = i64::MIN;

/// The capabilities of relays beside conversations.
const SIDE_CAPABILITIES: [Capability; 3] = [Capability::Embeddings, Capability::Audio, Capability::Images];

/// An account's live model list.
#[derive(Debug)]
pub(crate) struct ModelList {
    pub(crate) etag: Option<String>,
    /// The client version that it was asked for; empty for relays, whose lists depend on none.
    pub(crate) version: String,
    pub(crate) models: Vec<Model>,
}

/// The unsaved state of an account.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnsavedState {
    /// The signals since its status was last written, oldest first. They are applied again to a status that another process wrote
    /// meanwhile. Only the latest [`SIGNALS`] are kept.
    pub(crate) signals: Vec<(Signal, Millis)>,
    pub(crate) quota: bool,
}

/// Signals kept of an account whose status cannot be written.
const SIGNALS: usize = 16;

impl UnsavedState {
    /// Whether there is anything.
    pub(crate) fn any(&self) -> bool {
        self.quota || self.status()
    }

    /// Whether its status is not written.
    pub(crate) fn status(&self) -> bool {
        !self.signals.is_empty()
    }

    fn learn(&mut self, signals: impl IntoIterator<Item = (Signal, Millis)>) {
        self.signals.extend(signals);
        let old = self.signals.len().saturating_sub(SIGNALS);
        self.signals.drain(..old);
    }
}

/// The accounts.
pub(crate) struct Accounts {
    list: ArcSwap<AccountList>,
    catalog: ArcSwap<Catalog>,
    /// The models of relays for calls beside conversations, in the order of [`SIDE_CAPABILITIES`].
    capability_catalogs: ArcSwap<[Arc<Catalog>; 3]>,
    /// The owner's rows of the catalogue.
    custom_models: Vec<CustomModel>,
    /// The owner's names and routes.
    names: Names,
    /// Limits of models that refusals have named.
    learned: Mutex<Learned>,
    /// Whether any were learned. Written under the lock, read without it.
    has_learned: AtomicBool,
    /// Held by writers, so that no edit is lost. Readers never wait.
    edits: Mutex<()>,
    dirty: Mutex<HashMap<AccountId, UnsavedState>>,
    /// A status waits to be written.
    pub(crate) unsaved: Notify,
    /// Tokens or accounts changed, so the refresh schedule changed.
    pub(crate) rescheduled: Notify,
    /// The feed of changes.
    pub(crate) feed: EventFeed,
}

impl Accounts {
    /// No accounts, and the bundled catalogue with these custom models and routes.
    pub(crate) fn new(custom_models: Vec<CustomModel>, names: Names) -> Self {
        Self {
            list: ArcSwap::default(),
            catalog: ArcSwap::from_pointee(Catalog::bundled().with_custom(&custom_models).routed(&names).vacant()),
            custom_models,
            names,
            capability_catalogs: ArcSwap::default(),
            learned: Mutex::default(),
            has_learned: AtomicBool::new(false),
            edits: Mutex::new(()),
            dirty: Mutex::default(),
            unsaved: Notify::new(),
            rescheduled: Notify::new(),
            feed: EventFeed::new(),
        }
    }

    /// The accounts as they are now.
    pub(crate) fn list(&self) -> Arc<AccountList> {
        self.list.load_full()
    }

    /// One account.
    pub(crate) fn get(&self, id: &AccountId) -> Option<Arc<AccountEntry>> {
        self.list.load().get(id).cloned()
    }

    /// The account or relay for a log line.
    pub(crate) fn log_subject(&self, id: &AccountId) -> LogSubject {
        let name = self.get(id).and_then(|entry| Some(entry.relay.as_ref()?.relay.name.clone()));
        name.map_or_else(|| LogSubject::Account(id.clone()), LogSubject::Relay)
    }

    /// The models that can be asked for.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The models of relays with this capability.
    pub(crate) fn catalog_for(&self, capability: Capability) -> Arc<Catalog> {
        let at = SIDE_CAPABILITIES.iter().position(|side| *side == capability);
        at.map_or_else(|| self.catalog(), |at| Arc::clone(&self.capability_catalogs.load()[at]))
    }

    /// Applies a signal about an account; `true` when it stopped serving.
    pub(crate) fn signal(&self, id: &AccountId, signal: &Signal, now: Millis) -> bool {
        self.apply(id, (signal, now), |_| true)
    }

    /// As [`Self::signal`], for a relay as it was when it was called. A signal about a former address or key is ignored.
    pub(crate) fn signal_relay(&self, relay: &RelayEntry, signal: &Signal, now: Millis) -> bool {
        let same = |entry: &AccountEntry| entry.relay.as_ref().is_some_and(|known| known.is_same_service(relay));
        self.apply(&relay.relay.id, (signal, now), same)
    }

    fn apply(&self, id: &AccountId, (signal, now): (&Signal, Millis), holds: impl Fn(&AccountEntry) -> bool) -> bool {
        // Nearly every request gives such a signal, which changes nothing.
        let idle = matches!(signal, Signal::None | Signal::ModelMissing | Signal::ModelExhausted { .. });
        let known = matches!(signal, Signal::Served | Signal::Ample) && self.status(id) == Some(Status::Active);
        if idle || known {
            return false;
        }
        let mut lost = false;
        self.edit(id, |entry| {
            if !holds(entry) {
                return false;
            }
            let is_exhausted = matches!(signal, Signal::Exhaust { .. });
            if is_exhausted {
                entry.exhausted_at = now;
            }
            let next = entry.account.status.apply(signal, now);
            if next == entry.account.status {
                return is_exhausted;
            }
            lost = entry.account.status.serves(now) && !next.serves(now);
            let before = std::mem::replace(&mut entry.account.status, next);
            if entry.relay.is_none() && before.as_str() != entry.account.status.as_str() {
                self.feed.send_status(&entry.account, &before, (signal.describe(), now));
            }
            // Still under the lock, so that no reload comes between.
            self.dirty.lock().entry(id.clone()).or_default().learn([(signal.clone(), now)]);
            self.unsaved.notify_one();
            true
        });
        lost
    }

    /// Merges newer figures; `true` as in [`Self::signal`].
    pub(crate) fn merge_quota(&self, id: &AccountId, quota: Quota, now: Millis) -> bool {
        let mut signal = Signal::None;
        let learned = self.edit(id, |entry| {
            // A relay may pass on the figures of its own account.
            if entry.relay.is_some() {
                return false;
            }
            let before = entry.account.quota.clone();
            let open = quota.open(now);
            if !entry.account.quota.merge(quota) {
                return false;
            }
            entry.refused_models.retain(|lack| !lack.used_up.as_ref().is_some_and(|(limit, _)| open.contains(limit)));
            signal = entry.account.quota.verdict(entry.exhausted_at, now);
            if quota_differs(&before, &entry.account.quota) {
                self.feed.send_quota(&entry.account);
            }
            true
        });
        if learned {
            self.dirty.lock().entry(id.clone()).or_default().quota = true;
        }
        self.signal(id, &signal, now)
    }

    /// Publishes refreshed tokens, which are stored already.
    pub(crate) fn set_tokens(&self, id: &AccountId, tokens: Arc<Tokens>) {
        self.edit(id, |entry| {
            entry.tokens = Some(tokens);
            entry.refreshed_at = Some(Instant::now());
            entry.jitter = rand::random();
            true
        });
        self.rescheduled.notify_one();
    }

    /// Publishes an account's live list.
    pub(crate) fn set_model_list(&self, id: &AccountId, listing: Arc<ModelList>) {
        self.edit(id, |entry| {
            entry.models = Some(listing);
            entry.refused_models.retain(|lack| lack.used_up.is_some());
            true
        });
        self.rebuild_catalog();
    }

    /// As [`Self::set_model_list`], for many accounts at once.
    pub(crate) fn set_model_lists(&self, mut listings: HashMap<AccountId, Arc<ModelList>>) {
        let mut own = |entry: &Arc<AccountEntry>| match listings.remove(&entry.account.id) {
            Some(listing) => {
                let mut entry = AccountEntry { models: Some(listing), ..AccountEntry::clone(entry) };
                entry.refused_models.retain(|lack| lack.used_up.is_some());
                Arc::new(entry)
            }
            None => Arc::clone(entry),
        };
        self.replace(|list, _| list.iter().map(&mut own).collect());
    }

    /// Sets an account's limits.
    pub(crate) fn set_limits(&self, id: &AccountId, limits: AccountLimits) {
        self.edit(id, |entry| {
            entry.account.limits = limits;
            true
        });
    }

    /// Records the refusal of a listed model; `true` when it is new. For relays only listed models count, because they are asked for any
    /// name that a client sends.
    pub(crate) fn note_missing_model(&self, id: &AccountId, slug: &str, now: Millis) -> bool {
        self.edit(id, |entry| {
            let news = (entry.relay.is_none() || entry.lists_model(slug)) && !entry.refused_recently(slug, now);
            if news {
                entry.refused_models.retain(|lack| lack.slug != slug);
                entry.refused_models.push(RefusedModel { slug: slug.to_owned(), at: now, used_up: None });
            }
            news
        })
    }

    /// Records that a model's own limit is used up.
    pub(crate) fn note_model_limit(&self, id: &AccountId, slug: &str, (limit, until, now): (&str, Millis, Millis)) {
        self.edit(id, |entry| {
            entry.refused_models.retain(|lack| lack.slug != slug);
            entry.refused_models.push(RefusedModel {
                slug: slug.to_owned(),
                at: now,
                used_up: Some((limit.to_owned(), until)),
            });
            true
        });
    }

    /// Counts our own write of the account's status.
    pub(crate) fn count_status_write(&self, id: &AccountId) {
        self.edit(id, |entry| {
            entry.account.status_rev += 1;
            entry.account.version += 1;
            true
        });
    }

    /// Marks the account's row as changed by another process. The next reload reads it, and until then no status is written over it.
    /// Counting the version instead would be wrong where a reload has read the new row already.
    pub(crate) fn mark_stale(&self, id: &AccountId) {
        self.edit(id, |entry| {
            entry.account.status_rev = STALE;
            entry.account.version = STALE;
            true
        });
    }

    /// Counts our own write of the row.
    pub(crate) fn count_write(&self, id: &AccountId) {
        self.edit(id, |entry| {
            entry.account.version += 1;
            true
        });
    }

    /// Sets the status that the owner chose, which is stored already. Unsaved signals are dropped.
    pub(crate) fn set_status(&self, id: &AccountId, status: &Status, now: Millis) {
        self.edit(id, |entry| {
            let before = std::mem::replace(&mut entry.account.status, status.clone());
            if entry.relay.is_none() && before.as_str() != status.as_str() {
                self.feed.send_status(&entry.account, &before, ("its owner changed it".into(), now));
            }
            if let Some(dirty) = self.dirty.lock().get_mut(id) {
                dirty.signals.clear();
            }
            true
        });
    }

    /// Takes the unsaved state. The caller writes it and restores what failed.
    pub(crate) fn take_unsaved(&self) -> HashMap<AccountId, UnsavedState> {
        std::mem::take(&mut *self.dirty.lock())
    }

    /// Restores state that could not be written.
    pub(crate) fn restore_unsaved(&self, id: AccountId, failed: UnsavedState) {
        let mut dirty = self.dirty.lock();
        let entry = dirty.entry(id).or_default();
        let later = std::mem::take(&mut entry.signals);
        entry.learn(failed.signals.into_iter().chain(later));
        entry.quota |= failed.quota;
    }

    fn status(&self, id: &AccountId) -> Option<Status> {
        self.list.load().get(id).map(|entry| entry.account.status.clone())
    }

    /// Edits one entry. The change is published when `edit` returns `true`.
    fn edit(&self, id: &AccountId, edit: impl FnOnce(&mut AccountEntry) -> bool) -> bool {
        let _one_writer = self.edits.lock();
        let list = self.list.load_full();
        let Some(known) = list.get(id) else { return false };
        let mut entry = AccountEntry::clone(known);
        let changed = edit(&mut entry);
        if changed {
            self.list.store(Arc::new(list.with_entry(entry)));
        }
        changed
    }

    /// Replaces the list by one made of the current list and the unsaved state.
    pub(crate) fn replace(
        &self,
        next: impl FnOnce(&AccountList, &HashMap<AccountId, UnsavedState>) -> Vec<Arc<AccountEntry>>,
    ) {
        {
            let _one_writer = self.edits.lock();
            let dirty = self.dirty.lock().clone();
            let old = self.list.load_full();
            let next = next(&old, &dirty);
            self.list.store(Arc::new(AccountList::new(next, &old)));
        }
        self.rebuild_catalog();
        self.rescheduled.notify_one();
    }

    /// Rebuilds the catalogue of the live lists. Accounts that can serve come first, so that their entry of a model counts.
    fn rebuild_catalog(&self) {
        // The catalogue of an older list must not overtake that of a newer one.
        let _one_writer = self.edits.lock();
        let list = self.list.load();
        let own = || list.accounts();
        let live = |wanted: bool| {
            let entries = own().filter(move |entry| (entry.account.status == Status::Active) == wanted);
            let enabled = entries.filter(|entry| entry.account.status != Status::Disabled);
            enabled.filter_map(|entry| entry.models.as_ref())
        };
        // Most accounts share a list.
        let mut seen = HashSet::new();
        let lists = live(true).chain(live(false)).filter(|listing| seen.insert(Arc::as_ptr(listing)));
        let lists: Vec<_> = lists.map(|listing| listing.models.as_slice()).collect();
        let relays = |capability| list.iter().filter_map(move |entry| entry.relay_listing(capability));
        let catalog = match (lists.is_empty(), own().next().is_none() && !list.is_empty()) {
            (false, _) => Catalog::live(lists).with_custom(&self.custom_models),
            // No account here could serve the bundled models.
            (true, true) => Catalog::default(),
            (true, false) => Catalog::bundled().with_custom(&self.custom_models),
        };
        let catalog = catalog.routed(&self.names);
        let catalog = if list.is_empty() { catalog.vacant() } else { catalog };
        self.catalog.store(Arc::new(
            self.with_learned_limits(catalog.with_relays(relays(Capability::Chat), &self.custom_models)),
        ));
        self.capability_catalogs
            .store(Arc::new(SIDE_CAPABILITIES.map(|side| Arc::new(Catalog::default().with_relays(relays(side), &[])))));
    }
}

impl AccountEntry {
    /// An account of which nothing is known yet.
    pub(crate) fn new(account: Account) -> Self {
        Self {
            account,
            tokens: None,
            models: None,
            refused_models: Vec::new(),
            refreshed_at: None,
            jitter: 0.0,
            relay: None,
            exhausted_at: Millis(0),
        }
    }

    /// How long its tokens must not be refreshed again; zero when they may be.
    pub(crate) fn refresh_cooldown(&self) -> Duration {
        self.refreshed_at.map_or(Duration::ZERO, |at| limits::REFRESH_GAP.saturating_sub(at.elapsed()))
    }

    /// The protocol of its calls.
    pub(crate) fn wire(&self) -> Wire {
        self.relay.as_ref().map_or(Wire::Responses, |relay| relay.relay.wire)
    }

    /// Whether the account can serve the model: by its live list, else by the bundled one; a `custom` model always. A relay is asked only
    /// for models whose name selected it.
    pub(crate) fn can_serve_model(&self, (slug, custom): (&str, bool), bundled: &Catalog, now: Millis) -> bool {
        if self.refused_recently(slug, now) {
            return false;
        }
        custom || self.relay.is_some() || self.lists_model(slug) || self.models.is_none() && bundled.get(slug).is_some()
    }

    /// Whether its live list, or the list of its owner, has the model.
    fn lists_model(&self, slug: &str) -> bool {
        self.models.as_ref().is_some_and(|listing| listing.models.iter().any(|model| model.slug == slug))
    }

    /// Whether it refused the model recently. A refusal from the future of a clock that was set back does not count.
    fn refused_recently(&self, slug: &str, now: Millis) -> bool {
        let lately = |lack: &RefusedModel| {
            lack.used_up.is_none() && lack.at <= now && u128::from(lack.at.until(now)) < limits::MODEL_REST.as_millis()
        };
        self.refused_models.iter().any(|lack| lack.slug == slug && lately(lack))
    }

    /// Until when the model's own limit is used up, and which limit. A limit from the future of a clock that was set back does not count.
    pub(crate) fn model_limit(&self, slug: &str, now: Millis) -> Option<(Millis, &str)> {
        let is_limited = |lack: &'_ RefusedModel| lack.slug == slug && lack.at.believed(now) == lack.at;
        let (limit, until) = self.refused_models.iter().find(|lack| is_limited(lack))?.used_up.as_ref()?;
        (*until > now).then_some((*until, limit.as_str()))
    }
}
