//! Accounts, relays, keys and proxies in memory: as stored, with what was learned since.
//!
//! Requests read snapshots without waiting. Every reload of stored rows holds [`Registry::lock_reload`].

pub(crate) mod accounts;
pub(crate) mod egress;
pub(crate) mod extras;
pub(crate) mod feed;
pub(crate) mod keys;
pub(crate) mod relays;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use pool::relay::Relay;
use pool::{Account, AccountId, Secret, Status, Tokens};
use tokio::time::Instant;

use crate::clock::Moment;
use crate::runtime::Runtime;
use accounts::{AccountEntry, Accounts, Changes, StoredAccount};
use egress::{Egress, INTERVAL};
use extras::AccountExtras;
use keys::Keys;
use relays::{RelayEntry, RelayOrigin};

/// A leap of the clock by more than this between two looks means that the machine slept.
const SLEPT: Duration = Duration::from_secs(5);
/// Most accounts that are read one by one; when more have changed, all are read at once.
const SINGLY: usize = 64;

/// The accounts, relays, keys and proxies of this node.
pub(crate) struct Registry {
    runtime: Arc<Runtime>,
    pub(crate) accounts: Accounts,
    pub(crate) keys: Keys,
    pub(crate) extras: AccountExtras,
    pub(crate) egress: Egress,
    /// The relays of the configuration file.
    file_relays: Mutex<Vec<RelayEntry>>,
    /// See [`Self::lock_reload`].
    lock: tokio::sync::Mutex<()>,
    /// Since when the store cannot be read; `None` while it can.
    store_away: Mutex<Option<Instant>>,
    /// The last moment at which the machine was awake.
    awake: Mutex<Moment>,
}

