//! Relays as candidates beside the accounts: one entry each, with its key instead of tokens.
//!
//! They come from the store and from the configuration file. The state of a relay of the file is in memory only and ends with the
//! process.

use std::sync::Arc;

use pool::catalog::{Model, RelayListing};
use pool::quota::Quota;
use pool::relay::{Capability, Relay};
use pool::{Account, AccountLimits, Secret, Status};

use super::accounts::{AccountEntry, Accounts, Changes, ModelList, UnsavedState, removed_ids};

/// Where a relay is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RelayOrigin {
    /// In the store: added on the command line or over the admin API.
    Store,
    /// In the configuration file; it is changed only there.
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
    /// Whether both are the same service with the same key, so that learned state holds for both.
    pub(crate) fn is_same_service(&self, other: &Self) -> bool {
        let (a, b) = (&self.relay, &other.relay);
        self.key == other.key
            && (&a.base_url, a.wire, &a.models, a.enabled) == (&b.base_url, b.wire, &b.models, b.enabled)
    }

    /// The relay in the form of an account, for the choice among candidates.
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
            limits: AccountLimits::default(),
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

impl AccountEntry {
    /// The entry of a relay.
    fn of_relay(relay: RelayEntry) -> Self {
        let (account, models) = (relay.account(), relay.configured_models());
        Self { models, relay: Some(Arc::new(relay)), ..Self::new(account) }
    }

    /// The models that the relay offers; `None` for accounts and for relays that are disabled or lack the capability.
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
    /// Applies the relays of store and configuration. Learned state is kept while a relay's address, key and protocol stay the same; other
    /// relays count as new.
    pub(crate) fn adopt_relays(&self, relays: Vec<RelayEntry>) -> Changes {
        let mut changes = Changes::default();
        self.replace(|old, dirty| {
            let mut next: Vec<_> = old.accounts().cloned().collect();
            for relay in relays {
                let id = relay.relay.id.clone();
                let known = old.get(&id);
                let unsaved = dirty.get(&id).is_some_and(UnsavedState::status);
                let merged = known.and_then(|known| keep_learned(known, &relay, unsaved));
                match (&merged, known) {
                    (None, _) => changes.added.push(id),
                    (Some(merged), Some(known)) if is_healed(known, merged) => changes.signed_in.push(id),
                    _ => {}
                }
                next.push(Arc::new(merged.unwrap_or_else(|| AccountEntry::of_relay(relay))));
            }
            changes.removed = removed_ids(old, &next);
            // Before the catalogue of the new list is built.
            changes.added.iter().chain(&changes.removed).for_each(|id| self.forget_relay_limits(id));
            next
        });
        changes
    }
}

/// Whether a person ended a lasting refusal.
fn is_healed(known: &AccountEntry, merged: &AccountEntry) -> bool {
    known.account.status.needs_person() && !merged.account.status.needs_person()
}

/// The known entry with the stored relay; `None` when its learned state no longer holds.
fn keep_learned(known: &AccountEntry, relay: &RelayEntry, unsaved: bool) -> Option<AccountEntry> {
    known.relay.as_ref().filter(|old| old.is_same_service(relay))?;
    // The state of a relay of the file is only in memory; any other relay's row may be newer than memory.
    let ours = unsaved || relay.origin == RelayOrigin::File;
    let status = if ours { known.account.status.clone() } else { relay.account().status };
    Some(AccountEntry {
        account: Account { status, ..relay.account() },
        relay: Some(Arc::new(relay.clone())),
        ..known.clone()
    })
}
