//! Keeps memory and store the same: takes over what other processes wrote, writes back what was learned here.
//!
//! Both happen in turns ([`Core::sync`]), so a reload never reads a row that is being written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pool::{Account, AccountId, Secret, Tokens};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::accounts::{Changes, Entry};
use crate::core::Core;
use crate::relays::{self, RelayOrigin};

/// How often the store is asked whether somebody wrote.
const LOOK: Duration = Duration::from_millis(500);
/// Quota figures and cookies are written at most this often.
const FIGURES: Duration = Duration::from_secs(5);

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
        let mut overtaken = false;
        for (id, mut left) in self.core.accounts.take_dirty() {
            let Some(entry) = self.core.accounts.get(&id) else { continue };
            if left.status() {
                let saved = self.save_status(&entry).await;
                overtaken |= matches!(saved, Ok(false));
                if done(&id, saved) == Some(true) {
                    left.signals.clear();
                }
            }
            let figures = &entry.account.quota;
            if all && left.quota && done(&id, self.core.store.set_quota(&id, figures).await).is_some() {
                left.quota = false;
                self.save_cookies(&id).await;
            }
            if left.any() {
                self.core.accounts.give_back(id, left);
            }
        }
        overtaken
    }

    /// Whether nothing is left to write.
    async fn save_status(&self, entry: &Entry) -> Result<bool, store::Error> {
        match entry.relay.as_ref().map(|line| line.origin) {
            None => self.save_account(&entry.account).await,
            Some(RelayOrigin::Store) => self.save_relay(&entry.account).await.map(|()| true),
            Some(RelayOrigin::File) => Ok(true),
        }
    }

    async fn save_account(&self, account: &Account) -> Result<bool, store::Error> {
        let saved = self.core.store.set_status(&account.id, &account.status, account.status_rev).await?;
        if saved {
            self.core.accounts.status_written(&account.id);
        }
        Ok(saved)
    }

    /// A row that somebody changed meanwhile counts, and is taken over with the next look.
    async fn save_relay(&self, relay: &Account) -> Result<(), store::Error> {
        if self.core.store.set_relay_status(&relay.id, &relay.status, relay.version).await? {
            self.core.accounts.written(&relay.id);
        }
        Ok(())
    }

    async fn save_cookies(&mut self, id: &AccountId) {
        let Some(jar) = self.core.upstream.cookies(id) else { return };
        if self.cookies.get(id) == Some(&jar) {
            return;
        }
        if done(id, self.core.store.set_cookies(id, &jar).await).is_some() {
            self.cookies.insert(id.clone(), jar);
        }
    }
}

impl Core {
    /// Takes over what the store holds. The caller holds [`Core::sync`].
    async fn reload(&self) -> Result<Changes, store::Error> {
        let store = &self.store;
        // Accounts first: what of one that is added in between belongs to it is not looked for.
        let accounts = store.accounts().await?;
        // Published before the accounts, so that none is there before its way.
        self.reread_ways().await?;
        let mut tokens = store.tokens_of_all().await?;
        let mut with_tokens = |account: Account| {
            let own = readable(&account.id, tokens.remove(&account.id));
            (account, own)
        };
        let rows = accounts.into_iter().map(&mut with_tokens).collect();
        self.reload_keys().await?;
        self.beside.adopt(store.tags().await?, store.links().await?);
        // Only now: what an owner did meanwhile has been told already.
        let before = self.accounts.list();
        let mut changes = self.accounts.adopt(rows);
        changes.join(relays::load::reload(self).await?);
        self.accounts.feed.compare(&before, &self.accounts.list(), self.now());
        Ok(changes)
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

fn done<T>(id: &AccountId, result: Result<T, store::Error>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(account = %id, %error, "account state not stored")).ok()
}
