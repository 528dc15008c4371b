//! The live model list of each account and relay: fetched beside the requests, at the start, for a new account, and when an
//! answer names another etag; of relays also every hour. The bundled list serves only until the first live one.

pub(crate) mod editions;
mod now;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use pool::{AccountId, Tokens, limits};
use store::StoredModels;
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::Instant;
use upstream::ModelsAnswer;
use upstream::oauth::RefreshReason;

pub use self::now::Refreshed;
use crate::accounts::{Entry, Listing};
use crate::core::Core;
use crate::refresh::Wish;
use crate::relays::load;

/// Lists fetched at the same time.
const PARALLEL: usize = 4;
/// First and longest pause after a failure; doubles in between.
const PAUSE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_hours(1));
/// The longest time between two looks.
const LOOK: Duration = Duration::from_hours(1);

/// Lists that are to be fetched.
#[derive(Default)]
pub(crate) struct Wanted {
    wants: Wants,
    /// The etag that an account's answers named when its list was last asked for: an etag that never matches the list's own
    /// must not cause a fetch per request.
    named: Mutex<HashMap<AccountId, String>>,
    /// When a list was last asked for because an answer belied it.
    doubted: Mutex<HashMap<AccountId, Instant>>,
    /// When somebody last asked for all lists.
    round: Arc<tokio::sync::Mutex<Option<Instant>>>,
    wake: Notify,
}

/// Of whom something is to be fetched, and when.
#[derive(Default)]
pub(crate) struct Wants(Mutex<HashMap<AccountId, Want>>);

#[derive(Clone, Copy, Debug)]
struct Want {
    failures: u32,
    at: Instant,
}

/// Why a list did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotListed {
    /// The way there, or what must come before.
    #[error("{0}")]
    Upstream(String),
    /// Another status than 200.
    #[error("answered {0}")]
    Refused(u16),
    /// Not a list.
    #[error("{0}")]
    Unreadable(#[from] pool::catalog::ListError),
}

impl Wanted {
    /// Asks for an account's list.
    pub(crate) fn want(&self, id: &AccountId) {
        self.wants.0.lock().insert(id.clone(), Want { failures: 0, at: Instant::now() });
        self.wake.notify_one();
    }

    /// Asks for a list that an answer has belied, at most every [`limits::MODEL_REST`]: the next list may be no better.
    pub(crate) fn doubt(&self, id: &AccountId) {
        let now = Instant::now();
        let mut doubted = self.doubted.lock();
        if doubted.get(id).is_some_and(|last| now < *last + limits::MODEL_REST) {
            return;
        }
        doubted.insert(id.clone(), now);
        self.want(id);
    }

    /// Begins a round over all lists; `None` while one runs, and less than `rest` after the last one began. It ends with its drop.
    fn round(&self, rest: Duration) -> Option<OwnedMutexGuard<Option<Instant>>> {
        let mut last = Arc::clone(&self.round).try_lock_owned().ok()?;
        let now = Instant::now();
        if last.is_some_and(|last| now < last + rest) {
            return None;
        }
        *last = Some(now);
        Some(last)
    }

    /// An answer named the etag of the account's list. What a relay passes on is about an account of its own.
    pub(crate) fn saw(&self, core: &Core, id: &AccountId, etag: &str) {
        let Some(entry) = core.accounts.get(id).filter(|entry| entry.relay.is_none()) else { return };
        let current = entry.models.as_ref().and_then(|listing| listing.etag.clone());
        if current.as_deref().is_some_and(|current| plain(current) == plain(etag)) {
            return;
        }
        let old = self.named.lock().insert(id.clone(), etag.to_owned());
        if old.as_deref() != Some(etag) {
            self.want(id);
        }
    }

    /// Asks once more when the list is `ttl` old: nothing tells when a relay's changes, and an account's answers only tell while it
    /// is used. Zero is never.
    fn again(&self, id: AccountId, ttl: Duration) {
        if !ttl.is_zero() {
            self.wants.0.lock().entry(id).or_insert(Want { failures: 0, at: Instant::now() + ttl });
        }
    }
}

