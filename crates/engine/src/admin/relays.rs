//! Relays as server and composition root see them.

mod manage;
mod view;

use std::sync::Arc;

use pool::catalog::Model;
use pool::relay::{PastedAddress, Relay};
use pool::{AccountId, Secret};
use tokio::sync::MutexGuard;

use crate::models;
use crate::registry::relays::{RelayEntry, RelayOrigin};
use crate::request::services::Services;

pub use manage::{Private, RelayError, RelayWish, add_relay, rekey_relay, relay_models, test_relay};
pub use view::{RelayView, masked, status_word as relay_state};

/// What is to be changed of a relay; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct RelayChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
    /// Its key.
    pub key: Option<Secret>,
}

/// Relays; see [`crate::Engine::relays`].
#[derive(Clone, Copy)]
pub struct Relays<'e>(pub(crate) &'e Arc<Services>);

impl Relays<'_> {
    /// Every relay: those of the configuration file, then the stored ones, oldest first.
    pub fn list(self) -> Vec<RelayView> {
        let services = self.0;
        let view = |entry: &Arc<crate::registry::accounts::Entry>| {
            RelayView::of(entry, services.dispatch.limiter.load(&entry.account.id).0, services.runtime.now())
        };
        services.registry.accounts.list().iter().filter_map(view).collect()
    }

    /// Every relay with its key, for an export.
    pub fn export(self) -> Vec<(Relay, Secret)> {
        let list = self.0.registry.accounts.list();
        let lines = list.iter().filter_map(|entry| entry.relay.as_ref());
        lines.map(|line| (line.relay.clone(), line.key.clone())).collect()
    }

    /// Adds a relay.
    pub async fn add(self, wish: &RelayWish) -> Result<RelayView, RelayError> {
        let services = self.0;
        if services.registry.file_relays.lock().iter().any(|line| line.relay.name == wish.name) {
            return Err(RelayError::File);
        }
        let relay = manage::add_relay(
            &services.runtime.store,
            services.runtime.upstream.relays(),
            wish,
            services.runtime.now(),
        )
        .await?;
        self.reread_relays(&services.registry.lock.lock().await).await?;
        self.relay(&relay.id).ok_or(RelayError::Unknown)
    }

    /// Changes a stored relay.
    pub async fn change(self, id: &str, change: RelayChange) -> Result<RelayView, RelayError> {
        let services = self.0;
        let turn = services.registry.lock.lock().await;
        let mut relay = self.stored_relay(id).await?;
        let RelayChange { name, enabled, key } = change;
        relay.name = name.unwrap_or(relay.name);
        relay.enabled = enabled.unwrap_or(relay.enabled);
        relay.check()?;
        let id = services
            .runtime
            .store
            .put_relay(&manage::row(&relay, Some(relay.id.clone()), key), services.runtime.now())
            .await?;
        self.reread_relays(&turn).await?;
        self.relay(&id).ok_or(RelayError::Unknown)
    }

    /// Removes a stored relay; `false` when there is none.
    pub async fn remove(self, id: &str) -> Result<bool, RelayError> {
        let services = self.0;
        let turn = services.registry.lock.lock().await;
        let relay = match self.stored_relay(id).await {
            Err(RelayError::Unknown) => return Ok(false),
            relay => relay?,
        };
        let removed = services.runtime.store.remove_relay(&relay.id).await?;
        self.reread_relays(&turn).await?;
        Ok(removed)
    }

    /// The models of a relay that is not added yet.
    pub async fn ask_models(self, wish: &RelayWish) -> Result<Vec<Model>, RelayError> {
        let services = self.0;
        let relays = services.runtime.upstream.relays();
        let relay = wish.detect(relays, AccountId(String::new()), services.runtime.now()).await?;
        manage::relay_models(relays, &relay, &wish.key).await
    }

    /// Puts the relays of the configuration file in place of those that were there; a relay that is wrong is left out, and said.
    pub async fn put_file(self, wishes: &[RelayWish]) -> Vec<(String, RelayError)> {
        let services = self.0;
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        for wish in wishes {
            match wish.plan(manage::filed_id(&wish.name), services.runtime.now()) {
                Ok(relay) => lines.push(RelayEntry { relay, key: wish.key.clone(), origin: RelayOrigin::File }),
                Err(error) => wrong.push((wish.name.clone(), error)),
            }
        }
        *services.registry.file_relays.lock() = lines;
        if let Err(error) = self.reread_relays(&services.registry.lock.lock().await).await {
            tracing::warn!(%error, "relays of the configuration file are not in use yet");
        }
        // Whoever wrote the file may have made a key good again.
        for entry in services.registry.accounts.list().iter().filter(|entry| models::asks_again(entry)) {
            services.dispatch.model_queue.request(&entry.account.id);
        }
        wrong
    }

    fn relay(self, id: &AccountId) -> Option<RelayView> {
        let entry = self.0.registry.accounts.get(id)?;
        RelayView::of(&entry, self.0.dispatch.limiter.load(id).0, self.0.runtime.now())
    }
}

impl Relays<'_> {
    /// Takes over now what the keeper would take over with its next look, within a turn of [`Registry::lock`].
    async fn reread_relays(self, _turn: &MutexGuard<'_, ()>) -> Result<(), RelayError> {
        let changes = self.0.registry.reload_relays().await?;
        self.0.dispatch.on_relay_changes(&changes);
        Ok(())
    }

    async fn stored_relay(self, id: &str) -> Result<Relay, RelayError> {
        if self.0.registry.file_relays.lock().iter().any(|line| line.relay.id.0 == id) {
            return Err(RelayError::File);
        }
        let all = self.0.runtime.store.relays().await?;
        all.into_iter().find(|relay| relay.id.0 == id).ok_or(RelayError::Unknown)
    }
}

/// A relay name made of what a person wrote: lower case, everything else a hyphen.
pub fn relay_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.trim().chars().map(plain).collect();
    let name = name.trim_matches(|c| c == '-' || c == '_');
    name.chars().take(32).collect::<String>().trim_end_matches('-').to_owned()
}

/// The host of an address as somebody pasted it, as a name for a relay: `api.example.com` is `example`.
pub fn host_name(base_url: &str) -> Option<String> {
    let pasted = PastedAddress::read(base_url).ok()?;
    let host = pasted.url().host_str()?.to_owned();
    let parts: Vec<&str> = host.split('.').collect();
    let part = match parts.as_slice() {
        [.., name, _] if host.parse::<std::net::Ipv4Addr>().is_err() => name,
        _ => host.as_str(),
    };
    Some(relay_name(part)).filter(|name| !name.is_empty())
}
