//! Warns the owner: judges the events of the feed, remembers the warnings that were given, and hands new ones to the couriers.

mod courier;

use std::collections::BTreeMap;
use std::sync::Arc;

use pool::warning::{Issued, Warning, newly_due};
use pool::{Account, AccountId};
use tokio::sync::mpsc;

use crate::registry::feed::AccountEvent;
use crate::request::services::Services;

/// The stored setting with the warnings that were given, for all nodes.
const MEMORY: &str = "alerts.given";
/// Warnings that may wait for one receiver.
const WAITING: usize = 64;

/// The warnings given for each account, by its id, as stored for all nodes.
type Shared = BTreeMap<String, Issued>;
/// The same, as this node knows it.
type Memory = BTreeMap<String, Known>;

/// The warnings given for one account.
#[derive(Default)]
struct Known {
    issued: Issued,
    /// Whether storing them failed, so that the stored state may be old.
    unsaved: bool,
}

/// Warns of what the feed reports.
pub(crate) async fn warn_on_events(services: Arc<Services>) {
    let Some(mut news) = services.registry.accounts.feed.watch() else { return };
    let couriers = couriers(&services);
    let mut memory = restore(&services).await;
    warn_of_all(&services, &mut memory, &couriers).await;
    while let Some(event) = news.next().await {
        match &*event {
            AccountEvent::Account { account, .. }
            | AccountEvent::Quota { account, .. }
            | AccountEvent::LoginAdded { account, .. } => {
                warn_of(&services, account, &mut memory, &couriers).await;
            }
            AccountEvent::LoginRemoved { account, .. } => {
                memory.remove(&account.0);
                if let Err(error) = update_shared(&services, |shared| shared.remove(&account.0)).await {
                    unsaved(&error);
                }
            }
            AccountEvent::Lagged { .. } => warn_of_all(&services, &mut memory, &couriers).await,
            AccountEvent::Warning(_) | AccountEvent::LoginNeeded { .. } => {}
        }
    }
}

fn couriers(services: &Arc<Services>) -> Vec<mpsc::Sender<Arc<Warning>>> {
    let alerts = &services.runtime.settings.alerts;
    let routes = [(courier::Kind::Webhook, &alerts.webhook), (courier::Kind::Ntfy, &alerts.ntfy)];
    let routes = routes.into_iter().filter_map(|(kind, to)| Some((kind, to.clone()?)));
    let open = |(kind, to)| {
        let (sender, waiting) = mpsc::channel(WAITING);
        services.runtime.spawn_job(courier::run(Arc::clone(services), (kind, to), waiting));
        sender
    };
    routes.map(open).collect()
}

async fn warn_of_all(services: &Arc<Services>, memory: &mut Memory, couriers: &[mpsc::Sender<Arc<Warning>>]) {
    for entry in services.registry.accounts.list().accounts() {
        warn_of(services, &entry.account.id, memory, couriers).await;
    }
}

/// Judges one account. Every node reports to its own feed; of several nodes that see the same, the first one sends. A warning is
/// stored before it is sent: a warning lost in a crash is better than one that repeats with every restart.
async fn warn_of(
    services: &Arc<Services>,
    id: &AccountId,
    memory: &mut Memory,
    couriers: &[mpsc::Sender<Arc<Warning>>],
) {
    let Some(entry) = services.registry.account(&id.0) else { return };
    let known = memory.entry(id.0.clone()).or_default();
    let before = known.issued.clone();
    let warnings = judge_account(services, &mut known.issued, &entry.account);
    if known.issued == before {
        return;
    }
    for warning in &warnings {
        tracing::warn!(account = %id, "{}", warning.describe());
        services.registry.accounts.feed.send(AccountEvent::Warning(warning.clone()));
    }
    let behind = std::mem::take(&mut known.unsaved);
    let judged = |shared: &mut Shared| {
        let issued = shared.entry(id.0.clone()).or_default();
        if behind {
            issued.clone_from(&before);
        }
        judge_account(services, issued, &entry.account)
    };
    let due = update_shared(services, judged).await.unwrap_or_else(|error| {
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

fn judge_account(services: &Services, issued: &mut Issued, account: &Account) -> Vec<Warning> {
    newly_due(issued, account, &services.runtime.settings.alerts.thresholds, services.runtime.now())
}

/// The stored warnings, without those of removed accounts.
async fn restore(services: &Services) -> Memory {
    let known = |shared: &mut Shared| {
        shared.retain(|id, _| services.registry.accounts.get(&AccountId(id.clone())).is_some());
        shared.clone()
    };
    let shared = update_shared(services, known).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was warned of before is not readable; it is warned of again");
        Shared::new()
    });
    shared.into_iter().map(|(id, issued)| (id, Known { issued, unsaved: false })).collect()
}

/// Changes the stored warnings of all nodes; repeats when another node changed them meanwhile.
async fn update_shared<T>(services: &Services, change: impl Fn(&mut Shared) -> T) -> Result<T, store::Error> {
    // Needs no bound: each repetition means that another node succeeded.
    loop {
        let known = services.runtime.store.setting(MEMORY).await?;
        let before: Shared = known.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut memory = before.clone();
        let result = change(&mut memory);
        memory.retain(|_, issued| !issued.is_empty());
        if memory == before {
            return Ok(result);
        }
        let text = serde_json::to_string(&memory).unwrap_or_default();
        if services.runtime.store.swap_setting(MEMORY, known.as_deref(), &text).await? {
            return Ok(result);
        }
    }
}

fn unsaved(error: &store::Error) {
    tracing::warn!(%error, "what was warned of is not stored");
}
