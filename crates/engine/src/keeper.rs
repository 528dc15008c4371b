//! Keeps memory and store the same: takes over what other processes wrote, writes back what was learned here.
//!
//! Both happen in turns ([`Core::sync`]), so a reload never reads a row that is being written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pool::{Account, AccountId, Secret, Tokens};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::accounts::{Changes, Dirty, Entry, Found};
use crate::core::Core;
use crate::relays::{self, RelayOrigin};

/// How often the store is asked whether somebody wrote.
const LOOK: Duration = Duration::from_millis(500);
/// Quota figures and cookies are written at most this often.
const FIGURES: Duration = Duration::from_secs(5);

/// Accounts that are read one by one; where more changed, all are read at once.
const SINGLY: usize = 64;

/// An account or relay with what of it is not written.
type Unsaved = (Arc<Entry>, Dirty);

/// What the keeper remembers between its rounds.
pub(crate) struct Keeper {
    core: Arc<Core>,
    generation: Option<i64>,
    /// Cookies as stored last.
    cookies: HashMap<AccountId, Secret>,
    figures: Instant,
    /// Linked files as they were when they were last taken over.
    files: HashMap<AccountId, SystemTime>,
}

impl Keeper {
    /// One that knows nothing yet.
    pub(crate) fn of(core: Arc<Core>) -> Self {
        Self { core, generation: None, cookies: HashMap::new(), figures: Instant::now(), files: HashMap::new() }
    }

    /// Reads everything once.
    pub(crate) async fn open(core: Arc<Core>) -> Result<Self, store::Error> {
        let generation = core.store.generation().await?;
        let mut keeper = Self { generation: Some(generation), ..Self::of(core) };
        keeper.reload().await?;
        for (id, saved) in keeper.core.store.cookies_of_all().await? {
            keeper.take_cookies(&id, saved.map(Some));
        }
        Ok(keeper)
    }

