//! Lists fetched because somebody asks for them now.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use pool::AccountId;

use super::{PARALLEL, lists};
use crate::engine::Engine;

/// Longest wait for all lists; those that come later are taken over all the same.
const LIMIT: Duration = Duration::from_secs(20);

/// A list that was asked for.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[schema(as = ModelsRefreshed)]
pub struct Refreshed {
    /// The account's or relay's id.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Models on its list now.
    pub models: usize,
    /// Why the list did not come; the one from before stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Engine {
    /// Fetches every account's and relay's list now, a few at a time, and waits for them, 20 s at most. Empty when that was begun
    /// less than `rest` ago, or fetches of the last time still run.
    pub async fn refresh_models(&self, rest: Duration) -> Vec<Refreshed> {
        let Some(round) = self.0.wanted.round(rest).map(Arc::new) else { return Vec::new() };
        let core = &self.0;
        let list = core.accounts.list();
        let asked: Vec<AccountId> =
            list.iter().filter(|entry| lists(entry)).map(|entry| entry.account.id.clone()).collect();
        let fetch = |id: AccountId| {
            let core = Arc::clone(core);
            // One that nobody waits for any more goes on: its list is worth having.
            let task = core.tasks.spawn({
                let (core, id, round) = (Arc::clone(&core), id.clone(), Arc::clone(&round));
                async move {
                    let error = core.list_now(&id).await.err().map(|error| error.to_string());
                    drop(round);
                    error
                }
            });
            async move {
                let error = task.await.unwrap_or_else(|_| Some("the engine stops".to_owned()));
                core.refreshed(&id, error)
            }
        };
        let done = futures_util::stream::iter(asked).map(fetch).buffered(PARALLEL).filter_map(std::future::ready);
        done.take_until(tokio::time::sleep(LIMIT)).collect().await
    }
}

impl crate::core::Core {
    fn refreshed(&self, id: &AccountId, error: Option<String>) -> Option<Refreshed> {
        let entry = self.accounts.get(id)?;
        let name = entry.relay.as_ref().map_or(&entry.account.label, |line| &line.relay.name).clone();
        let models = entry.models.as_ref().map_or(0, |listing| listing.models.len());
        Some(Refreshed { id: id.0.clone(), name, models, error })
    }
}
