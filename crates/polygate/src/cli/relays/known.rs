//! The relays of the configuration file and the store, for commands.

use anyhow::Context;
use pool::relay::Relay;
use pool::{AccountId, Secret};
use store::Store;

use super::super::context;
use crate::config::{self, Config};
use crate::file_relays::{self, refusals};
use engine::RelayOrigin;

/// A relay of the store or of the file.
pub(in crate::cli) struct KnownRelay {
    pub(in crate::cli) relay: Relay,
    pub(in crate::cli) key: Secret,
    pub(in crate::cli) origin: RelayOrigin,
    /// Whether a relay of the file has the same name and takes precedence over this stored relay.
    pub(in crate::cli) hidden: bool,
}

/// A relay of the file that a gateway leaves out.
pub(in crate::cli) struct InvalidRelay {
    pub(in crate::cli) name: String,
    pub(in crate::cli) error: anyhow::Error,
}

/// Every relay: first the relays of the file, then the stored relays.
pub(in crate::cli) struct RelayList {
    pub(in crate::cli) known: Vec<KnownRelay>,
    pub(in crate::cli) wrong: Vec<InvalidRelay>,
}

impl RelayList {
    pub(in crate::cli) async fn read(config: &Config, store: &Store) -> anyhow::Result<Self> {
        let mut all = Self { known: Vec::new(), wrong: Vec::new() };
        let refusals = refusals::read(store, &config.paths.home).await?;
        for relay in &config.relays {
            match file_relay(relay, config) {
                Ok(mut known) => {
                    if let Some(refusal) = refusals.iter().find(|refusal| refusal.matches(&known.relay)) {
                        known.relay.status = refusal.status();
                    }
                    all.known.push(known);
                }
                Err(error) => all.wrong.push(InvalidRelay { name: relay.name.clone(), error }),
            }
        }
        for relay in store.relays().await? {
            // The owner can set a key that cannot be read any more again with `relays key`.
            let key = store.relay_key(&relay.id).await.ok().flatten().unwrap_or_else(|| Secret::from(""));
            let hidden = config.relays.iter().any(|filed| filed.name == relay.name);
            all.known.push(KnownRelay { relay, key, origin: RelayOrigin::Store, hidden });
        }
        Ok(all)
    }

    /// The relay with this name or id. If the file and the store have the name, the relay of the file.
    pub(in crate::cli) fn find(self, wanted: &str) -> anyhow::Result<Option<KnownRelay>> {
        if let Some(InvalidRelay { name, error }) = self.wrong.into_iter().find(|wrong| wrong.name == wanted) {
            return Err(error.context(format!("relay {name} of the file")));
        }
        Ok(self.known.into_iter().find(|known| is_named(&known.relay, wanted)))
    }
}

/// The stored relay with this name or id.
pub(in crate::cli) async fn stored(store: &Store, wanted: &str) -> anyhow::Result<Option<Relay>> {
    Ok(store.relays().await?.into_iter().find(|relay| is_named(relay, wanted)))
}

fn is_named(relay: &Relay, wanted: &str) -> bool {
    relay.name == wanted || !wanted.is_empty() && relay.id.0 == wanted
}

fn file_relay(relay: &config::Relay, config: &Config) -> anyhow::Result<KnownRelay> {
    let spec = file_relays::load_relay_spec(relay, &config.paths.config).context("its key")?;
    let relay = spec.plan(AccountId(String::new()), context::now())?;
    Ok(KnownRelay { relay, key: spec.key, origin: RelayOrigin::File, hidden: false })
}
