//! The relays of the configuration file and the store, for commands.

use anyhow::Context;
use engine::{Engine, RelayOrigin};
use pool::relay::Relay;
use pool::{AccountId, Secret};

use super::super::context;
use crate::config::{self, Config};
use crate::file_relays::{self, refusals::Refusal};

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
    /// The relays of the file, with the refusals that the running gateway stored, and these relays of the store.
    pub(in crate::cli) fn new(config: &Config, refusals: &[Refusal], stored: Vec<(Relay, Secret)>) -> Self {
        let mut all = Self { known: Vec::new(), wrong: Vec::new() };
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
        for (relay, key) in stored {
            let hidden = config.relays.iter().any(|configured| configured.name == relay.name);
            all.known.push(KnownRelay { relay, key, origin: RelayOrigin::Store, hidden });
        }
        all
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
pub(in crate::cli) async fn stored(engine: &Engine, wanted: &str) -> anyhow::Result<Option<Relay>> {
    let mut relays = engine.relays().stored().await?.into_iter().map(|(relay, _)| relay);
    Ok(relays.find(|relay| is_named(relay, wanted)))
}

fn is_named(relay: &Relay, wanted: &str) -> bool {
    relay.name == wanted || !wanted.is_empty() && relay.id.0 == wanted
}

fn file_relay(relay: &config::Relay, config: &Config) -> anyhow::Result<KnownRelay> {
    let spec = file_relays::load_relay_spec(relay, &config.paths.config).context("its key")?;
    let relay = spec.plan(AccountId(String::new()), context::now())?;
    Ok(KnownRelay { relay, key: spec.key, origin: RelayOrigin::File, hidden: false })
}
