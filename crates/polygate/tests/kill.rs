//! kill -9 at every named failpoint and at many moments under load: no account, key or token is lost.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, reason = "a failing step of a test must end it")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Gateway, Home};
use offline::{Offline, Options, Revocation};
use pool::{Millis, Status};
use store::Store;

const NOW: Millis = Millis(4_000_000_000_000);

/// The state of a store after any kill: it opens and has every account, and the backend still accepts each refresh token, or the account is
/// marked by an open intent or a needed login.
async fn judge(home: &Home, backend: &offline::Running, accounts: usize, keys: usize) {
    let options = store::Options { home: home.path(), ..store::Options::default() };
    let store = Store::open(options).await.expect("the store opens after a kill");
    let found = store.accounts().await.unwrap();
    assert_eq!(found.len(), accounts, "accounts");
    assert!(store.keys().await.unwrap().len() >= keys, "keys");
    let interrupted = store.interrupted_refreshes(NOW).await.unwrap();
    for account in found {
        let tokens = store.tokens(&account.id).await.unwrap().expect("an account has tokens");
        let refresh = tokens.refresh.expect("the refresh token is there");
        let good = backend.current_refresh(&account.upstream_id).iter().any(|token| token == refresh.expose());
        let marked = matches!(account.status, Status::NeedsLogin { .. } | Status::Expiring { .. })
            || interrupted.contains(&account.id);
        assert!(good || marked, "a spent token without a mark: {:?}", account.status);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_failpoint_of_a_refresh_loses_nothing() {
    // The store's own tests kill it at each of its failpoints; this test uses the failpoints that a refresh passes.
    let stores = ["intent", "commit"].map(|step| [format!("store::before_{step}"), format!("store::after_{step}")]);
    let points: Vec<String> =
        engine::FAILPOINTS.map(str::to_owned).into_iter().chain(stores.into_iter().flatten()).collect();
    let mut missed = Vec::new();
    for point in &points {
        let backend = Offline::start(Options::default()).await.unwrap();
        let account = backend.account("plus");
        let home = Home::new(&backend);
        home.import(&account);
        home.ok(&["keys", "create"]);
        let mut gateway = home.serve(&[("POLYGATE_KILL_AT", point)]);
        backend.expire_access(&account.account_id);
        let answer = gateway.chat("Reply with exactly: pong").await;
        if answer.is_err() {
            gateway.wait(Duration::from_secs(10));
        } else {
            missed.push(point.clone());
        }
        drop(gateway);
        judge(&home, &backend, 1, 1).await;

        let gateway = home.serve(&[]);
        let after = gateway.chat("Reply with exactly: pong").await.unwrap();
        assert!(after.status == 200 || after.status == 503, "{point}: {} {}", after.status, after.body);
        let reused = backend.record().refreshes.iter().filter(|refresh| refresh.reused).count();
        assert!(reused <= 1, "{point}: the old token was used {reused} times more");
        if after.status == 503 {
            let listed = home.ok(&["--json", "accounts", "list"]);
            assert!(listed.contains("needs_login"), "{point}: {} {listed}", after.body);
        }
    }
    assert_eq!(missed, Vec::<String>::new(), "never reached");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_a_key_is_made_loses_no_other_key() {
    for point in store::FAILPOINTS.iter().filter(|point| point.ends_with("_key") || point.ends_with("statement")) {
        let backend = Offline::start(Options::default()).await.unwrap();
        let home = Home::new(&backend);
        home.import(&backend.account("plus"));
        home.ok(&["keys", "create", "--name", "first"]);
        // The process is killed only if creating a key passes this failpoint.
        home.command(&["keys", "create", "--name", "second"]).env("POLYGATE_KILL_AT", point).output().unwrap();
        judge(&home, &backend, 1, 1).await;
        assert!(home.ok(&["--json", "keys", "list"]).contains("first"), "{point}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing() {
    const ACCOUNTS: usize = 4;
    let backend =
        Offline::start(Options { access_lifetime: 3600, device_interval: 0, ..Options::default() }).await.unwrap();
    let home = Home::new(&backend);
    let accounts: Vec<_> = (0..ACCOUNTS).map(|_| backend.account("plus")).collect();
    for account in &accounts {
        home.import(account);
    }
    home.ok(&["keys", "create"]);
    // Moments from a fixed sequence (Knuth's LCG), so that a failure can be reproduced.
    let mut seed = 42_u64;
    let served = AtomicU64::new(0);
    for round in 0..50 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let moment = Duration::from_millis(seed >> 33 & 0x7f);
        // Half of the accounts must refresh in this round.
        accounts
            .iter()
            .skip(round % 2)
            .step_by(2)
            .for_each(|a| backend.revoke_access(&a.account_id, Revocation::Expired));
        let gateway = home.serve(&[]);
        load(&gateway, moment, &served).await;
        gateway.kill();
        judge(&home, &backend, ACCOUNTS, 1).await;
        // A kill between the backend's rotation and the gateway's commit ends a login. Its owner signs in again.
        for account in accounts.iter().filter(|account| backend.current_refresh(&account.account_id).is_empty()) {
            backend.login_as(&account.account_id);
            home.ok(&["login", "--device"]);
        }
    }
    assert!(served.load(Ordering::Relaxed) > 0, "no request was ever served");
}

/// Eight clients send requests until `moment` has passed.
async fn load(gateway: &Gateway, moment: Duration, served: &AtomicU64) {
    let client = || async {
        while let Ok(answer) = gateway.chat("count to 20").await {
            if answer.status == 200 {
                served.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let clients = futures_util::future::join_all((0..8).map(|_| client()));
    let _ = tokio::time::timeout(moment, clients).await;
}
