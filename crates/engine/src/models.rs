//! The live model list of each account and relay. It is fetched in the background: at the start, for a new account, when an answer
//! names another etag, and at an interval. The bundled list serves only until the first live one.

pub(crate) mod client_versions;
mod relays;
pub(crate) use relays::asks_again;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use pool::catalog::{Catalog, CodexList};
use pool::{AccountId, Tokens, routing};
use store::StoredModels;
use upstream::ModelsAnswer;

use crate::dispatch::Dispatch;
use crate::dispatch::model_queue::ListFetchError;
use crate::registry::Registry;
use crate::registry::accounts::{AccountEntry, ModelList};
use crate::runtime::Runtime;
use crate::tokens::{RefreshFailed, RefreshRequest, TokenService};
use client_versions::VersionedCatalogs;

/// Lists fetched at the same time.
pub(crate) const PARALLEL: usize = 4;

/// Fetches model lists, and keeps those for Codex clients of other versions.
pub(crate) struct ModelLists {
    runtime: Arc<Runtime>,
    registry: Arc<Registry>,
    dispatch: Arc<Dispatch>,
    tokens: Arc<TokenService>,
    catalogs: VersionedCatalogs,
    /// The Codex list, and the catalogue that it was made of.
    codex: ArcSwapOption<(Arc<Catalog>, CodexList)>,
}

impl ModelLists {
    /// A service without lists.
    pub(crate) fn new(
        runtime: Arc<Runtime>,
        registry: Arc<Registry>,
        (dispatch, tokens): (Arc<Dispatch>, Arc<TokenService>),
    ) -> Self {
        let (catalogs, codex) = (VersionedCatalogs::default(), ArcSwapOption::default());
        Self { runtime, registry, dispatch, tokens, catalogs, codex }
    }

    /// The Codex list of a catalogue, made once for each.
    fn cached_codex_list(&self, catalog: Arc<Catalog>) -> CodexList {
        if let Some(known) = self.codex.load_full().filter(|known| Arc::ptr_eq(&known.0, &catalog)) {
            return known.1.clone();
        }
        let list = catalog.codex();
        self.codex.store(Some(Arc::new((catalog, list.clone()))));
        list
    }
}

/// Restores the stored lists of this client version, and schedules a fetch of every list.
pub(crate) async fn restore(service: &ModelLists) {
    match service.runtime.store.all_models().await {
        Ok(stored) => service.registry.accounts.set_model_lists(restored(service, stored)),
        Err(error) => tracing::warn!(%error, "stored model lists are not readable"),
    }
    for entry in service.registry.accounts.list().iter() {
        if entry.relay.is_some() {
            relays::restore_models(service, entry).await;
        }
        service.dispatch.model_queue.request(&entry.account.id);
    }
}

/// The lists of these bodies; accounts with the same body share one list.
fn restored(service: &ModelLists, stored: HashMap<AccountId, StoredModels>) -> HashMap<AccountId, Arc<ModelList>> {
    let mut known: HashMap<(Option<String>, Bytes), Arc<ModelList>> = HashMap::new();
    let mut lists = HashMap::with_capacity(stored.len());
    let version = version(service);
    for (id, models) in stored.into_iter().filter(|(_, models)| models.client_version == version) {
        let StoredModels { etag, body, .. } = models;
        let key = (etag, body);
        if let Some(listing) = known.get(&key) {
            lists.insert(id, Arc::clone(listing));
            continue;
        }
        match pool::catalog::parse_models(&key.1) {
            Ok(models) => {
                let listing = Arc::new(ModelList { etag: key.0.clone(), version: version.clone(), models });
                lists.insert(id, Arc::clone(&listing));
                known.insert(key, listing);
            }
            Err(error) => tracing::warn!(account = %id, %error, "stored model list is not usable"),
        }
    }
    lists
}

pub(crate) async fn fetch_one(service: Arc<ModelLists>, id: AccountId, failures: u32) {
    if let Err(error) = service.fetch_list(&id).await {
        let who = service.registry.accounts.log_subject(&id);
        tracing::warn!(account = who.account(), relay = who.relay(), %error, "model list not fetched");
        service.dispatch.model_queue.schedule.retry_later(id, failures);
    }
}

/// Asks again for an account's routing, which failed when its list came.
pub(crate) async fn retry_routing(service: Arc<ModelLists>, id: AccountId, failures: u32) {
    let Some(entry) = service.registry.account(&id.0).filter(|entry| has_list(entry)) else { return };
    match service.tokens.usable_tokens(&entry, RefreshRequest::background).await {
        Ok(tokens) => locate(&service, &entry, &tokens, failures).await,
        Err(_) => service.dispatch.routes.retries.retry_later(id, failures),
    }
}

