//! Row S9: fail the first, second, third ... call of each operation until none is left. Existing state stays, the operation returns the
//! error, and repeating the operation works.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use fail::FailScenario;
use pool::egress::{Egress, Health, ProxyId};
use pool::quota::Quota;
use pool::{AccountId, AccountLimits, Secret, Status};
use store::{CommitError, FAILPOINTS, LeaseOutcome, LinkedAccount, NewRelay, RefreshLease, Store};
use tempfile::TempDir;

use crate::site::{NOW, account, key, models, open, proxy, relay, relay_models, tokens, usage};

type Done = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
type Operation = fn(Store, AccountId) -> Done;

fn message_of<T>(result: Result<T, impl std::fmt::Display>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| error.to_string())
}

/// Every write of the interface, in a form that may be repeated.
const OPERATIONS: &[(&str, Operation)] = &[
    ("put", |store, _| {
        Box::pin(async move { message_of(store.put_account(account("new", tokens("new", 0)), NOW).await) })
    }),
    ("put with an egress", |store, _| {
        Box::pin(async move {
            let egress = Some(pool::egress::Egress::Direct);
            let new = store::NewAccount { egress, ..account("egress", tokens("egress", 0)) };
            message_of(store.put_account(new, NOW).await)?;
            let assigned = store.egresses().await.map_err(|error| error.to_string())?;
            assert!(!assigned.is_empty(), "an account without its egress");
            Ok(())
        })
    }),
    ("sign in", |store, _| {
        Box::pin(async move { message_of(store.put_account(account("old", tokens("later", 9)), NOW).await) })
    }),
    ("remove", |store, _| {
        Box::pin(async move {
            let id =
                store.put_account(account("gone", tokens("gone", 0)), NOW).await.map_err(|error| error.to_string())?;
            message_of(store.remove_accounts(&[id.id]).await)
        })
    }),
    ("status", |store, id| {
        Box::pin(async move { message_of(store.set_statuses_if_current(&[(id.clone(), Status::Disabled, 1)]).await) })
    }),
    ("credit", |store, id| Box::pin(async move { message_of(store.begin_credit(&id, Some("request"), NOW).await) })),
    ("credit ends", |store, id| Box::pin(async move { message_of(store.end_credit(&id, "request").await) })),
    ("switch", |store, id| Box::pin(async move { message_of(store.set_owner_status(&[id], &Status::Disabled).await) })),
    ("label", |store, id| Box::pin(async move { message_of(store.set_label(&[id], "name").await) })),
    ("limits", |store, id| Box::pin(async move { message_of(store.set_limits(&id, AccountLimits::default()).await) })),
    ("tags", |store, id| Box::pin(async move { message_of(store.set_tags(&[(id, vec!["work".to_owned()])]).await) })),
    ("link", |store, id| {
        Box::pin(async move {
            message_of(
                store.set_link(&LinkedAccount { account: id, file: "/auth.json".into(), may_refresh: false }).await,
            )
        })
    }),
    ("unlink", |store, id| Box::pin(async move { message_of(store.unlink(&id).await) })),
    ("quota", |store, id| {
        Box::pin(async move { message_of(store.set_quotas(&[(id.clone(), Quota::default())]).await) })
    }),
    ("cookies", |store, id| {
        Box::pin(async move { message_of(store.set_cookies(&[(id.clone(), Secret::from("jar"))]).await) })
    }),
    ("models", |store, id| Box::pin(async move { message_of(store.set_models(&id, &models("1")).await) })),
    ("add key", |store, _| {
        Box::pin(async move {
            match store.add_key(&key("newnewne")).await {
                Err(store::Error::KeyExists) => Ok(()),
                other => message_of(other),
            }
        })
    }),
    ("revoke key", |store, _| Box::pin(async move { message_of(store.revoke_key("oldoldol", NOW).await) })),
    ("add relay", |store, _| {
        Box::pin(async move {
            match store.put_relay(&relay("new"), NOW).await {
                Err(store::Error::RelayNameTaken(_)) => Ok(()),
                other => message_of(other),
            }
        })
    }),
    ("change relay", |store, _| {
        Box::pin(async move {
            let id = old_relay(&store).await.map_err(|error| error.to_string())?;
            message_of(store.put_relay(&NewRelay { id: Some(id), weight: 2, ..relay("old") }, NOW).await)
        })
    }),
    ("relay status", |store, _| {
        Box::pin(async move {
            let id = old_relay(&store).await.map_err(|error| error.to_string())?;
            message_of(store.set_relay_status(&id, &Status::Disabled, 1).await)
        })
    }),
    ("relay models", |store, _| {
        Box::pin(async move {
            let id = old_relay(&store).await.map_err(|error| error.to_string())?;
            message_of(store.set_relay_models(&id, &relay_models()).await)
        })
    }),
    ("remove relay", |store, _| {
        Box::pin(async move {
            let id = match store.put_relay(&relay("gone"), NOW).await {
                Err(store::Error::RelayNameTaken(_)) => {
                    find(&store, "gone").await.map_err(|error| error.to_string())?
                }
                other => other.map_err(|error| error.to_string())?,
            };
            message_of(store.remove_relay(&id).await)
        })
    }),
    ("add proxies", |store, _| {
        Box::pin(async move {
            match store.add_proxies(&[proxy("new"), proxy("other")], NOW).await {
                Err(store::Error::ProxyNameTaken) => Ok(()),
                other => message_of(other),
            }
        })
    }),
    ("change proxy", |store, _| {
        Box::pin(async move {
            let id = old_proxy(&store).await.map_err(|error| error.to_string())?;
            message_of(store.change_proxy(&id, &proxy("old"), true).await)
        })
    }),
    ("proxy health", |store, _| {
        Box::pin(async move {
            let id = old_proxy(&store).await.map_err(|error| error.to_string())?;
            let health = Health { ok: true, exit_ip: None, latency_ms: None, checked: NOW, error: None };
            message_of(store.set_proxy_health(&[(id, health)]).await)
        })
    }),
    ("remove proxy", |store, _| Box::pin(async move { message_of(store.remove_proxy(&ProxyId("none".into())).await) })),
    ("assign", |store, id| Box::pin(async move { message_of(store.set_egresses(&[(id, Egress::Auto)]).await) })),
    ("setting", |store, _| Box::pin(async move { message_of(store.set_setting("name", "value").await) })),
    ("swap setting", |store, _| {
        Box::pin(async move { message_of(store.swap_setting("old", Some("kept"), "kept").await) })
    }),
    ("refresh", |store, id| Box::pin(refresh(store, id, false))),
    ("ended refresh", |store, id| Box::pin(refresh(store, id, true))),
];