    /// Works until the engine stops, then writes what is left.
    pub(crate) async fn run(mut self) {
        let core = Arc::clone(&self.core);
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = core.stop.cancelled() => break,
                () = core.accounts.unsaved.notified() => self.save(false).await,
                _ = look.tick() => self.look().await,
            }
        }
        self.save(true).await;
    }

    /// One look at the store, and the figures when it is time.
    async fn look(&mut self) {
        self.core.wake();
        self.core.forget_old();
        let followed = self.follow().await;
        let since = *self.core.blind.lock();
        if let Err(error) = &followed
            && since.is_none()
        {
            tracing::error!(%error, "the store cannot be read; accounts and keys stay as they are");
        }
        *self.core.blind.lock() = followed.err().map(|_| since.unwrap_or_else(Instant::now));
        self.follow_links().await;
        if self.figures.elapsed() >= FIGURES {
            self.figures = Instant::now();
            self.save(true).await;
        }
    }

    async fn follow(&mut self) -> Result<(), store::Error> {
        let generation = self.core.store.generation().await?;
        if self.generation == Some(generation) {
            return Ok(());
        }
        let changes = self.reload().await?;
        self.generation = Some(generation);
        self.take_over(&changes).await;
        Ok(())
    }

    /// What follows from a reload.
    async fn take_over(&mut self, changes: &Changes) {
        for id in &changes.added {
            self.restore_cookies(id).await;
        }
        self.core.announce(changes);
        self.cookies.retain(|id, _| self.core.accounts.get(id).is_some());
    }

    /// Looks at linked files that were written since.
    async fn follow_links(&mut self) {
        let core = Arc::clone(&self.core);
        for link in core.beside.links() {
            let Ok(facts) = tokio::fs::metadata(&link.file).await else { continue };
            let Ok(changed) = facts.modified() else { continue };
            if self.files.get(&link.account) != Some(&changed) && core.follow_link(&link).await {
                self.files.insert(link.account.clone(), changed);
            }
        }
    }

    async fn reload(&mut self) -> Result<Changes, store::Error> {
        let _turn = self.core.sync.lock().await;
        self.core.reload().await
    }

    async fn restore_cookies(&mut self, id: &AccountId) {
        let saved = self.core.store.cookies(id).await;
        self.take_cookies(id, saved);
    }

    fn take_cookies(&mut self, id: &AccountId, saved: Result<Option<Secret>, store::Error>) {
        match saved {
            Ok(Some(saved)) => {
                self.core.upstream.set_cookies(id, &saved);
                self.cookies.insert(id.clone(), saved);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(account = %id, %error, "cookies are not readable"),
        }
    }

    /// Writes statuses, and with `all` figures and cookies too. What fails is tried again with the next round.
    pub(crate) async fn save(&mut self, all: bool) {
        let core = Arc::clone(&self.core);
        let _turn = core.sync.lock().await;
        if !self.save_dirty(all).await {
            return;
        }
        // Somebody wrote a status since it was read: what was learned is applied to that one.
        match Box::pin(core.reload()).await {
            Ok(changes) => {
                self.take_over(&changes).await;
                self.save_dirty(all).await;
            }
            Err(error) => tracing::warn!(%error, "account state not stored: the store cannot be read"),
        }
    }

    /// Writes once; `true` when a status was another than the one that is known, so that ours waits still.
    async fn save_dirty(&mut self, all: bool) -> bool {
        let of = |(id, left)| self.core.accounts.get(&id).map(|entry| (entry, left));
        let mut round: Vec<Unsaved> = self.core.accounts.take_dirty().into_iter().filter_map(of).collect();
        let overtaken = self.save_statuses(&mut round).await;
        self.save_relays(&mut round).await;
        if all {
            self.save_figures(&mut round).await;
        }
        for (entry, left) in round.into_iter().filter(|(_, left)| left.any()) {
            self.core.accounts.give_back(entry.account.id.clone(), left);
        }
        overtaken
    }

    /// Statuses of accounts, in one transaction; `true` when somebody has written one of them since.
    async fn save_statuses(&self, round: &mut [Unsaved]) -> bool {
        let mut due: Vec<_> = round.iter_mut().filter(|(entry, left)| entry.relay.is_none() && left.status()).collect();
        let row = |account: &Account| (account.id.clone(), account.status.clone(), account.status_rev);
        let rows: Vec<_> = due.iter().map(|(entry, _)| row(&entry.account)).collect();
        let Some(saved) = done(rows.len(), self.core.store.set_statuses(&rows).await) else { return false };
        for ((entry, left), saved) in due.iter_mut().zip(&saved) {
            if *saved {
                self.core.accounts.status_written(&entry.account.id);
                left.signals.clear();
            } else {
                self.core.accounts.unread(&entry.account.id);
            }
        }
        saved.contains(&false)
    }

    /// Statuses of relays; those of the file are not stored.
    async fn save_relays(&self, round: &mut [Unsaved]) {
        for (entry, left) in round.iter_mut().filter(|(_, left)| left.status()) {
            let Some(line) = &entry.relay else { continue };
            let stored = line.origin == RelayOrigin::Store;
            if !stored || done(1, self.save_relay(&entry.account).await).is_some() {
                left.signals.clear();
            }
        }
    }

    /// Quota figures, and the cookies that changed since.
    async fn save_figures(&mut self, round: &mut [Unsaved]) {
        let mut due: Vec<_> = round.iter_mut().filter(|(_, left)| left.quota).collect();
        let rows: Vec<_> =
            due.iter().map(|(entry, _)| (entry.account.id.clone(), entry.account.quota.clone())).collect();
        let Some(saved) = done(rows.len(), self.core.store.set_quotas(&rows).await) else { return };
        for ((entry, left), saved) in due.iter_mut().zip(saved) {
            left.quota = false;
            if saved {
                self.core.accounts.written(&entry.account.id);
            }
        }
        self.save_cookies(rows.into_iter().map(|(id, _)| id)).await;
    }

    /// A row that somebody changed meanwhile counts, and is taken over with the next look.
    async fn save_relay(&self, relay: &Account) -> Result<(), store::Error> {
        if self.core.store.set_relay_status(&relay.id, &relay.status, relay.version).await? {
            self.core.accounts.written(&relay.id);
        }
        Ok(())
    }

    async fn save_cookies(&mut self, ids: impl Iterator<Item = AccountId>) {
        let jars = ids.filter_map(|id| self.core.upstream.cookies(&id).map(|jar| (id, jar)));
        let jars: Vec<_> = jars.filter(|(id, jar)| self.cookies.get(id) != Some(jar)).collect();
        if done(jars.len(), self.core.store.set_cookies(&jars).await).is_some() {
            self.cookies.extend(jars);
        }
    }
}

