//! Reading relays and their model lists: from the store, and from the relays themselves.

use std::sync::Arc;

use pool::catalog::Model;
use pool::relay::{Relay, models};
use pool::status::Signal;
use pool::{Secret, Status};
use store::RelayModels;
use upstream::relay::Listed;

use super::{Line, RelayOrigin};
use crate::accounts::{Changes, Entry, Listing};
use crate::core::Core;
use crate::models::NotListed;

/// Takes over the relays of the store, and those of the configuration file, which win where a name is in both. The caller
/// holds [`Core::sync`].
pub(crate) async fn reload(core: &Core) -> Result<Changes, store::Error> {
    let stored = core.store.relays().await?;
    let mut lines = core.filed.lock().clone();
    let filed = lines.len();
    for relay in stored {
        if lines[..filed].iter().any(|line| line.relay.name == relay.name) {
            tracing::warn!(relay = %relay.name, "the configuration file names this relay too, and counts");
            continue;
        }
        if let Some(line) = line(core, relay).await? {
            lines.push(line);
        }
    }
    Ok(core.accounts.adopt_relays(lines))
}

/// A stored relay with its key; `None` when it was removed meanwhile.
async fn line(core: &Core, relay: Relay) -> Result<Option<Line>, store::Error> {
    let origin = RelayOrigin::Store;
    match core.store.relay_key(&relay.id).await {
        Ok(key) => Ok(key.map(|key| Line { relay, key, origin })),
        // One damaged row must not take the others with it.
        Err(error @ (store::Error::Sealed { .. } | store::Error::Damaged { .. })) => {
            tracing::error!(relay = %relay.name, %error, "key is not readable");
            let status = Status::NeedsLogin {
                why: format!("its key cannot be read: `polygate relays key {}` gives it again", relay.name),
            };
            Ok(Some(Line { relay: Relay { status, ..relay }, key: Secret::from(""), origin }))
        }
        Err(error) => Err(error),
    }
}

/// Makes known what changed among the relays.
pub(crate) fn announce(core: &Core, changes: &Changes) {
    for id in changes.added.iter().chain(&changes.signed_in) {
        core.wanted.want(id);
    }
    for id in &changes.removed {
        core.slots.scatter(id);
    }
}

/// Restores a relay's stored list.
pub(crate) async fn restore_models(core: &Core, entry: &Entry) {
    let Some(line) = entry.relay.as_ref().filter(|line| line.relay.models.is_empty()) else { return };
    match core.store.relay_models(&line.relay.id).await {
        Ok(Some(stored)) => match models::read(&stored.body) {
            Ok(page) => listed(core, entry, page.models),
            Err(error) => tracing::warn!(relay = line.relay.name, %error, "stored model list is not usable"),
        },
        Ok(None) => {}
        Err(error) => tracing::warn!(relay = line.relay.name, %error, "stored model list is not readable"),
    }
}

/// Whether it is worth asking although its key was refused. Nobody can test a relay of the file, so its key may be good again without a
/// word; the stored ones are tested by their owner.
pub(crate) fn asks_again(entry: &Entry) -> bool {
    let filed = entry.relay.as_ref().is_some_and(|line| line.origin == RelayOrigin::File);
    filed && matches!(entry.account.status, Status::NeedsLogin { .. })
}

/// Fetches a relay's list. One that has none is asked for any model. A list says nothing bad about a key, which may be for other calls
/// only; but a good one ends a refusal.
pub(crate) async fn fetch_models(core: &Core, entry: &Entry) -> Result<(), NotListed> {
    let Some(line) = &entry.relay else { return Ok(()) };
    let (fixed, again) = (!line.relay.models.is_empty(), asks_again(entry));
    if fixed && !again {
        return Ok(());
    }
    let answer = core.upstream.relays().models(&line.relay, &line.key).await;
    let answer = answer.map_err(|fault| NotListed::Upstream(fault.to_string()))?;
    // Where there is no list, the next call finds out.
    if again && matches!(answer, Listed::Models(_) | Listed::Unreadable(_) | Listed::Refused(404 | 405 | 501)) {
        core.report(line, &Signal::SignedIn);
    }
    match answer {
        Listed::Models(_) if fixed => Ok(()),
        Listed::Models(models) => {
            let body = models::write(&models);
            listed(core, entry, models);
            keep(core, line, body).await;
            Ok(())
        }
        Listed::Refused(status) => Err(NotListed::Refused(status)),
        Listed::Unreadable(error) => Err(error.into()),
    }
}

fn listed(core: &Core, entry: &Entry, models: Vec<Model>) {
    core.accounts.listed(&entry.account.id, Arc::new(Listing { etag: None, version: String::new(), models }));
}

async fn keep(core: &Core, line: &Line, body: bytes::Bytes) {
    if line.origin == RelayOrigin::File {
        return;
    }
    let models = RelayModels { body, fetched: core.now() };
    if let Err(error) = core.store.set_relay_models(&line.relay.id, &models).await {
        tracing::warn!(relay = %line.relay.name, %error, "model list not stored");
    }
}