impl Wants {
    fn due(&self, now: Instant) -> Vec<(AccountId, u32)> {
        let mut wants = self.0.lock();
        let due: Vec<_> =
            wants.iter().filter(|(_, want)| want.at <= now).map(|(id, want)| (id.clone(), want.failures)).collect();
        wants.retain(|_, want| want.at > now);
        due
    }

    fn next(&self) -> Option<Instant> {
        self.0.lock().values().map(|want| want.at).min()
    }

    /// Whether an account's turn is still to come.
    fn waits(&self, id: &AccountId) -> bool {
        self.0.lock().contains_key(id)
    }

    /// Asks again later, unless somebody asked for it meanwhile.
    fn later(&self, id: AccountId, failures: u32) {
        let pause = PAUSE.0.saturating_mul(1 << failures.min(10)).min(PAUSE.1);
        self.0.lock().entry(id).or_insert(Want { failures: failures + 1, at: Instant::now() + pause });
    }

    /// Asks no more.
    pub(crate) fn forget(&self, id: &AccountId) {
        self.0.lock().remove(id);
    }
}

/// Restores the stored lists of this client version and asks for all of them.
pub(crate) async fn restore(core: &Core) {
    match core.store.models_of_all().await {
        Ok(stored) => core.accounts.listed_all(restored(core, stored)),
        Err(error) => tracing::warn!(%error, "stored model lists are not readable"),
    }
    for entry in core.accounts.list().iter() {
        if entry.relay.is_some() {
            load::restore_models(core, entry).await;
        }
        core.wanted.want(&entry.account.id);
    }
}

/// The lists of these bodies; accounts with the same body share one list.
fn restored(core: &Core, stored: HashMap<AccountId, StoredModels>) -> HashMap<AccountId, Arc<Listing>> {
    let mut known: HashMap<(Option<String>, Bytes), Arc<Listing>> = HashMap::new();
    let mut lists = HashMap::with_capacity(stored.len());
    let version = version(core);
    for (id, models) in stored.into_iter().filter(|(_, models)| models.client_version == version) {
        let StoredModels { etag, body, .. } = models;
        let key = (etag, body);
        if let Some(listing) = known.get(&key) {
            lists.insert(id, Arc::clone(listing));
            continue;
        }
        match pool::catalog::parse_models(&key.1) {
            Ok(models) => {
                let listing = Arc::new(Listing { etag: key.0.clone(), version: version.clone(), models });
                lists.insert(id, Arc::clone(&listing));
                known.insert(key, listing);
            }
            Err(error) => tracing::warn!(account = %id, %error, "stored model list is not usable"),
        }
    }
    lists
}

