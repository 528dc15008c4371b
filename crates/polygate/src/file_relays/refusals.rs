//! Relays of the configuration file whose service refuses the running gateway. The refusals are stored, because only the gateway's memory
//! holds their state and commands are other processes.

use std::path::Path;

use engine::{Engine, RelayOrigin, RelayView};
use pool::Status;
use serde::{Deserialize, Serialize};
use store::Store;

/// The setting of the store that holds the refusals.
const SETTING: &str = "relays.refusals";

/// A relay of the file whose owner must act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    name: String,
    base_url: String,
    /// Whether the service refuses the owner, and not only the key.
    blocked: bool,
    why: String,
}

/// Stores the refusals whenever they change.
pub(crate) struct RefusalRecorder {
    store: Store,
    written: Option<Vec<Refusal>>,
}

impl RefusalRecorder {
    /// Makes a recorder whose first update replaces the refusals of an earlier gateway.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, written: None }
    }

    pub(crate) async fn update(&mut self, engine: &Engine) {
        let now: Vec<Refusal> = engine.relays().list().into_iter().filter_map(refusal).collect();
        if self.written.as_ref() == Some(&now) {
            return;
        }
        let text = serde_json::to_string(&now).expect("invariant: our types serialise");
        match self.store.set_setting(SETTING, &text).await {
            Ok(()) => self.written = Some(now),
            Err(error) => tracing::debug!(%error, "the state of relays of the file is not stored"),
        }
    }
}

fn refusal(view: RelayView) -> Option<Refusal> {
    let blocked = view.status == "blocked";
    if view.origin != RelayOrigin::File || !blocked && view.status != "key_refused" {
        return None;
    }
    Some(Refusal { name: view.name, base_url: view.base_url, blocked, why: view.why.unwrap_or_default() })
}

impl Refusal {
    /// Whether the refusal is about this relay with the same address.
    pub(crate) fn matches(&self, relay: &pool::relay::Relay) -> bool {
        (&self.name, &self.base_url) == (&relay.name, &relay.base_url)
    }

    pub(crate) fn status(&self) -> Status {
        let why = self.why.clone();
        if self.blocked { Status::Blocked { why } } else { Status::NeedsLogin { why } }
    }
}

/// The refusals of the gateway that serves this home; empty when no gateway runs.
pub(crate) async fn read(store: &Store, home: &Path) -> Result<Vec<Refusal>, store::Error> {
    if Store::lock(home).is_ok() {
        return Ok(Vec::new());
    }
    let text = store.setting(SETTING).await?.unwrap_or_default();
    // Another version of Polygate may have written the setting in another form.
    Ok(serde_json::from_str(&text).unwrap_or_default())
}
