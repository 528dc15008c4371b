//! Warns an owner: judges what the feed tells, remembers what was given, and hands warnings to the couriers.

mod courier;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pool::warning::{Given, Thresholds, Warning, judge};
use pool::{Account, AccountId, Secret};
use tokio::sync::mpsc;
use url::Url;

use crate::core::Core;
use crate::feed::News;

/// The store's setting that remembers what was given, for all nodes.
const MEMORY: &str = "alerts.given";
/// Warnings that may wait for one receiver.
const WAITING: usize = 64;

/// When and where an owner is warned.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Shares at which is warned.
    pub thresholds: Thresholds,
    /// A webhook.
    pub webhook: Option<Receiver>,
    /// An ntfy topic.
    pub ntfy: Option<Receiver>,
    /// Whether both may be at private addresses and on plain http.
    pub allow_private: bool,
    /// First pause after a delivery that failed; doubles each time.
    pub pause: Duration,
}

/// Where warnings go.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its address. It may hold a secret, so its `Debug` form is not for logs.
    pub url: Hidden,
    /// The webhook's signing secret, or the topic's access token.
    pub secret: Option<Secret>,
}

/// An address whose path may be a secret: it is never shown.
#[derive(Clone)]
pub struct Hidden(pub Url);

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://***", self.0.scheme())
    }
}

impl Default for Alerts {
    fn default() -> Self {
        let pause = Duration::from_secs(2);
        Self { thresholds: Thresholds::default(), webhook: None, ntfy: None, allow_private: false, pause }
    }
}

/// What was given for each account, by its id, as all nodes remember it.
type Shared = BTreeMap<String, Given>;
/// The same as this node knows it.
type Memory = BTreeMap<String, Known>;

/// What this node knows of what was given for an account.
#[derive(Default)]
struct Known {
    given: Given,
    /// Whether the store did not take it, and so may say what is over.
    unsaved: bool,
}

/// Warns until the engine stops.
pub(crate) async fn keep_warned(core: Arc<Core>) {
    let Some(mut news) = core.accounts.feed.watch() else { return };
    let couriers = couriers(&core);
    let mut memory = restore(&core).await;
    all(&core, &mut memory, &couriers).await;
    loop {
        let next = tokio::select! {
            () = core.stop.cancelled() => return,
            next = news.next() => next,
        };
        let Some(next) = next else { return };
        match &*next {
            News::Account { account, .. } | News::Quota { account, .. } | News::LoginAdded { account, .. } => {
                one(&core, account, &mut memory, &couriers).await;
            }
            News::LoginRemoved { account, .. } => {
                memory.remove(&account.0);
                if let Err(error) = share(&core, |shared| shared.remove(&account.0)).await {
                    unsaved(&error);
                }
            }
            News::Lagged { .. } => all(&core, &mut memory, &couriers).await,
            News::Warning(_) | News::LoginNeeded { .. } => {}
        }
    }
}

fn couriers(core: &Arc<Core>) -> Vec<mpsc::Sender<Arc<Warning>>> {
    let alerts = &core.settings.alerts;
    let routes = [(courier::Kind::Webhook, &alerts.webhook), (courier::Kind::Ntfy, &alerts.ntfy)];
    let routes = routes.into_iter().filter_map(|(kind, to)| Some((kind, to.clone()?)));
    let open = |(kind, to)| {
        let (sender, waiting) = mpsc::channel(WAITING);
        core.tasks.spawn(courier::run(Arc::clone(core), (kind, to), waiting));
        sender
    };
    routes.map(open).collect()
}

async fn all(core: &Arc<Core>, memory: &mut Memory, couriers: &[mpsc::Sender<Arc<Warning>>]) {
    for entry in core.accounts.list().iter().filter(|entry| entry.relay.is_none()) {
        one(core, &entry.account.id, memory, couriers).await;
    }
}

/// Judges one account. Every node tells its own feed; of several that see the same, the first one sends. What is given is stored
/// before it is sent: a warning that is lost in a crash is better than one that comes with every restart.
async fn one(core: &Arc<Core>, id: &AccountId, memory: &mut Memory, couriers: &[mpsc::Sender<Arc<Warning>>]) {
    let Some(entry) = core.accounts.get(id).filter(|entry| entry.relay.is_none()) else { return };
    let known = memory.entry(id.0.clone()).or_default();
    let before = known.given.clone();
    let warnings = core.judge_account(&mut known.given, &entry.account);
    if known.given == before {
        return;
    }
    for warning in &warnings {
        tracing::warn!(account = %id, "{}", warning.words());
        core.accounts.feed.tell(News::Warning(warning.clone()));
    }
    let behind = std::mem::take(&mut known.unsaved);
    let judged = |shared: &mut Shared| {
        let given = shared.entry(id.0.clone()).or_default();
        if behind {
            given.clone_from(&before);
        }
        core.judge_account(given, &entry.account)
    };
    let due = share(core, judged).await.unwrap_or_else(|error| {
        unsaved(&error);
        known.unsaved = true;
        warnings
    });
    for warning in due {
        send(warning, couriers);
    }
}

fn send(warning: Warning, couriers: &[mpsc::Sender<Arc<Warning>>]) {
    let warning = Arc::new(warning);
    for courier in couriers {
        if courier.try_send(Arc::clone(&warning)).is_err() {
            tracing::error!(account = %warning.account, "a warning is not sent: too many wait already");
        }
    }
}

impl Core {
    fn judge_account(&self, given: &mut Given, account: &Account) -> Vec<Warning> {
        judge(given, account, &self.settings.alerts.thresholds, self.now())
    }
}

/// What was given before, without accounts that are gone.
async fn restore(core: &Core) -> Memory {
    let known = |shared: &mut Shared| {
        shared.retain(|id, _| core.accounts.get(&AccountId(id.clone())).is_some());
        shared.clone()
    };
    let shared = share(core, known).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was warned of before is not readable; it is warned of again");
        Shared::new()
    });
    shared.into_iter().map(|(id, given)| (id, Known { given, unsaved: false })).collect()
}

/// Changes what all nodes remember, as long as nobody else does meanwhile.
async fn share<T>(core: &Core, change: impl Fn(&mut Shared) -> T) -> Result<T, store::Error> {
    // Has no bound of its own: each turn but the last is another node's success.
    loop {
        let known = core.store.setting(MEMORY).await?;
        let before: Shared = known.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut memory = before.clone();
        let result = change(&mut memory);
        memory.retain(|_, given| !given.is_empty());
        if memory == before {
            return Ok(result);
        }
        let text = serde_json::to_string(&memory).unwrap_or_default();
        if core.store.swap_setting(MEMORY, known.as_deref(), &text).await? {
            return Ok(result);
        }
    }
}

fn unsaved(error: &store::Error) {
    tracing::warn!(%error, "what was warned of is not stored");
}
