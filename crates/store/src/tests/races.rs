//! Many tasks, two stores on one database.

use std::sync::Arc;

use pool::{AccountId, Secret, Status};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{NOW, Site, account, add, learn, tokens};
use crate::{LeaseOutcome, Store};

/// Runs `task` with every number at once, on two stores in turn.
pub(super) async fn race<T, F>(site: &Site, count: usize, task: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let stores = [site.open().await, site.open().await];
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (work, start) = (task(stores[number % 2].clone(), number), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            work.await
        });
    }
    let done = tasks.join_all().await;
    for store in stores {
        store.close().await;
    }
    done
}

pub(super) async fn one_of_many_gets_the_lease(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    for round in 0..5 {
        let now = NOW.plus(round * 60_000);
        let id = id.clone();
        let answers = race(site, 24, move |store, number| {
            let id = id.clone();
            async move { store.begin_refresh(&id, &number.to_string(), now).await.unwrap() }
        });
        let granted = answers.await.into_iter().filter(|answer| matches!(answer, LeaseOutcome::Granted(_))).count();
        assert_eq!(granted, 1, "round {round}");
    }
}

pub(super) async fn one_of_many_adds_the_account(site: &Site) {
    let puts = race(site, 16, |store, number| async move {
        let name = number.to_string();
        let refreshed = i64::try_from(number).unwrap();
        store.put_account(account("one", tokens(&name, refreshed)), NOW).await.unwrap()
    });
    let puts = puts.await;
    assert_eq!(puts.iter().filter(|put| put.added).count(), 1);
    assert!(puts.iter().all(|put| put.id == puts[0].id));
    let store = site.open().await;
    assert_eq!(store.tokens(&puts[0].id).await.unwrap(), Some(tokens("15", 15)), "the newest, whatever the order");
}

pub(super) async fn many_writers_all_count(site: &Site) {
    let store = site.open().await;
    let id = add(&store, "one").await;
    let before = store.accounts().await.unwrap()[0].version;
    race(site, 20, move |store, number| {
        let id = id.clone();
        async move {
            store.set_cookies(&[(id.clone(), Secret::new(number.to_string()))]).await.unwrap();
            store.set_quotas(&[(id.clone(), pool::quota::Quota::default())]).await.unwrap();
            store.set_setting(&number.to_string(), "set").await.unwrap();
        }
    })
    .await;
    assert_eq!(store.accounts().await.unwrap()[0].version, before + 20);
    for number in 0..20 {
        assert_eq!(store.setting(&number.to_string()).await.unwrap().as_deref(), Some("set"));
    }
}

/// PostgreSQL ends a write in a deadlock with an error.
pub(super) async fn bulk_and_single_writes_do_not_deadlock(site: &Site) {
    let store = site.open().await;
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(add(&store, &number.to_string()).await);
    }
    race(site, 12, move |store, number| {
        let mut ids = ids.clone();
        if number % 2 == 1 {
            ids.reverse();
        }
        async move {
            for round in 0..4 {
                change((number + round) % 6, &store, &ids).await;
            }
        }
    })
    .await;
    assert!(store.accounts().await.unwrap().iter().all(|account| account.label == "all"));
}

/// One of several changes of all accounts, in one transaction or one after the other.
async fn change(way: usize, store: &Store, ids: &[AccountId]) {
    match way {
        0 => drop(store.set_label(ids, "all").await.unwrap()),
        1 => drop(store.set_owner_status(ids, &Status::Active).await.unwrap()),
        2 => {
            let tags: Vec<_> = ids.iter().map(|id| (id.clone(), vec!["tag".to_owned()])).collect();
            store.set_tags(&tags).await.unwrap();
        }
        _ => {
            for id in ids {
                learn(store, id, &Status::Active).await;
                store.set_tags(&[(id.clone(), vec![])]).await.unwrap();
            }
        }
    }
}

pub(super) async fn generation_changes_with_writes_of_others(site: &Site) {
    let (store, other) = (site.open().await, site.open().await);
    let id = add(&store, "one").await;
    let first = store.generation().await.unwrap();
    assert_eq!(store.generation().await.unwrap(), first, "nothing was written");
    store.accounts().await.unwrap();
    other.usage().record(super::rows::usage("1", NOW));
    other.usage().flush().await;
    assert_eq!(store.generation().await.unwrap(), first, "neither reads nor usage count");
    other.set_owner_status(std::slice::from_ref(&id), &pool::Status::Disabled).await.unwrap();
    let second = store.generation().await.unwrap();
    assert_ne!(second, first);
    let figures = [(id.clone(), pool::quota::Quota::default())];
    assert_eq!(store.set_quotas(&figures).await.unwrap(), [true]);
    if site.postgres.is_none() {
        assert_eq!(store.generation().await.unwrap(), second, "what a process learned itself");
    }
    let second = store.generation().await.unwrap();
    assert_eq!(other.set_quotas(&figures).await.unwrap(), [true]);
    let third = store.generation().await.unwrap();
    assert_ne!(third, second, "what another process learned");
    store.set_owner_status(std::slice::from_ref(&id), &pool::Status::Active).await.unwrap();
    let second = store.generation().await.unwrap();
    assert_ne!(second, third, "what its owner said here");
    other.remove_accounts(std::slice::from_ref(&id)).await.unwrap();
    assert_ne!(store.generation().await.unwrap(), second);
}
