//! Synchronises memory and store: reloads the changes of other processes, and writes back what this node learned.
//!
//! Both hold [`crate::registry::Registry::lock_reload`], so a reload never reads a row that is being written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pool::{Account, AccountId, Secret};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::registry::accounts::{AccountEntry, Changes, UnsavedState};
use crate::registry::relays::RelayOrigin;
use crate::request::services::Services;

/// How often the store is asked for changes.
const LOOK: Duration = Duration::from_millis(500);
/// Quota figures and cookies are written at most this often.
const FIGURES: Duration = Duration::from_secs(5);

/// An account or relay with its unsaved state.
type Unsaved = (Arc<AccountEntry>, UnsavedState);

/// The state of the synchronisation.
pub(crate) struct StoreSync {
    services: Arc<Services>,
    generation: Option<i64>,
    /// The cookies as stored last.
    cookies: HashMap<AccountId, Secret>,
    figures: Instant,
    /// The modification times of the linked files when they were last read.
    files: HashMap<AccountId, SystemTime>,
}

impl StoreSync {
    /// A synchronisation that has read nothing yet.
    pub(crate) fn new(services: Arc<Services>) -> Self {
        Self { services, generation: None, cookies: HashMap::new(), figures: Instant::now(), files: HashMap::new() }
    }

    /// Reads everything once.
    pub(crate) async fn open(services: Arc<Services>) -> Result<Self, store::Error> {
        let generation = services.runtime.store.generation().await?;
        let mut sync = Self { generation: Some(generation), ..Self::new(services) };
        sync.reload().await?;
        for (id, saved) in sync.services.runtime.store.all_cookies().await? {
            sync.take_cookies(&id, saved.map(Some));
        }
        Ok(sync)
    }

