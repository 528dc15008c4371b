//! The facade.

use std::sync::Arc;
use std::time::Duration;

use pool::quota::Quota;
use pool::relay::Service;
use pool::{AccountId, Millis};
use proto::{Failure, Json};
use store::Store;
use upstream::Upstream;

use crate::admin::accounts::Accounts;
use crate::admin::explain::Routing;
use crate::admin::keys::Keys;
use crate::admin::logins::{Logins, PendingLogins};
use crate::admin::models::Models;
use crate::admin::proxies::Proxies;
use crate::admin::relays::Relays;
use crate::background::{self, StoreSync};
use crate::clock::Clock;
use crate::dispatch::affinity::AffinityRecord;
use crate::quota::Quotas;
use crate::registry::accounts::Ready;
use crate::registry::feed::Watcher;
use crate::registry::keys::{AdminId, AuthError, KeyId};
use crate::request::call::Call;
use crate::request::forward::{ForwardRequest, ForwardedReply};
use crate::request::reply::{Refusal, Reply};
use crate::request::services::Services;
use crate::request::stored::Responses;
use crate::request::{forward, run};
use crate::runtime::Runtime;
use crate::settings::Settings;
use crate::tokens::Guest;

/// The parts of an engine.
pub struct Parts {
    /// Accounts, keys, usage.
    pub store: Store,
    /// The client of all outbound calls.
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
pub struct Engine {
    services: Arc<Services>,
    pending: Arc<PendingLogins>,
}

impl Engine {
    /// Reads the store and starts the background tasks. Does not wait for the network.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let engine = Self::new(parts);
        background::start(&engine.services).await?;
        Ok(engine)
    }

    /// An engine for one command: it reads the store and runs no background tasks.
    pub async fn for_command(parts: Parts) -> Result<Self, StartError> {
        let engine = Self::new(parts);
        StoreSync::open(Arc::clone(&engine.services)).await?;
        Ok(engine)
    }

    /// As [`Self::for_command`], for a command about keys: it reads nothing else, so a damaged row of another table does not stop it.
    pub async fn for_keys(parts: Parts) -> Result<Self, StartError> {
        let engine = Self::new(parts);
        engine.services.registry.reload_keys().await?;
        Ok(engine)
    }

    fn new(parts: Parts) -> Self {
        let Parts { store, upstream, settings, clock } = parts;
        let runtime = Arc::new(Runtime::new(store, upstream, settings, clock));
        Self { services: Arc::new(Services::new(runtime)), pending: Arc::default() }
    }

    /// Whether tasks run that survive their caller: refreshes, imports, and the background tasks of a started engine.
    pub fn has_running_work(&self) -> bool {
        !self.services.runtime.tasks.is_empty()
    }

    /// Ends the background tasks, waits for refreshes under way and writes what is in memory only. Call it once the
    /// server has drained; replies that still run are not waited for.
    pub async fn stop(&self) {
        self.services.runtime.stop.cancel();
        self.services.runtime.tasks.close();
        self.services.runtime.tasks.wait().await;
        // An engine for one command has no background task that writes it.
        StoreSync::new(Arc::clone(&self.services)).save(true).await;
        self.services.runtime.store.usage().flush().await;
    }

    /// Notes that the server waits for no request any more: an unanswered request that is dropped from now on was refused with `why`, not
    /// left by its client.
    pub fn announce_shutdown(&self, why: Failure) {
        // Only the first one counts.
        let _ = self.services.shutdown_failure.set(why);
    }

    /// Closes the store of an engine that nobody else shares it with. After [`Self::stop`].
    pub async fn close(self) {
        self.services.runtime.store.clone().close().await;
    }

    /// Serves one request: resolves at the commit barrier of a stream or at the end of a collected reply. Dropping the
    /// future or the reply cancels the upstream.
    pub async fn run(&self, call: Call) -> Result<Reply, Refusal> {
        self.services.registry.wake();
        run::run(Arc::clone(&self.services), call).await
    }