impl Core {
    /// Takes over what the store holds. The caller holds [`Core::sync`].
    async fn reload(&self) -> Result<Changes, store::Error> {
        let store = &self.store;
        // Accounts first: what of one that is added in between belongs to it is not looked for.
        let rows = self.stored_accounts().await?;
        // Published before the accounts, so that none is there before its way.
        self.reread_ways().await?;
        self.reload_keys().await?;
        self.beside.adopt(store.tags().await?, store.links().await?);
        // Only now: what an owner did meanwhile has been told already.
        let before = self.accounts.list();
        let mut changes = self.accounts.adopt(rows);
        changes.join(relays::load::reload(self).await?);
        self.accounts.feed.compare(&before, &self.accounts.list(), self.now());
        Ok(changes)
    }

    /// The accounts of the store; only those are read that somebody else changed since.
    async fn stored_accounts(&self) -> Result<Vec<Found>, store::Error> {
        let (store, list) = (&self.store, self.accounts.list());
        let versions = store.versions().await?;
        let is_known =
            |(id, version): &(AccountId, i64)| list.get(id).is_some_and(|known| known.account.version == *version);
        if versions.iter().filter(|row| !is_known(row)).count() > SINGLY {
            return self.all_accounts().await;
        }
        let mut found = Vec::with_capacity(versions.len());
        for row in versions {
            if is_known(&row) {
                found.push(Found::Known(row.0));
            } else if let Some((account, tokens)) = store.account(&row.0).await? {
                found.push(Found::Read(Box::new(account), readable(&row.0, Some(tokens))));
            }
        }
        Ok(found)
    }

    async fn all_accounts(&self) -> Result<Vec<Found>, store::Error> {
        let accounts = self.store.accounts().await?;
        let mut tokens = self.store.tokens_of_all().await?;
        let mut found = |account: Account| {
            let own = readable(&account.id, tokens.remove(&account.id));
            Found::Read(Box::new(account), own)
        };
        Ok(accounts.into_iter().map(&mut found).collect())
    }

    /// Takes over now what the keeper would take over with its next look.
    pub(crate) async fn reread(&self) -> Result<(), store::Error> {
        let _turn = self.sync.lock().await;
        let changes = self.reload().await?;
        self.announce(&changes);
        Ok(())
    }

    /// Makes known what changed.
    fn announce(&self, changes: &Changes) {
        for id in changes.added.iter().chain(&changes.signed_in) {
            self.routes.forget(id);
            self.wanted.want(id);
        }
        for id in &changes.retermed {
            self.slots.scatter(id);
        }
        for id in &changes.removed {
            tracing::info!(account = %id, "account removed");
            self.upstream.forget(id);
            self.routes.forget(id);
            self.slots.scatter(id);
        }
    }
}

/// An account's tokens. One damaged row must not take the other accounts with it.
fn readable(id: &AccountId, found: Option<Result<Tokens, store::Error>>) -> Option<Tokens> {
    found?.inspect_err(|error| tracing::error!(account = %id, %error, "tokens are not readable")).ok()
}

/// The result of writing so many rows. What is not written stays, and is tried again.
fn done<T>(rows: usize, result: Result<T, store::Error>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(rows, %error, "account state not stored")).ok()
}