    /// Runs until the engine stops, then writes everything unsaved.
    pub(crate) async fn run(mut self) {
        let services = Arc::clone(&self.services);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = services.runtime.stop.cancelled() => break,
                () = services.registry.accounts.unsaved.notified() => self.save(false).await,
                _ = look.tick() => self.look().await,
            }
        }
        self.save(true).await;
    }

    /// Reloads changes, and writes the figures when it is time.
    async fn look(&mut self) {
        self.services.registry.wake();
        self.services.stored.expire(self.services.runtime.now());
        let followed = self.follow().await;
        let registry = &self.services.registry;
        if let Err(error) = &followed
            && registry.store_away().is_none()
        {
            tracing::error!(%error, "the store cannot be read; accounts and keys stay as they are");
        }
        registry.set_store_away(followed.is_err());
        self.follow_links().await;
        if self.figures.elapsed() >= FIGURES {
            self.figures = Instant::now();
            self.save(true).await;
        }
    }

    async fn follow(&mut self) -> Result<(), store::Error> {
        let generation = self.services.runtime.store.generation().await?;
        if self.generation == Some(generation) {
            return Ok(());
        }
        let changes = self.reload().await?;
        self.generation = Some(generation);
        self.on_changes(&changes).await;
        Ok(())
    }

    /// Applies the consequences of a reload.
    async fn on_changes(&mut self, changes: &Changes) {
        for id in &changes.added {
            self.restore_cookies(id).await;
        }
        self.services.dispatch.on_registry_changes(changes);
        self.cookies.retain(|id, _| self.services.registry.accounts.get(id).is_some());
    }

    /// Reads the linked files that have changed.
    async fn follow_links(&mut self) {
        let services = Arc::clone(&self.services);
        for link in services.registry.extras.links() {
            let Ok(facts) = tokio::fs::metadata(&link.file).await else { continue };
            let Ok(changed) = facts.modified() else { continue };
            if self.files.get(&link.account) != Some(&changed) && services.tokens.follow_link(&link).await {
                self.files.insert(link.account.clone(), changed);
            }
        }
    }

    async fn reload(&mut self) -> Result<Changes, store::Error> {
        let _guard = self.services.registry.lock_reload().await;
        self.services.registry.reload().await
    }

    async fn restore_cookies(&mut self, id: &AccountId) {
        let saved = self.services.runtime.store.cookies(id).await;
        self.take_cookies(id, saved);
    }

    fn take_cookies(&mut self, id: &AccountId, saved: Result<Option<Secret>, store::Error>) {
        match saved {
            Ok(Some(saved)) => {
                self.services.runtime.upstream.set_cookies(id, &saved);
                self.cookies.insert(id.clone(), saved);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(account = %id, %error, "cookies are not readable"),
        }
    }

    /// Writes statuses, and with `all` figures and cookies too. Failed writes are repeated in the next round.
    pub(crate) async fn save(&mut self, all: bool) {
        let services = Arc::clone(&self.services);
        let _guard = services.registry.lock_reload().await;
        if !self.save_dirty(all).await {
            return;
        }
        // Another process wrote a status: reload it, apply the learned signals to it, and write again.
        match Box::pin(services.registry.reload()).await {
            Ok(changes) => {
                self.on_changes(&changes).await;
                self.save_dirty(all).await;
            }
            Err(error) => tracing::warn!(%error, "account state not stored: the store cannot be read"),
        }
    }

    /// Writes once; `true` when another process had changed a status, so that ours is still unsaved.
    async fn save_dirty(&mut self, all: bool) -> bool {
        let of = |(id, left)| self.services.registry.accounts.get(&id).map(|entry| (entry, left));
        let mut round: Vec<Unsaved> =
            self.services.registry.accounts.take_unsaved().into_iter().filter_map(of).collect();
        let overtaken = self.save_statuses(&mut round).await;
        self.save_relays(&mut round).await;
        if all {
            self.save_figures(&mut round).await;
        }
        for (entry, left) in round.into_iter().filter(|(_, left)| left.any()) {
            self.services.registry.accounts.restore_unsaved(entry.account.id.clone(), left);
        }
        overtaken
    }

    /// Writes the statuses of accounts, in one transaction; `true` when another process had changed one.
    async fn save_statuses(&self, round: &mut [Unsaved]) -> bool {
        let mut due: Vec<_> = round.iter_mut().filter(|(entry, left)| entry.relay.is_none() && left.status()).collect();
        let row = |account: &Account| (account.id.clone(), account.status.clone(), account.status_rev);
        let rows: Vec<_> = due.iter().map(|(entry, _)| row(&entry.account)).collect();
        let Some(saved) = logged(rows.len(), self.services.runtime.store.set_statuses_if_current(&rows).await) else {
            return false;
        };
        for ((entry, left), saved) in due.iter_mut().zip(&saved) {
            if *saved {
                self.services.registry.accounts.count_status_write(&entry.account.id);
                left.signals.clear();
            } else {
                self.services.registry.accounts.mark_stale(&entry.account.id);
            }
        }
        saved.contains(&false)
    }

    /// Writes the statuses of relays. Relays of the file are not stored.
    async fn save_relays(&self, round: &mut [Unsaved]) {
        for (entry, left) in round.iter_mut().filter(|(_, left)| left.status()) {
            let Some(relay) = &entry.relay else { continue };
            let stored = relay.origin == RelayOrigin::Store;
            if !stored || logged(1, self.save_relay(&entry.account).await).is_some() {
                left.signals.clear();
            }
        }
    }

    /// Writes quota figures and changed cookies.
    async fn save_figures(&mut self, round: &mut [Unsaved]) {
        let mut due: Vec<_> = round.iter_mut().filter(|(_, left)| left.quota).collect();
        let rows: Vec<_> =
            due.iter().map(|(entry, _)| (entry.account.id.clone(), entry.account.quota.clone())).collect();
        let Some(saved) = logged(rows.len(), self.services.runtime.store.set_quotas(&rows).await) else { return };
        for ((entry, left), saved) in due.iter_mut().zip(saved) {
            left.quota = false;
            if saved {
                self.services.registry.accounts.count_write(&entry.account.id);
            }
        }
        self.save_cookies(rows.into_iter().map(|(id, _)| id)).await;
    }

    /// Writes a relay's status. A row that another process changed meanwhile is kept, and reloaded with the next look.
    async fn save_relay(&self, relay: &Account) -> Result<(), store::Error> {
        if self.services.runtime.store.set_relay_status(&relay.id, &relay.status, relay.version).await? {
            self.services.registry.accounts.count_write(&relay.id);
        }
        Ok(())
    }

    async fn save_cookies(&mut self, ids: impl Iterator<Item = AccountId>) {
        let jars = ids.filter_map(|id| self.services.runtime.upstream.cookies(&id).map(|jar| (id, jar)));
        let jars: Vec<_> = jars.filter(|(id, jar)| self.cookies.get(id) != Some(jar)).collect();
        if logged(jars.len(), self.services.runtime.store.set_cookies(&jars).await).is_some() {
            self.cookies.extend(jars);
        }
    }
}

/// Logs a failed write of so many rows.
fn logged<T>(rows: usize, result: Result<T, store::Error>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(rows, %error, "account state not stored")).ok()
}
