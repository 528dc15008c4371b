//! The facade.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use pool::AccountId;
use pool::catalog::{Catalog, Model, Resolved};
use pool::hosted::Hosted;
use pool::keys::Key;
use pool::relay::Service;
use proto::{Failure, Json};
use store::Store;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use upstream::Upstream;

use crate::accounts::{AccountView, Accounts, Ready};
use crate::affinity::{Affinity, Bond};
use crate::alerts::keep_warned;
use crate::beside::Beside;
use crate::call::Call;
use crate::clock::{Clock, Skew};
use crate::core::Core;
use crate::egress::{Egress, keep_checked};
use crate::keeper::Keeper;
use crate::keys::{AdminId, AuthError, CreatedKey, KeyError, KeyId, Keys, NewKey};
use crate::logins::Logins;
use crate::models::editions::Editions;
use crate::models::{self, Wanted};
use crate::native::Native;
use crate::quota::poll::keep_measured;
use crate::refresh::{Refresh, keep_fresh};
use crate::releases::{self, keep_current};
use crate::reply::{Refusal, Reply};
use crate::retired::Retired;
use crate::routing::Routes;
use crate::settings::Settings;
use crate::slots::Slots;
use crate::sockets::tend_sockets;
use crate::stored::Stored;

/// What an engine is made of.
pub struct Parts {
    /// Accounts, keys, usage.
    pub store: Store,
    /// The way out.
    pub upstream: Upstream,
    /// Settings.
    pub settings: Settings,
    /// The time of day.
    pub clock: Clock,
}

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed.
    #[error("cannot read the store: {0}")]
    Store(#[from] store::Error),
}

/// The engine. Clones are handles to the same one.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Core>);