impl Registry {
    /// Nothing is read yet.
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        let settings = &runtime.settings;
        Self {
            accounts: Accounts::new(settings.custom.clone(), settings.names.clone()),
            keys: Keys::new(settings.api_key.as_ref(), runtime.store.pepper()),
            extras: AccountExtras::default(),
            egress: Egress::new(runtime.upstream.config().proxy.is_some()),
            file_relays: Mutex::default(),
            lock: tokio::sync::Mutex::default(),
            store_away: Mutex::default(),
            awake: Mutex::new(runtime.clock.moment()),
            runtime,
        }
    }

    /// Held during a reload and during a write of learned state, because each makes the data of the other outdated.
    pub(crate) async fn lock_reload(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lock.lock().await
    }

    /// Sets the relays of the configuration file; [`Self::reload_relays`] puts them in place.
    pub(crate) fn set_file_relays(&self, relays: Vec<RelayEntry>) {
        *self.file_relays.lock() = relays;
    }

    /// Whether a relay of the configuration file is as asked.
    pub(crate) fn has_file_relay(&self, is_wanted: impl Fn(&RelayEntry) -> bool) -> bool {
        self.file_relays.lock().iter().any(is_wanted)
    }

    /// For how long the store has not been readable; `None` while it is.
    pub(crate) fn store_away(&self) -> Option<Duration> {
        self.store_away.lock().map(|since| since.elapsed())
    }

    /// Notes whether the store can be read.
    pub(crate) fn set_store_away(&self, is_away: bool) {
        let mut since = self.store_away.lock();
        *since = is_away.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Detects that the machine slept. Then idle connections are closed, because they are dead, and overdue tokens are refreshed.
    pub(crate) fn wake(&self) {
        let clock = &self.runtime.clock;
        let slept = std::mem::replace(&mut *self.awake.lock(), clock.moment()).leap(clock);
        if slept > SLEPT {
            tracing::info!(seconds = slept.as_secs(), "the clock leapt, as after a sleep; connections are made anew");
            self.runtime.upstream.close_idle();
            self.accounts.rescheduled.notify_one();
        }
    }

    /// An account, and no relay.
    pub(crate) fn account(&self, id: &str) -> Option<Arc<AccountEntry>> {
        self.accounts.get(&AccountId(id.to_owned())).filter(|entry| entry.relay.is_none())
    }

    /// The id and the name of an account's egress: `global`, `direct` or `auto` twice, or a proxy's id and name.
    pub(crate) fn egress_labels(&self, id: &AccountId) -> (String, String) {
        let table = self.egress.table();
        let assigned = table.egress(id);
        let proxy = if let pool::egress::Egress::Fixed(id) = assigned { table.proxy(id) } else { None };
        (assigned.to_string(), proxy.map_or_else(|| assigned.to_string(), |proxy| proxy.name.clone()))
    }

    /// Reloads proxies and egress from the store. The caller holds [`Self::lock`].
    pub(crate) async fn reload_egress(&self) -> Result<(), store::Error> {
        let proxies = self.runtime.store.proxies().await?;
        let assigned = self.runtime.store.egresses().await?.into_iter().collect();
        let minutes = self.runtime.store.setting(INTERVAL).await?.and_then(|text| text.parse().ok());
        self.egress.minutes.store(minutes.unwrap_or(-1), Ordering::Relaxed);
        // Disabled proxies keep no connections.
        self.runtime
            .upstream
            .retain_proxies(&proxies.iter().filter(|proxy| proxy.enabled).cloned().collect::<Vec<_>>());
        self.egress.adopt(proxies, assigned, self.runtime.now());
        self.egress.wake.notify_one();
        self.accounts.rescheduled.notify_one();
        Ok(())
    }

    /// Reloads the relays of the store, and adds those of the configuration file, which win where a name is in both. The caller
    /// holds [`Registry::lock_reload`].
    pub(crate) async fn reload_relays(&self) -> Result<Changes, store::Error> {
        let stored = self.runtime.store.relays().await?;
        let mut relays = self.file_relays.lock().clone();
        let from_file = relays.len();
        for relay in stored {
            if relays[..from_file].iter().any(|known| known.relay.name == relay.name) {
                tracing::warn!(relay = %relay.name, "the configuration file names this relay too, and counts");
                continue;
            }
            if let Some(entry) = self.relay_entry(relay).await? {
                relays.push(entry);
            }
        }
        Ok(self.accounts.adopt_relays(relays))
    }

    /// A stored relay with its key; `None` when it was removed meanwhile.
    async fn relay_entry(&self, relay: Relay) -> Result<Option<RelayEntry>, store::Error> {
        let origin = RelayOrigin::Store;
        match self.runtime.store.relay_key(&relay.id).await {
            Ok(key) => Ok(key.map(|key| RelayEntry { relay, key, origin })),
            // One damaged row must not affect the others.
            Err(error @ (store::Error::CannotUnseal { .. } | store::Error::Damaged { .. })) => {
                tracing::error!(relay = %relay.name, %error, "key is not readable");
                let status = Status::NeedsLogin {
                    why: format!("its key cannot be read: `polygate relays key {}` gives it again", relay.name),
                };
                Ok(Some(RelayEntry { relay: Relay { status, ..relay }, key: Secret::from(""), origin }))
            }
            Err(error) => Err(error),
        }
    }

    /// Reloads everything from the store. The caller holds [`Self::lock`].
    pub(crate) async fn reload(&self) -> Result<Changes, store::Error> {
        let store = &self.runtime.store;
        // Accounts first, so that the other tables hold at least their rows.
        let stored = self.stored_accounts().await?;
        // Published before the accounts, so that no account is used without its egress.
        self.reload_egress().await?;
        self.reload_keys().await?;
        self.extras.adopt(store.tags().await?, store.links().await?);
        // Read only now, because changes of the owner up to here have been reported already.
        let before = self.accounts.list();
        let mut changes = self.accounts.adopt(stored);
        changes.merge(self.reload_relays().await?);
        self.accounts.feed.send_changes(&before, &self.accounts.list(), self.runtime.now());
        Ok(changes)
    }

    /// The accounts of the store. Only changed accounts are read.
    async fn stored_accounts(&self) -> Result<Vec<StoredAccount>, store::Error> {
        let (store, list) = (&self.runtime.store, self.accounts.list());
        let versions = store.account_versions().await?;
        let is_known =
            |(id, version): &(AccountId, i64)| list.get(id).is_some_and(|known| known.account.version == *version);
        if versions.iter().filter(|row| !is_known(row)).count() > SINGLY {
            return self.all_accounts().await;
        }
        let mut found = Vec::with_capacity(versions.len());
        for row in versions {
            if is_known(&row) {
                found.push(StoredAccount::Known(row.0));
            } else if let Some((account, tokens)) = store.account(&row.0).await? {
                found.push(StoredAccount::Read(Box::new(account), readable(&row.0, Some(tokens))));
            }
        }
        Ok(found)
    }

    async fn all_accounts(&self) -> Result<Vec<StoredAccount>, store::Error> {
        let accounts = self.runtime.store.accounts().await?;
        let mut tokens = self.runtime.store.all_tokens().await?;
        let mut stored = |account: Account| {
            let own = readable(&account.id, tokens.remove(&account.id));
            StoredAccount::Read(Box::new(account), own)
        };
        Ok(accounts.into_iter().map(&mut stored).collect())
    }
}

/// An account's tokens. One damaged row must not affect the other accounts.
fn readable(id: &AccountId, tokens: Option<Result<Tokens, store::Error>>) -> Option<Tokens> {
    tokens?.inspect_err(|error| tracing::error!(account = %id, %error, "tokens are not readable")).ok()
}
