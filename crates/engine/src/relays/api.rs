//! Relays as server and composition root see them.

use std::sync::Arc;

use pool::catalog::{Model, To};
use pool::relay::{Pasted, Relay};
use pool::{AccountId, Secret};
use tokio::sync::MutexGuard;

use super::manage::{self, RelayError, RelayWish};
use super::{Line, RelayOrigin, RelayView, load};
use crate::core::Core;
use crate::engine::Engine;

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

/// A model as lists show it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The model; its slug is the name to ask for.
    pub model: Model,
    /// The relay that has it; `None` for accounts.
    pub owner: Option<String>,
}

impl Engine {
    /// Every relay: those of the configuration file, then the stored ones, oldest first.
    pub fn relays(&self) -> Vec<RelayView> {
        let core = &self.0;
        let view = |entry: &Arc<crate::accounts::Entry>| {
            RelayView::of(entry, core.slots.load(&entry.account.id).0, core.now())
        };
        core.accounts.list().iter().filter_map(view).collect()
    }

    /// Every relay with its key, for an export.
    pub fn export_relays(&self) -> Vec<(Relay, Secret)> {
        let list = self.0.accounts.list();
        let lines = list.iter().filter_map(|entry| entry.relay.as_ref());
        lines.map(|line| (line.relay.clone(), line.key.clone())).collect()
    }

    /// The models to show, best first: those of accounts, then those of relays. None while there is neither.
    pub fn shown(&self) -> Vec<Shown> {
        let accounts = &self.0.accounts;
        let catalog = accounts.catalog();
        if catalog.is_vacant() {
            return Vec::new();
        }
        let mut all: Vec<_> = catalog.listed().map(|model| Shown { model: model.clone(), owner: None }).collect();
        let offers = catalog.offers().map(|offer| Shown {
            model: Model { slug: offer.name.to_owned(), ..offer.model.clone() },
            owner: Some(offer.owner.to_owned()),
        });
        all.extend(offers);
        all
    }

    /// The relay that a model's name means; `None` for accounts and for names that mean nothing.
    pub fn owner(&self, name: &str) -> Option<String> {
        let To::Relays(stops) = self.resolve(Some(name)).ok()?.to else { return None };
        Some(self.relay(&stops.first()?.relay)?.name)
    }

    /// Adds a relay.
    pub async fn add_relay(&self, wish: &RelayWish) -> Result<RelayView, RelayError> {
        let core = &self.0;
        if core.filed.lock().iter().any(|line| line.relay.name == wish.name) {
            return Err(RelayError::File);
        }
        let relay = manage::add_relay(&core.store, core.upstream.relays(), wish, core.now()).await?;
        core.reread_relays(&core.sync.lock().await).await?;
        self.relay(&relay.id).ok_or(RelayError::Unknown)
    }

    /// Changes a stored relay.
    pub async fn change_relay(&self, id: &str, change: RelayChange) -> Result<RelayView, RelayError> {
        let core = &self.0;
        let turn = core.sync.lock().await;
        let mut relay = core.stored_relay(id).await?;
        let RelayChange { name, enabled, key } = change;
        relay.name = name.unwrap_or(relay.name);
        relay.enabled = enabled.unwrap_or(relay.enabled);
        relay.check()?;
        let id = core.store.put_relay(&manage::row(&relay, Some(relay.id.clone()), key), core.now()).await?;
        core.reread_relays(&turn).await?;
        self.relay(&id).ok_or(RelayError::Unknown)
    }

    /// Removes a stored relay; `false` when there is none.
    pub async fn remove_relay(&self, id: &str) -> Result<bool, RelayError> {
        let core = &self.0;
        let turn = core.sync.lock().await;
        let relay = match core.stored_relay(id).await {
            Err(RelayError::Unknown) => return Ok(false),
            relay => relay?,
        };
        let removed = core.store.remove_relay(&relay.id).await?;
        core.reread_relays(&turn).await?;
        Ok(removed)
    }

    /// The models of a relay that is not added yet.
    pub async fn ask_models(&self, wish: &RelayWish) -> Result<Vec<Model>, RelayError> {
        let core = &self.0;
        let relays = core.upstream.relays();
        let relay = wish.settle(relays, AccountId(String::new()), core.now()).await?;
        manage::relay_models(relays, &relay, &wish.key).await
    }

    /// Puts the relays of the configuration file in place of those that were there; a relay that is wrong is left out, and said.
    pub async fn file_relays(&self, wishes: &[RelayWish]) -> Vec<(String, RelayError)> {
        let core = &self.0;
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        for wish in wishes {
            match wish.plan(manage::filed_id(&wish.name), core.now()) {
                Ok(relay) => lines.push(Line { relay, key: wish.key.clone(), origin: RelayOrigin::File }),
                Err(error) => wrong.push((wish.name.clone(), error)),
            }
        }
        *core.filed.lock() = lines;
        if let Err(error) = core.reread_relays(&core.sync.lock().await).await {
            tracing::warn!(%error, "relays of the configuration file are not in use yet");
        }
        // Whoever wrote the file may have made a key good again.
        for entry in core.accounts.list().iter().filter(|entry| load::asks_again(entry)) {
            core.wanted.want(&entry.account.id);
        }
        wrong
    }

    fn relay(&self, id: &AccountId) -> Option<RelayView> {
        let entry = self.0.accounts.get(id)?;
        RelayView::of(&entry, self.0.slots.load(id).0, self.0.now())
    }
}

impl Core {
    /// Takes over now what the keeper would take over with its next look, within a turn of [`Core::sync`].
    async fn reread_relays(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), RelayError> {
        let changes = load::reload(self).await?;
        load::announce(self, &changes);
        Ok(())
    }

    async fn stored_relay(&self, id: &str) -> Result<Relay, RelayError> {
        if self.filed.lock().iter().any(|line| line.relay.id.0 == id) {
            return Err(RelayError::File);
        }
        let all = self.store.relays().await?;
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
    let pasted = Pasted::read(base_url).ok()?;
    let host = pasted.url().host_str()?.to_owned();
    let parts: Vec<&str> = host.split('.').collect();
    let part = match parts.as_slice() {
        [.., name, _] if host.parse::<std::net::Ipv4Addr>().is_err() => name,
        _ => host.as_str(),
    };
    Some(relay_name(part)).filter(|name| !name.is_empty())
}