impl Engine {
    /// Reads the store and starts the background tasks. Does not wait for the network.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let core = Arc::new(Core::new(parts));
        let keeper = Keeper::open(Arc::clone(&core)).await?;
        releases::restore(&core).await;
        models::restore(&core).await;
        core.tasks.spawn(keeper.run());
        core.tasks.spawn(keep_current(Arc::clone(&core)));
        core.tasks.spawn(keep_fresh(Arc::clone(&core)));
        core.tasks.spawn(models::keep_listed(Arc::clone(&core)));
        core.tasks.spawn(keep_measured(Arc::clone(&core)));
        core.tasks.spawn(keep_warned(Arc::clone(&core)));
        core.tasks.spawn(keep_checked(Arc::clone(&core)));
        core.tasks.spawn(tend_sockets(Arc::clone(&core)));
        Ok(Self(core))
    }

    /// An engine for one command: it reads the store, does what it is asked, and nothing by itself.
    pub async fn idle(parts: Parts) -> Result<Self, StartError> {
        let core = Arc::new(Core::new(parts));
        Keeper::open(Arc::clone(&core)).await?;
        Ok(Self(core))
    }

    /// Reads the stored model lists, which an [`Self::idle`] engine does without.
    pub async fn restore_models(&self) {
        models::restore(&self.0).await;
    }

    /// Whether anything runs that its caller's end does not end: refreshes and imports, and the background tasks of an engine that was
    /// started.
    pub fn busy(&self) -> bool {
        !self.0.tasks.is_empty()
    }

    /// Ends the background tasks, waits for refreshes under way and writes what is in memory only. Call it once the
    /// server has drained; replies that still run are not waited for.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
        // An idle engine has nobody else who writes it.
        Keeper::of(Arc::clone(&self.0)).save(true).await;
        self.0.store.usage().flush().await;
    }

    /// Notes that the server waits for no request any more: one that is dropped from now on and was not answered was told `why`, and not
    /// left by its client.
    pub fn part(&self, why: Failure) {
        // Only the first one counts.
        let _ = self.0.parting.set(why);
    }

    /// Closes the store of an engine that nobody else shares it with. After [`Self::stop`].
    pub async fn close(self) {
        self.0.store.clone().close().await;
    }

    /// Serves one request: resolves at the commit barrier of a stream or at the end of a collected reply. Dropping the
    /// future or the reply cancels the upstream.
    pub async fn run(&self, call: Call) -> Result<Reply, Refusal> {
        self.0.wake();
        crate::run::run(Arc::clone(&self.0), call).await
    }

    /// Notes which account made a sealed item: a conversation that brings it goes there.
    pub fn sealed(&self, item: &Json, account: &AccountId) {
        if let Some(seal) = crate::run::replay::seal(item) {
            let bond = Bond { account: account.clone(), turn: None, foreign: None, away: false, asked: Vec::new() };
            self.0.affinity.set(seal, bond);
        }
    }

    /// Whose client key `presented` is.
    pub async fn authenticate(&self, presented: &str) -> Result<KeyId, AuthError> {
        self.0.client(presented).await
    }

    /// Whose admin token `presented` is.
    pub async fn authenticate_admin(&self, presented: &str) -> Result<AdminId, AuthError> {
        self.0.admin(presented).await
    }

    /// The models to show, best first; [`Self::shown`] says whose they are.
    pub fn models(&self) -> Vec<Model> {
        self.shown().into_iter().map(|shown| shown.model).collect()
    }

    /// What a model name means; `None` asks for the default.
    pub fn resolve(&self, name: Option<&str>) -> Result<Resolved, Failure> {
        self.0.accounts.catalog().resolve(name, &self.0.settings.names)
    }

    /// Whether a relay that can do this lists a model of exactly this name.
    pub fn lists(&self, service: Service, name: &str) -> bool {
        let side = service.capability().map(|capability| self.0.accounts.side(capability));
        side.is_some_and(|side| side.offers().any(|offer| offer.name == name))
    }

    /// Whether requests can be served now.
    pub fn ready(&self) -> Ready {
        self.0.accounts.ready(&self.0.egress.table(), self.0.now())
    }

    /// For how long the store has not been readable; `None` while it is.
    pub fn store_away(&self) -> Option<Duration> {
        self.0.blind.lock().map(|since| since.elapsed())
    }

    /// Every account, oldest first.
    pub fn accounts(&self) -> Vec<AccountView> {
        let (now, ways) = (self.0.now(), self.0.egress.table());
        let list = self.0.accounts.list();
        list.iter().filter(|entry| entry.relay.is_none()).map(|entry| self.0.view(entry, &ways, now)).collect()
    }

    /// Makes a key.
    pub async fn create_key(&self, new: NewKey) -> Result<CreatedKey, KeyError> {
        self.0.mint(new).await
    }

    /// Sets a client key's hosted tools, `None` to leave them to the settings; `false` when there is no such key.
    pub async fn equip_key(&self, id: &str, tools: Option<&[Hosted]>) -> Result<bool, KeyError> {
        self.0.equip(id, tools).await
    }

    /// Takes a key back; `false` when there is none of this id or it was taken back before.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, KeyError> {
        self.0.revoke(id).await
    }

    /// Every stored key, oldest first.
    pub fn keys(&self) -> Vec<Key> {
        self.0.keys.all()
    }
}

impl Core {
    fn new(parts: Parts) -> Self {
        let Parts { store, upstream, settings, clock } = parts;
        let egress = Egress::new(upstream.config().proxy.is_some());
        let skew = Skew::default();
        let (heard, wall, asked) = (skew.clone(), clock.clone(), clock.clone());
        upstream.hear_date(move || asked.now(), move |date, asked| heard.hear(date, (asked, wall.now())));
        Self {
            keys: Keys::new(settings.api_key.as_ref(), store.pepper()),
            slots: Arc::new(Slots::new((settings.strategy, settings.tiers.clone()), settings.stagger)),
            accounts: Accounts::new(settings.custom.clone(), settings.names.clone()),
            store,
            upstream,
            settings,
            awake: Mutex::new(clock.moment()),
            clock,
            skew,
            beside: Beside::default(),
            logins: Logins::default(),
            bundled: Catalog::bundled(),
            affinity: Affinity::default(),
            stored: Stored::default(),
            budget: Mutex::default(),
            retired: Retired::default(),
            refresh: Refresh::new(),
            wanted: Wanted::default(),
            editions: Editions::default(),
            native: Native::default(),
            routes: Routes::default(),
            egress,
            sync: tokio::sync::Mutex::default(),
            filed: Mutex::default(),
            blind: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            parting: OnceLock::new(),
        }
    }
}
