//! The models for clients and the owner, and a refresh of all lists on demand.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use pool::AccountId;
use pool::catalog::{CodexList, Model, Resolved, ServedBy};
use pool::relay::Service;
use proto::Failure;

use crate::models;
use crate::models::{PARALLEL, has_list};
use crate::request::retired::RetiredModel;
use crate::request::services::Services;

/// Longest wait for all lists. Later lists are applied too.
const LIMIT: Duration = Duration::from_secs(20);

/// A refreshed list.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ModelsRefreshed)]
pub struct Refreshed {
    /// The account's or relay's id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Models on its list now.
    pub models: usize,
    /// Why the list was not fetched; the old one stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A model as lists show it.
#[derive(Clone, Debug)]
pub struct ListedModel {
    /// The model; its slug is the name to ask for.
    pub model: Model,
    /// The relay that has it; `None` for accounts.
    pub owner: Option<String>,
}

/// The handle that `Engine::models` returns.
#[derive(Clone, Copy)]
pub struct Models<'e>(pub(crate) &'e Arc<Services>);

impl Models<'_> {
    /// The models to show, best first: those of accounts, then those of relays. Empty without accounts and relays.
    pub fn list(self) -> Vec<ListedModel> {
        let accounts = &self.0.registry.accounts;
        let catalog = accounts.catalog();
        if catalog.is_vacant() {
            return Vec::new();
        }
        let mut all: Vec<_> = catalog.listed().map(|model| ListedModel { model: model.clone(), owner: None }).collect();
        let offers = catalog.offers().map(|offer| ListedModel {
            model: Model { slug: offer.name.to_owned(), ..offer.model.clone() },
            owner: Some(offer.owner.to_owned()),
        });
        all.extend(offers);
        all
    }

    /// The models of [`Self::list`], without their owners.
    pub fn catalog(self) -> Vec<Model> {
        self.list().into_iter().map(|shown| shown.model).collect()
    }

    /// Resolves a model name; `None` is the default model.
    pub fn resolve(self, name: Option<&str>) -> Result<Resolved, Failure> {
        self.0.registry.accounts.catalog().resolve(name, &self.0.runtime.settings.names)
    }

    /// Whether a relay with this service lists a model of exactly this name.
    pub fn lists(self, service: Service, name: &str) -> bool {
        let side = service.capability().map(|capability| self.0.registry.accounts.catalog_for(capability));
        side.is_some_and(|side| side.offers().any(|offer| offer.name == name))
    }

    /// Every model in Codex's own form, as the backend lists it for clients of `version`, else for ours. Waits for `patience` at most.
    pub async fn codex(self, version: Option<&str>, patience: Duration) -> CodexList {
        if let Some(version) = version {
            self.0.models.fetch_for_version(version, patience).await;
        }
        self.0.models.codex_list(version)
    }

    /// Reads the stored model lists, which an engine for one command does not read by itself.
    pub async fn restore(self) {
        models::restore(&self.0.models).await;
    }

    /// The relay that serves a model name; `None` for accounts and unknown names.
    pub fn owner(self, name: &str) -> Option<String> {
        let ServedBy::Relays(targets) = self.resolve(Some(name)).ok()?.to else { return None };
        let entry = self.0.registry.accounts.get(&targets.first()?.relay)?;
        Some(entry.relay.as_ref()?.relay.name.clone())
    }

    /// The retired models that clients have asked for since this node started, the last asked for first; 64 at most.
    pub fn retired(self) -> Vec<RetiredModel> {
        self.0.retired.list()
    }
    /// Fetches all lists now, a few at a time, and waits 20 s at most. Empty when the last round began less than `rest` ago or still
    /// runs.
    pub async fn refresh(self, rest: Duration) -> Vec<Refreshed> {
        let Some(round) = self.0.dispatch.model_queue.round(rest).map(Arc::new) else { return Vec::new() };
        let services = self.0;
        let list = services.registry.accounts.list();
        let ids: Vec<AccountId> =
            list.iter().filter(|entry| has_list(entry)).map(|entry| entry.account.id.clone()).collect();
        let fetch = |id: AccountId| {
            let services = Arc::clone(services);
            // The fetch goes on when nobody waits any more, because its list is useful.
            let task = services.runtime.tasks.spawn({
                let (services, id, round) = (Arc::clone(&services), id.clone(), Arc::clone(&round));
                async move {
                    let error = services.models.fetch_list(&id).await.err().map(|error| error.to_string());
                    drop(round);
                    error
                }
            });
            async move {
                let error = task.await.unwrap_or_else(|_| Some("the engine stops".to_owned()));
                self.refreshed(&id, error)
            }
        };
        let done = futures_util::stream::iter(ids).map(fetch).buffered(PARALLEL).filter_map(std::future::ready);
        done.take_until(tokio::time::sleep(LIMIT)).collect().await
    }

    fn refreshed(self, id: &AccountId, error: Option<String>) -> Option<Refreshed> {
        let entry = self.0.registry.accounts.get(id)?;
        let name = entry.relay.as_ref().map_or(&entry.account.label, |relay| &relay.relay.name).clone();
        let models = entry.models.as_ref().map_or(0, |listing| listing.models.len());
        Some(Refreshed { id: id.0.clone(), name, models, error })
    }
}