/// Asks for an account's routing. A failure does not affect its list, and is retried by its own schedule.
async fn locate(service: &Arc<ModelLists>, entry: &AccountEntry, tokens: &Tokens, failures: u32) {
    let id = &entry.account.id;
    if let Err(error) = service.locate_region(entry, tokens).await {
        tracing::warn!(account = %id, %error, "the backend did not say in which region the account is served; it is asked again");
        service.dispatch.routes.retries.retry_later(id.clone(), failures);
        service.dispatch.model_queue.wake.notify_one();
    }
}

/// Whether its list can be fetched.
pub(crate) fn has_list(entry: &AccountEntry) -> bool {
    !entry.account.status.needs_person() || relays::asks_again(entry)
}

impl ModelLists {
    /// Fetches a list now. Removed accounts and those without a list are skipped.
    pub(crate) async fn fetch_list(self: &Arc<Self>, id: &AccountId) -> Result<(), ListFetchError> {
        let Some(entry) = self.registry.accounts.get(id).filter(|entry| has_list(entry)) else { return Ok(()) };
        match &entry.relay {
            Some(_) => relays::fetch_models(self, &entry).await?,
            None => fetch(self, &entry).await?,
        }
        self.dispatch.model_queue.schedule_refresh(id.clone(), self.runtime.settings.models_ttl);
        Ok(())
    }
}

async fn fetch(service: &Arc<ModelLists>, entry: &AccountEntry) -> Result<(), ListFetchError> {
    let id = &entry.account.id;
    let version = version(service);
    // A list for another version is another list.
    let known = entry.models.as_ref().filter(|listing| listing.version == version);
    let etag = known.and_then(|listing| listing.etag.as_deref());
    let (answer, tokens) = ask(service, entry, (None, etag)).await?;
    match answer {
        ModelsAnswer::NotModified => {}
        ModelsAnswer::Refused { status, .. } => return Err(ListFetchError::Refused(status)),
        ModelsAnswer::Fresh { etag, body } => {
            let models = pool::catalog::parse_models(&body)?;
            let listing = ModelList { etag: etag.clone(), version: version.clone(), models };
            service.registry.accounts.set_model_list(id, Arc::new(listing));
            save(service, id, StoredModels { etag, client_version: version, body, fetched: service.runtime.now() })
                .await;
        }
    }
    if !service.dispatch.routes.retries.is_scheduled(id) {
        locate(service, entry, &tokens, 0).await;
    }
    Ok(())
}

/// Asks an account for its list for clients of a version, else of ours. Refused tokens are replaced.
async fn ask(
    service: &Arc<ModelLists>,
    entry: &AccountEntry,
    query: (Option<&str>, Option<&str>),
) -> Result<(ModelsAnswer, Arc<Tokens>), ListFetchError> {
    let id = &entry.account.id;
    let trouble = |why: &dyn std::fmt::Display| ListFetchError::Upstream(why.to_string());
    let is_refused = |answer: &ModelsAnswer| matches!(answer, ModelsAnswer::Refused { status: 401, .. });
    let call = |tokens: Arc<Tokens>| async move {
        let upstream = service.dispatch.egress(id).map_err(|error| trouble(&error))?;
        upstream.models(&entry.account, &tokens.access, query).await.map_err(|fault| trouble(&fault))
    };
    service.tokens.call_with_tokens(entry, is_refused, call).await
}

impl From<RefreshFailed> for ListFetchError {
    fn from(error: RefreshFailed) -> Self {
        Self::Upstream(error.to_string())
    }
}

async fn save(service: &ModelLists, id: &AccountId, models: StoredModels) {
    if let Err(error) = service.runtime.store.set_models(id, &models).await {
        tracing::warn!(account = %id, %error, "model list not stored");
    }
}

/// Our client version, which the lists depend on.
fn version(service: &ModelLists) -> String {
    service.runtime.upstream.profile().version.clone()
}

impl ModelLists {
    /// Asks for the routing of an account's model calls, unless it is known.
    async fn locate_region(self: &Arc<Self>, entry: &AccountEntry, tokens: &Tokens) -> Result<(), ListFetchError> {
        let account = &entry.account;
        let now = self.runtime.now();
        if self.dispatch.routes.is_fresh(&account.id, now) {
            return Ok(());
        }
        let trouble = |why: &dyn std::fmt::Display| ListFetchError::Upstream(why.to_string());
        let upstream = self.dispatch.egress(&account.id).map_err(|error| trouble(&error))?;
        let answer = upstream.accounts_check(account, &tokens.access).await.map_err(|fault| trouble(&fault))?;
        if answer.status != 200 {
            return Err(ListFetchError::Refused(answer.status));
        }
        let unread = || ListFetchError::Upstream("the account check does not name the account".into());
        let read = routing::read(&answer.body, &account.upstream_id).ok_or_else(unread)?;
        for ignored in &read.ignored {
            tracing::warn!(account = %account.id, ignored, "a part of the account's routing is not followed");
        }
        self.dispatch.routes.learn(&account.id, read.routing, now);
        Ok(())
    }
}
