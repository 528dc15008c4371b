//! The relays of the configuration file and the store, for commands.

use anyhow::Context;
use pool::relay::Relay;
use pool::{AccountId, Secret};
use store::Store;

use super::super::workplace;
use crate::config::{self, Config};
use crate::relays::{self, refusals};
use engine::RelayOrigin;

/// A relay of the store or of the file.
pub(in crate::cli) struct Known {
    pub(in crate::cli) relay: Relay,
    pub(in crate::cli) key: Secret,
    pub(in crate::cli) origin: RelayOrigin,
    /// Whether a relay of the file has the same name and takes precedence over this stored one.
    pub(in crate::cli) hidden: bool,
}

/// A relay of the file that a gateway leaves out.
pub(in crate::cli) struct Wrong {
    pub(in crate::cli) name: String,
    pub(in crate::cli) error: anyhow::Error,
}

/// Every relay: the file's, then the stored ones.
pub(in crate::cli) struct All {
    pub(in crate::cli) known: Vec<Known>,
    pub(in crate::cli) wrong: Vec<Wrong>,
}

impl All {
    pub(in crate::cli) async fn read(config: &Config, store: &Store) -> anyhow::Result<Self> {
        let mut all = Self { known: Vec::new(), wrong: Vec::new() };
        let refusals = refusals::read(store, &config.paths.home).await?;
        for relay in &config.relays {
            match filed(relay, config) {
                Ok(mut known) => {
                    if let Some(refusal) = refusals.iter().find(|refusal| refusal.means(&known.relay)) {
                        known.relay.status = refusal.status();
                    }
                    all.known.push(known);
                }
                Err(error) => all.wrong.push(Wrong { name: relay.name.clone(), error }),
            }
        }
        for relay in store.relays().await? {
            // A key that cannot be read any more is given again with `relays key`.
            let key = store.relay_key(&relay.id).await.ok().flatten().unwrap_or_else(|| Secret::from(""));
            let hidden = config.relays.iter().any(|filed| filed.name == relay.name);
            all.known.push(Known { relay, key, origin: RelayOrigin::Store, hidden });
        }
        Ok(all)
    }

    /// The relay of this name or id. If a name is in both, the relay of the file.
    pub(in crate::cli) fn find(self, wanted: &str) -> anyhow::Result<Option<Known>> {
        if let Some(Wrong { name, error }) = self.wrong.into_iter().find(|wrong| wrong.name == wanted) {
            return Err(error.context(format!("relay {name} of the file")));
        }
        Ok(self.known.into_iter().find(|known| means(&known.relay, wanted)))
    }
}

/// The stored relay of this name or id.
pub(in crate::cli) async fn stored(store: &Store, wanted: &str) -> anyhow::Result<Option<Relay>> {
    Ok(store.relays().await?.into_iter().find(|relay| means(relay, wanted)))
}

fn means(relay: &Relay, wanted: &str) -> bool {
    relay.name == wanted || !wanted.is_empty() && relay.id.0 == wanted
}

fn filed(relay: &config::Relay, config: &Config) -> anyhow::Result<Known> {
    let wish = relays::wish(relay, &config.paths.config).context("its key")?;
    let relay = wish.plan(AccountId(String::new()), workplace::now())?;
    Ok(Known { relay, key: wish.key, origin: RelayOrigin::File, hidden: false })
}
