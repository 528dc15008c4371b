//! Relays as candidates beside the accounts: one entry each, with its key instead of tokens.
//!
//! They come from the store and from the configuration file. A relay of the file exists in memory only: what was learned about
//! it ends with the process.

use std::sync::Arc;

use pool::catalog::{Model, RelayListing};
use pool::quota::Quota;
use pool::relay::{Capability, Relay};
use pool::{Account, AccountLimits, Secret, Status};

use super::accounts::{Accounts, Changes, Entry, ModelList, UnsavedState, removed_ids};

/// Where a relay is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayOrigin {
    /// In the store: added on the command line or over the admin API.
    Store,
    /// In the configuration file, which alone can change it.
    File,
}

/// A relay with its key.
#[derive(Clone, Debug)]
pub(crate) struct RelayEntry {
    pub(crate) relay: Relay,
    pub(crate) key: Secret,
    pub(crate) origin: RelayOrigin,
}

impl RelayEntry {
    /// Whether both lead to the same service with the same key: what was learned about one holds for the other.
    pub(crate) fn is_same_service(&self, other: &Self) -> bool {
        let (a, b) = (&self.relay, &other.relay);
        self.key == other.key
            && (&a.base_url, a.wire, &a.models, a.enabled) == (&b.base_url, b.wire, &b.models, b.enabled)
    }

    /// The relay as the choice among candidates sees it.
    fn account(&self) -> Account {
        let relay = &self.relay;
        Account {
            id: relay.id.clone(),
            label: relay.name.clone(),
            email: String::new(),
            plan: String::new(),
            upstream_id: String::new(),
            user: String::new(),
            fedramp: false,
            status: if relay.enabled { relay.status.clone() } else { Status::Disabled },
            quota: Quota::default(),
            terms: AccountLimits::default(),
            created: relay.created,
            version: relay.version,
            status_rev: 0,
        }
    }

    /// The models that its owner chose; `None` for the live list.
    fn configured_models(&self) -> Option<Arc<ModelList>> {
        let models: Vec<_> = self.relay.models.iter().map(|name| Model::bare(name)).collect();
        (!models.is_empty()).then(|| Arc::new(ModelList { etag: None, version: String::new(), models }))
    }
}

impl Entry {
    /// The entry of a relay.
    fn of_relay(line: RelayEntry) -> Self {
        let (account, models) = (line.account(), line.configured_models());
        Self { models, relay: Some(Arc::new(line)), ..Self::new(account) }
    }

    /// What the relay offers; `None` for accounts and for relays that are switched off or cannot do this.
    pub(crate) fn relay_listing(&self, capability: Capability) -> Option<RelayListing<'_>> {
        let relay = &self.relay.as_ref()?.relay;
        if !relay.enabled || !relay.capabilities.has(capability) {
            return None;
        }
        Some(RelayListing {
            id: &relay.id,
            name: &relay.name,
            prefix: &relay.prefix,
            models: self.models.as_ref().map_or(&[], |listing| listing.models.as_slice()),
            fixed: !relay.models.is_empty(),
        })
    }
}

impl Accounts {
    /// Takes over the relays of store and configuration. What was learned about a relay stays as long as its address, key and
    /// protocol do; others count as new.
    pub(crate) fn adopt_relays(&self, lines: Vec<RelayEntry>) -> Changes {
        let mut changes = Changes::default();
        self.replace(|old, dirty| {
            let mut next: Vec<_> = old.accounts().cloned().collect();
            for line in lines {
                let id = line.relay.id.clone();
                let known = old.get(&id);
                let unsaved = dirty.get(&id).is_some_and(UnsavedState::status);
                let kept = known.and_then(|known| keep_learned(known, &line, unsaved));
                match (&kept, known) {
                    (None, _) => changes.added.push(id),
                    (Some(kept), Some(known)) if is_healed(known, kept) => changes.signed_in.push(id),
                    _ => {}
                }
                next.push(Arc::new(kept.unwrap_or_else(|| Entry::of_relay(line))));
            }
            changes.removed = removed_ids(old, &next);
            // Before the catalogue of the new list is made.
            changes.added.iter().chain(&changes.removed).for_each(|id| self.forget_relay_limits(id));
            next
        });
        changes
    }
}

/// Whether somebody ended what only a person ends.
fn is_healed(known: &Entry, kept: &Entry) -> bool {
    known.account.status.lasts() && !kept.account.status.lasts()
}

/// The known entry with what is stored now; `None` when nothing of it holds any more.
fn keep_learned(known: &Entry, line: &RelayEntry, unsaved: bool) -> Option<Entry> {
    known.relay.as_ref().filter(|old| old.is_same_service(line))?;
    // Nobody but us knows the state of a relay of the file; the row of any other may be newer than what we know.
    let ours = unsaved || line.origin == RelayOrigin::File;
    let status = if ours { known.account.status.clone() } else { line.account().status };
    Some(Entry { account: Account { status, ..line.account() }, relay: Some(Arc::new(line.clone())), ..known.clone() })
}