/// A refresh that repeats its commit, as the engine does.
async fn refresh(store: Store, id: AccountId, fails: bool) -> Result<(), String> {
    let ticket = match store.begin_refresh(&id, "test", NOW).await.map_err(|error| error.to_string())? {
        LeaseOutcome::Granted(ticket) => ticket,
        LeaseOutcome::Held { .. } => lease_later(&store, &id).await?,
        LeaseOutcome::Gone => return Err("gone".into()),
    };
    store.write_intent(&ticket, NOW).await.map_err(|error| error.to_string())?;
    if fails {
        return message_of(store.end_refresh(ticket, Some(&Status::Disabled)).await);
    }
    let mut ticket = ticket;
    for _ in 0..3 {
        match store.commit_refresh(ticket, &tokens("refreshed", 5)).await {
            Err(CommitError::Failed { ticket: again, .. }) => ticket = *again,
            other => return message_of(other),
        }
    }
    Err("three commits failed".into())
}

async fn lease_later(store: &Store, id: &AccountId) -> Result<RefreshLease, String> {
    match store.begin_refresh(id, "test", NOW.plus(60_000)).await.map_err(|error| error.to_string())? {
        LeaseOutcome::Granted(ticket) => Ok(ticket),
        other => Err(format!("{other:?}")),
    }
}

async fn old_proxy(store: &Store) -> Result<ProxyId, store::Error> {
    Ok(store.proxies().await?.remove(0).id)
}

async fn old_relay(store: &Store) -> Result<AccountId, store::Error> {
    find(store, "old").await
}

async fn find(store: &Store, name: &str) -> Result<AccountId, store::Error> {
    let relays = store.relays().await?;
    Ok(relays.into_iter().find(|relay| relay.name == name).unwrap().id)
}

/// A home with an account `old`, a relay `old`, a key and a setting.
async fn filled(home: &Path) -> (Store, AccountId) {
    let store = open(home).await.unwrap();
    let id = store.put_account(account("old", tokens("old", 0)), NOW).await.unwrap().id;
    store.add_key(&key("oldoldol")).await.unwrap();
    store.put_relay(&relay("old"), NOW).await.unwrap();
    store.add_proxies(&[proxy("old")], NOW).await.unwrap();
    store.set_setting("old", "kept").await.unwrap();
    (store, id)
}