/// Fetches lists as they are asked for, until the engine stops.
pub(crate) async fn keep_listed(core: Arc<Core>) {
    loop {
        core.accounts.sweep(core.now());
        let now = Instant::now();
        let (lists, routes) = (core.wanted.wants.due(now), core.routes.again.due(now));
        let lists =
            stream::iter(lists).for_each_concurrent(PARALLEL, |(id, failures)| one(Arc::clone(&core), id, failures));
        let routes =
            stream::iter(routes).for_each_concurrent(PARALLEL, |(id, failures)| again(Arc::clone(&core), id, failures));
        tokio::select! {
            () = core.stop.cancelled() => return,
            ((), ()) = futures_util::future::join(lists, routes) => {}
        }
        let next = [core.wanted.wants.next(), core.routes.again.next()].into_iter().flatten().min();
        let next = next.unwrap_or_else(|| Instant::now() + LOOK);
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = core.wanted.wake.notified() => {}
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

async fn one(core: Arc<Core>, id: AccountId, failures: u32) {
    if let Err(error) = core.list_now(&id).await {
        let who = core.accounts.who(&id);
        tracing::warn!(account = who.account(), relay = who.relay(), %error, "model list not fetched");
        core.wanted.wants.later(id, failures);
    }
}

/// Asks once more where an account is served, which was not to be learned when its list came.
async fn again(core: Arc<Core>, id: AccountId, failures: u32) {
    let Some(entry) = core.accounts.get(&id).filter(|entry| entry.relay.is_none() && lists(entry)) else { return };
    match core.fresh(&entry, Wish::of).await {
        Ok(tokens) => locate(&core, &entry, &tokens, failures).await,
        Err(_) => core.routes.again.later(id, failures),
    }
}

/// Asks where an account is served. That this fails says nothing about its list, and is made up for at its own pace.
async fn locate(core: &Arc<Core>, entry: &Entry, tokens: &Tokens, failures: u32) {
    let id = &entry.account.id;
    if let Err(error) = core.route(entry, tokens).await {
        tracing::warn!(account = %id, %error, "the backend did not say in which region the account is served; it is asked again");
        core.routes.again.later(id.clone(), failures);
        core.wanted.wake.notify_one();
    }
}

/// Whether it has a list that can be asked for.
fn lists(entry: &Entry) -> bool {
    !entry.account.status.lasts() || load::asks_again(entry)
}

impl Core {
    /// Fetches a list now. Nothing is asked of one that is gone or has none.
    async fn list_now(self: &Arc<Self>, id: &AccountId) -> Result<(), NotListed> {
        let Some(entry) = self.accounts.get(id).filter(|entry| lists(entry)) else { return Ok(()) };
        match &entry.relay {
            Some(_) => load::fetch_models(self, &entry).await?,
            None => fetch(self, &entry).await?,
        }
        self.wanted.again(id.clone(), self.settings.models_ttl);
        Ok(())
    }
}

async fn fetch(core: &Arc<Core>, entry: &Entry) -> Result<(), NotListed> {
    let id = &entry.account.id;
    let version = version(core);
    // A list for another version is another list.
    let known = entry.models.as_ref().filter(|listing| listing.version == version);
    let etag = known.and_then(|listing| listing.etag.as_deref());
    let (answer, tokens) = ask(core, entry, (None, etag)).await?;
    match answer {
        ModelsAnswer::NotModified => {}
        ModelsAnswer::Refused { status, .. } => return Err(NotListed::Refused(status)),
        ModelsAnswer::Fresh { etag, body } => {
            let models = pool::catalog::parse_models(&body)?;
            let listing = Listing { etag: etag.clone(), version: version.clone(), models };
            core.accounts.listed(id, Arc::new(listing));
            save(core, id, StoredModels { etag, client_version: version, body, fetched: core.now() }).await;
        }
    }
    if !core.routes.again.waits(id) {
        locate(core, entry, &tokens, 0).await;
    }
    Ok(())
}

/// Asks an account for its list for clients of a version, else of ours; with new tokens where those are refused.
async fn ask(
    core: &Arc<Core>,
    entry: &Entry,
    wish: (Option<&str>, Option<&str>),
) -> Result<(ModelsAnswer, Arc<Tokens>), NotListed> {
    let id = &entry.account.id;
    let trouble = |why: &dyn std::fmt::Display| NotListed::Upstream(why.to_string());
    let mut tokens = core.fresh(entry, Wish::of).await.map_err(|error| trouble(&error))?;
    let out = || core.out(id).map_err(|error| trouble(&error));
    let mut answer = out()?.models(&entry.account, &tokens.access, wish).await.map_err(|fault| trouble(&fault))?;
    if matches!(answer, ModelsAnswer::Refused { status: 401, .. }) {
        let renewal = Wish::of(&tokens, RefreshReason::UnauthorizedRecovery);
        tokens = core.renew(id, renewal).await.map_err(|error| trouble(&error))?;
        answer = out()?.models(&entry.account, &tokens.access, wish).await.map_err(|fault| trouble(&fault))?;
    }
    Ok((answer, tokens))
}

async fn save(core: &Core, id: &AccountId, models: StoredModels) {
    if let Err(error) = core.store.set_models(id, &models).await {
        tracing::warn!(account = %id, %error, "model list not stored");
    }
}

/// The list depends on the client version that is asked for.
fn version(core: &Core) -> String {
    core.upstream.profile().version.clone()
}

/// An etag without its weakness mark and quotes: the header inside answers carries the bare value.
fn plain(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}
