//! Changes of relays.

mod manage;
mod provider;
mod view;

use std::sync::Arc;

use pool::catalog::Model;
use pool::relay::{PastedAddress, Relay, models as listing};
use pool::{AccountId, Secret};
use tokio::sync::MutexGuard;

use crate::models;
use crate::registry::relays::{RelayEntry, RelayOrigin};
use crate::request::services::Services;

pub(crate) use manage::add_relay;
pub use manage::{PrivateAccess, RelayError, RelaySpec};
pub use provider::{PROVIDERS, Provider};
pub use view::{RelayView, masked, status_word as relay_state};

/// A change of a relay; `None` keeps the value.
#[derive(Clone, Debug, Default)]
pub struct RelayChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is switched on.
    pub enabled: Option<bool>,
    /// Its key.
    pub key: Option<Secret>,
}

/// The handle that `Engine::relays` returns.
#[derive(Clone, Copy)]
pub struct Relays<'e>(pub(crate) &'e Arc<Services>);

impl Relays<'_> {
    /// Every relay: those of the configuration file, then the stored ones, oldest first.
    pub fn list(self) -> Vec<RelayView> {
        let now = self.0.runtime.now();
        self.0.registry.accounts.list().iter().filter_map(|entry| RelayView::of(entry, now)).collect()
    }

    /// Every relay with its key and the id of its provider, for an export.
    pub fn export(self) -> Vec<(Relay, Secret, &'static str)> {
        let list = self.0.registry.accounts.list();
        let relays = list.iter().filter_map(|entry| entry.relay.as_deref());
        relays.map(|entry| (entry.relay.clone(), entry.key.clone(), provider::of(&entry.relay.base_url))).collect()
    }

    /// Adds a relay.
    pub async fn add(self, spec: &RelaySpec) -> Result<RelayView, RelayError> {
        let (runtime, registry) = (&self.0.runtime, &self.0.registry);
        if registry.has_file_relay(|entry| entry.relay.name == spec.name) {
            return Err(RelayError::File);
        }
        let relay = manage::add_relay(&runtime.store, runtime.upstream.relays(), spec, runtime.now()).await?;
        self.reread_relays(&registry.lock_reload().await).await?;
        self.relay(&relay.id).ok_or(RelayError::Unknown)
    }

    /// Changes a stored relay. A new key ends a refusal of the old key.
    pub async fn change(self, id: &str, change: RelayChange) -> Result<RelayView, RelayError> {
        let runtime = &self.0.runtime;
        let guard = self.0.registry.lock_reload().await;
        let mut relay = self.stored_relay(id).await?;
        let RelayChange { name, enabled, key } = change;
        relay.name = name.unwrap_or(relay.name);
        relay.enabled = enabled.unwrap_or(relay.enabled);
        relay.check()?;
        let changed = manage::new_relay(&relay, Some(relay.id.clone()), key);
        let id = runtime.store.put_relay(&changed, runtime.now()).await?;
        self.reread_relays(&guard).await?;
        self.relay(&id).ok_or(RelayError::Unknown)
    }

    /// Removes a stored relay; `false` when there is none.
    pub async fn remove(self, id: &str) -> Result<bool, RelayError> {
        let guard = self.0.registry.lock_reload().await;
        let relay = match self.stored_relay(id).await {
            Err(RelayError::Unknown) => return Ok(false),
            relay => relay?,
        };
        let removed = self.0.runtime.store.remove_relay(&relay.id).await?;
        self.reread_relays(&guard).await?;
        Ok(removed)
    }

    /// Every relay of the store with its key, read now, oldest first. A key that cannot be read is empty. A relay is here too when the
    /// configuration file has a relay of the same name. Errors: [`RelayError::Store`].
    pub async fn stored(self) -> Result<Vec<(Relay, Secret)>, RelayError> {
        let store = &self.0.runtime.store;
        let mut all = Vec::new();
        for relay in store.relays().await? {
            let key = store.relay_key(&relay.id).await.ok().flatten().unwrap_or_else(|| Secret::from(""));
            all.push((relay, key));
        }
        Ok(all)
    }

    /// Asks a stored relay for its models, stores the list, and returns the number of models. That also tests the key: a good answer
    /// ends a refusal of it.
    pub async fn test(self, id: &str) -> Result<usize, RelayError> {
        let runtime = &self.0.runtime;
        let relay = self.stored_relay(id).await?;
        let count = manage::test_relay(&runtime.store, runtime.upstream.relays(), &relay, runtime.now()).await?;
        self.reread_relays(&self.0.registry.lock_reload().await).await?;
        Ok(count)
    }

    /// Asks a relay for its models with this key, and stores nothing.
    pub async fn fetch_models(self, relay: &Relay, key: &Secret) -> Result<Vec<Model>, RelayError> {
        manage::relay_models(self.0.runtime.upstream.relays(), relay, key).await
    }

    /// Number of models that a relay offers: those that its owner chose, else those of its stored list; 0 without a readable list.
    /// Errors: [`RelayError::Store`].
    pub async fn count_models(self, relay: &Relay) -> Result<usize, RelayError> {
        if !relay.models.is_empty() {
            return Ok(relay.models.len());
        }
        let stored = self.0.runtime.store.relay_models(&relay.id).await?;
        Ok(stored.and_then(|stored| listing::read(&stored.body).ok()).map_or(0, |page| page.models.len()))
    }

    /// The models of a relay that is not added yet.
    pub async fn ask_models(self, spec: &RelaySpec) -> Result<Vec<Model>, RelayError> {
        let services = self.0;
        let relays = services.runtime.upstream.relays();
        let relay = spec.detect(relays, AccountId(String::new()), services.runtime.now()).await?;
        manage::relay_models(relays, &relay, &spec.key).await
    }

    /// Replaces the relays of the configuration file, and returns the invalid ones, which are left out.
    pub async fn replace_configured(self, specs: &[RelaySpec]) -> Vec<(String, RelayError)> {
        let services = self.0;
        let (mut relays, mut wrong) = (Vec::new(), Vec::new());
        for spec in specs {
            match spec.plan(manage::file_relay_id(&spec.name), services.runtime.now()) {
                Ok(relay) => relays.push(RelayEntry { relay, key: spec.key.clone(), origin: RelayOrigin::File }),
                Err(error) => wrong.push((spec.name.clone(), error)),
            }
        }
        services.registry.set_file_relays(relays);
        if let Err(error) = self.reread_relays(&services.registry.lock_reload().await).await {
            tracing::warn!(%error, "relays of the configuration file are not in use yet");
        }
        // The new file may have made a key valid again.
        for entry in services.registry.accounts.list().iter().filter(|entry| models::asks_again(entry)) {
            services.dispatch.model_queue.request(&entry.account.id);
        }
        wrong
    }

    fn relay(self, id: &AccountId) -> Option<RelayView> {
        let entry = self.0.registry.accounts.get(id)?;
        RelayView::of(&entry, self.0.runtime.now())
    }

    /// Applies stored changes of relays now. The caller holds the guard of [`crate::registry::Registry::lock_reload`].
    async fn reread_relays(self, _guard: &MutexGuard<'_, ()>) -> Result<(), RelayError> {
        let changes = self.0.registry.reload_relays().await?;
        self.0.dispatch.on_registry_changes(&changes);
        Ok(())
    }

    async fn stored_relay(self, id: &str) -> Result<Relay, RelayError> {
        if self.0.registry.has_file_relay(|entry| entry.relay.id.0 == id) {
            return Err(RelayError::File);
        }
        let all = self.0.runtime.store.relays().await?;
        all.into_iter().find(|relay| relay.id.0 == id).ok_or(RelayError::Unknown)
    }
}

/// Makes a relay name of a person's text: lower case, with hyphens for all other characters.
pub fn slugify_relay_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.trim().chars().map(plain).collect();
    let name = name.trim_matches(|c| c == '-' || c == '_');
    name.chars().take(32).collect::<String>().trim_end_matches('-').to_owned()
}

/// Makes a relay name of the host in a pasted address: `api.example.com` gives `example`.
pub fn host_name(base_url: &str) -> Option<String> {
    let pasted = PastedAddress::read(base_url).ok()?;
    let host = pasted.url().host_str()?.to_owned();
    let parts: Vec<&str> = host.split('.').collect();
    let part = match parts.as_slice() {
        [.., name, _] if host.parse::<std::net::Ipv4Addr>().is_err() => name,
        _ => host.as_str(),
    };
    Some(slugify_relay_name(part)).filter(|name| !name.is_empty())
}