/// Asserts that the state from before is there, or the state that replaced it.
async fn intact(store: &Store, id: &AccountId, at: &str) {
    let accounts = store.accounts().await.unwrap();
    assert!(accounts.iter().any(|account| account.id == *id), "{at}: the account is gone");
    let found = store.tokens(id).await.unwrap().unwrap();
    let known = [tokens("old", 0), tokens("later", 9), tokens("refreshed", 5)];
    assert!(known.contains(&found), "{at}: torn tokens");
    assert!(store.keys().await.unwrap().iter().any(|key| key.id == "oldoldol"), "{at}: the key is gone");
    let relay = old_relay(store).await.unwrap();
    assert_eq!(store.relay_key(&relay).await.unwrap(), Some(Secret::from("relay key")), "{at}");
    assert_eq!(store.proxies().await.unwrap()[0].address, proxy("old").address, "{at}");
    assert_eq!(store.setting("old").await.unwrap().as_deref(), Some("kept"), "{at}");
}

/// The failpoints that `work` passes, with the number of passes of each.
async fn passed<T>(work: impl Future<Output = T>) -> BTreeMap<&'static str, usize> {
    let counts: Arc<Mutex<BTreeMap<&str, usize>>> = Arc::default();
    for point in FAILPOINTS {
        let counts = Arc::clone(&counts);
        fail::cfg_callback(*point, move || *counts.lock().unwrap().entry(point).or_default() += 1).unwrap();
    }
    work.await;
    for point in FAILPOINTS {
        fail::remove(point);
    }
    std::mem::take(&mut counts.lock().unwrap())
}

/// Every call of `work` that can fail: the failpoint, and the number of the pass.
async fn moments<T>(work: impl Future<Output = T>) -> Vec<(&'static str, usize)> {
    passed(work).await.into_iter().flat_map(|(point, times)| (1..=times).map(move |nth| (point, nth))).collect()
}

/// Makes the `nth` call at `point` fail.
fn fail_at((point, nth): (&'static str, usize)) {
    fail::cfg(point, &format!("{}*off->1*return->off", nth - 1)).unwrap();
}

#[tokio::test]
async fn every_write_survives_a_failure_of_each_call() {
    let scenario = FailScenario::setup();
    let (mut failures, mut runs) = (0, 0);
    for (name, operation) in OPERATIONS {
        let home = TempDir::new().unwrap();
        let (store, id) = filled(home.path()).await;
        let moments = moments(operation(store.clone(), id)).await;
        store.close().await;
        assert!(moments.len() >= 3, "{name} passes only {moments:?}");
        for moment in moments {
            let at = format!("{name}, call {} at {}", moment.1, moment.0);
            let home = TempDir::new().unwrap();
            let (store, id) = filled(home.path()).await;
            fail_at(moment);
            let failed = operation(store.clone(), id.clone()).await.is_err();
            fail::remove(moment.0);
            intact(&store, &id, &at).await;
            operation(store.clone(), id.clone()).await.unwrap_or_else(|error| panic!("{at}: then {error}"));
            intact(&store, &id, &at).await;
            store.close().await;
            runs += 1;
            failures += usize::from(failed);
        }
    }
    // The three failures inside a repeated commit do not fail the refresh.
    assert_eq!(failures, runs - 3);
    scenario.teardown();
}

#[tokio::test]
async fn opening_survives_a_failure_of_each_call() {
    let scenario = FailScenario::setup();
    for fresh in [true, false] {
        for moment in moments(opening(&home(fresh).await)).await {
            let at = format!("call {} at {}, fresh: {fresh}", moment.1, moment.0);
            let home = home(fresh).await;
            fail_at(moment);
            assert!(open(home.path()).await.is_err(), "{at}");
            fail::remove(moment.0);
            let store = open(home.path()).await.unwrap_or_else(|error| panic!("{at}: then {error}"));
            assert_eq!(store.accounts().await.unwrap().len(), usize::from(!fresh), "{at}");
            store.close().await;
        }
    }
    scenario.teardown();
}

async fn opening(home: &TempDir) {
    open(home.path()).await.unwrap().close().await;
}

/// A home, empty or with an account.
async fn home(fresh: bool) -> TempDir {
    let home = TempDir::new().unwrap();
    if !fresh {
        filled(home.path()).await.0.close().await;
    }
    home
}

#[tokio::test]
async fn usage_waits_for_better_times() {
    let scenario = FailScenario::setup();
    for point in ["store::statement", "store::before_usage", "store::before_usage_commit", "store::after_usage"] {
        let home = TempDir::new().unwrap();
        let store = open(home.path()).await.unwrap();
        fail::cfg(point, "return").unwrap();
        store.usage().record(usage("1"));
        store.usage().flush().await;
        fail::remove(point);
        store.usage().record(usage("2"));
        assert_eq!(store.usage().rows(9).await.unwrap().len(), 2, "{point}");
        assert_eq!(store.usage().lost(), 0, "{point}");
        store.close().await;
    }
    scenario.teardown();
}