    /// Notes which account made a sealed item: a conversation that brings it goes there.
    pub fn note_sealed_item(&self, item: &Json, account: &AccountId) {
        if let Some(seal) = run::replay::sealed_conversation(item) {
            let record = AffinityRecord {
                account: account.clone(),
                turn_state: None,
                foreign: None,
                away: false,
                turns: Vec::new(),
            };
            self.services.dispatch.affinity.set(seal, record);
        }
    }

    /// Authenticates a client key.
    pub async fn authenticate(&self, presented: &str) -> Result<KeyId, AuthError> {
        self.services.registry.authenticate_client(presented).await
    }

    /// Authenticates an admin token.
    pub async fn authenticate_admin(&self, presented: &str) -> Result<AdminId, AuthError> {
        self.services.registry.authenticate_admin(presented).await
    }

    /// Whether requests can be served now.
    pub fn ready(&self) -> Ready {
        self.services.registry.accounts.ready(&self.services.registry.egress.table(), self.services.runtime.now())
    }

    /// For how long the store has not been readable; `None` while it is.
    pub fn store_away(&self) -> Option<Duration> {
        self.services.registry.store_away()
    }

    /// The limits of all accounts together, from the one that would serve the default model next, and the time of day.
    pub fn limits(&self) -> (Quota, Millis) {
        let resolved = self.models().resolve(None).ok();
        (self.services.dispatch.pool_quota(resolved.as_ref(), None), self.services.runtime.now())
    }

    /// Authenticates a client key, or a login whose file the owner has linked. Errors: as [`Engine::authenticate`].
    pub async fn authenticate_native(&self, presented: &str) -> Result<Guest, AuthError> {
        match self.services.registry.authenticate_client(presented).await {
            Err(AuthError::Unknown) => self.services.tokens.authenticate_login(presented).await,
            checked => checked.map(|key| Guest { key, login: None }),
        }
    }

    /// Watches the events of accounts; `None` with too many watchers.
    pub fn watch(&self) -> Option<Watcher> {
        self.services.registry.accounts.feed.watch()
    }

    /// Hands a call to a relay that can do it; resolves at the head of its answer.
    pub async fn forward_service(&self, request: ForwardRequest) -> Result<ForwardedReply, Refusal> {
        forward::forward(Arc::clone(&self.services), request).await
    }

    /// Whether there is a relay for such a call. Errors: as [`Self::forward`], before anything is sent.
    pub fn check_service(&self, service: Service, name: &str) -> Result<(), Failure> {
        forward::serves(&self.services, service, name)
    }

    /// Whether accounts serve such a call and not relays. Its body must be in the backend's form then.
    pub fn is_served_by_accounts(&self, service: Service, name: Option<&str>) -> bool {
        forward::is_served_by_accounts(&self.services, service, name)
    }

    /// The accounts for their owner.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(&self.services)
    }

    /// Figures, forecasts and reset credits of accounts.
    pub fn quotas(&self) -> Quotas<'_> {
        Quotas(&self.services)
    }

    /// Relays.
    pub fn relays(&self) -> Relays<'_> {
        Relays(&self.services)
    }

    /// Proxies, and which accounts take them.
    pub fn proxies(&self) -> Proxies<'_> {
        Proxies(&self.services)
    }

    /// Client keys and admin tokens.
    pub fn keys(&self) -> Keys<'_> {
        Keys(&self.services)
    }

    /// Ways in for accounts.
    pub fn logins(&self) -> Logins<'_> {
        Logins { services: &self.services, pending: &self.pending }
    }

    /// The models of accounts and relays.
    pub fn models(&self) -> Models<'_> {
        Models(&self.services)
    }

    /// Who would serve a request.
    pub fn routing(&self) -> Routing<'_> {
        Routing(&self.services)
    }

    /// Responses that clients had stored.
    pub fn responses(&self) -> Responses<'_> {
        Responses(&self.services)
    }
}
