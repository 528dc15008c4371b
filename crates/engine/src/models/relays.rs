//! The model lists of relays: from the store, and from the relays themselves.

use std::sync::Arc;

use pool::Status;
use pool::catalog::Model;
use pool::relay::models;
use pool::status::Signal;
use store::RelayModels;
use upstream::relay::ListOutcome;

use super::ModelLists;
use crate::dispatch::model_queue::ListFetchError;
use crate::registry::accounts::{AccountEntry, ModelList};
use crate::registry::relays::{RelayEntry, RelayOrigin};

/// Restores a relay's stored list.
pub(crate) async fn restore_models(service: &ModelLists, entry: &AccountEntry) {
    let Some(relay) = entry.relay.as_ref().filter(|relay| relay.relay.models.is_empty()) else { return };
    match service.runtime.store.relay_models(&relay.relay.id).await {
        Ok(Some(stored)) => match models::read(&stored.body) {
            Ok(page) => listed(service, entry, page.models),
            Err(error) => tracing::warn!(relay = relay.relay.name, %error, "stored model list is not usable"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!(relay = relay.relay.name, %error, "stored model list is not readable"),
    }
}

/// Whether to ask a relay although its key was refused. Only for relays of the file, whose key may become valid without notice; stored
/// relays are tested by their owner.
pub(crate) fn asks_again(entry: &AccountEntry) -> bool {
    let from_file = entry.relay.as_ref().is_some_and(|relay| relay.origin == RelayOrigin::File);
    from_file && matches!(entry.account.status, Status::NeedsLogin { .. })
}

/// Fetches a relay's list. A refused list does not count against the key, which may be for other calls only; a good list ends a refusal
/// of the key.
pub(crate) async fn fetch_models(service: &ModelLists, entry: &AccountEntry) -> Result<(), ListFetchError> {
    let Some(relay) = &entry.relay else { return Ok(()) };
    let (fixed, again) = (!relay.relay.models.is_empty(), asks_again(entry));
    if fixed && !again {
        return Ok(());
    }
    let answer = service.runtime.upstream.relays().models(&relay.relay, &relay.key).await;
    let answer = answer.map_err(|fault| ListFetchError::Upstream(fault.to_string()))?;
    // Where there is no list, the next call finds out.
    if again
        && matches!(answer, ListOutcome::Models(_) | ListOutcome::Unreadable(_) | ListOutcome::Refused(404 | 405 | 501))
    {
        service.dispatch.signal_relay(relay, &Signal::SignedIn);
    }
    match answer {
        ListOutcome::Models(_) if fixed => Ok(()),
        ListOutcome::Models(models) => {
            let body = models::write(&models);
            listed(service, entry, models);
            keep(service, relay, body).await;
            Ok(())
        }
        ListOutcome::Refused(status) => Err(ListFetchError::Refused(status)),
        ListOutcome::Unreadable(error) => Err(error.into()),
    }
}

fn listed(service: &ModelLists, entry: &AccountEntry, models: Vec<Model>) {
    service
        .registry
        .accounts
        .set_model_list(&entry.account.id, Arc::new(ModelList { etag: None, version: String::new(), models }));
}

async fn keep(service: &ModelLists, relay: &RelayEntry, body: bytes::Bytes) {
    if relay.origin == RelayOrigin::File {
        return;
    }
    let models = RelayModels { body, fetched: service.runtime.now() };
    if let Err(error) = service.runtime.store.set_relay_models(&relay.relay.id, &models).await {
        tracing::warn!(relay = %relay.relay.name, %error, "model list not stored");
    }
}
